"""What a notebook shows: notices, and tables for people."""

import matplotlib.pyplot as plt
import pandas as pd

from textlab import notebooks


def test_no_notice_without_a_message():
    assert notebooks.notice([]) is None


def test_a_tidy_table_has_three_digits_no_missing_values_and_no_row_for_the_name_of_its_index():
    table = pd.DataFrame({"state": ["completed", "pruned"], "minutes": [1.23456, None], "runs": [8, 1]})
    markup = notebooks.tidy(table.set_index("state"))._repr_html_()
    assert "1.23<" in markup and "<td></td>" in markup and "nan" not in markup.lower()
    assert ">completed<" in markup and "state" not in markup and markup.count("<tr") == 3


def test_text_table_is_aligned_left_and_escaped():
    markup = notebooks.text_table(pd.DataFrame({"text": ["a <b>"], "loss": [1.234], "share": [0.00123]})).data
    assert markup.count("text-align:left") >= 2
    assert "a &lt;b&gt;" in markup and "1.23<" in markup and ">0.001<" in markup


def test_text_table_cuts_long_texts_and_those_alone():
    table = pd.DataFrame({"text": ["a" * 20, "b" * 21], "loss": [1.0, 2.0], "rows": [1, None]})
    markup = notebooks.text_table(table, longest=20).data
    assert f">{'a' * 20}<" in markup and f">{'b' * 19}…<" in markup and ">2.00<" in markup
    assert "c" * 300 in notebooks.text_table(pd.DataFrame({"text": ["c" * 300]})).data


def test_a_dollar_is_a_letter_in_tables_and_notices():
    with pd.option_context("display.html.use_mathjax", True), plt.rc_context():
        notebooks.setup(1)
        table = pd.DataFrame({"text": ["costs $5, not $10"]})
        shown = [table._repr_html_(), notebooks.text_table(table).data, notebooks.notice("$5")._repr_html_()]
        assert all('tex2jax_ignore mathjax_ignore"' in markup and "$5" in markup for markup in shown)

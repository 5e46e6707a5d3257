"""What a notebook shows: notices, and tables for people."""

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

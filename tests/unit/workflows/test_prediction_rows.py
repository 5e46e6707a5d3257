"""As many rows come out of a prediction as records go in."""

from types import SimpleNamespace

import pandas as pd
import pytest

from textlab import workflows
from textlab.errors import InputError
from textlab.workflows import prediction


@pytest.fixture
def lengths(monkeypatch):
    """Stand for a model by one that calls texts short, and gives none to an empty one."""

    def table(texts):
        return pd.DataFrame({"text": texts, "label": ["short" if text else None for text in texts], "p_short": 0.5})

    monkeypatch.setattr(prediction, "load", lambda *_: SimpleNamespace(labels=["short"], table=table, kind=None))
    monkeypatch.setattr(prediction, "CHUNK", 2)


def test_empty_texts_and_texts_of_several_lines_are_rows_and_are_counted(lengths, tmp_path):
    texts = ["a lovely day", "", "", "two\nlines", "a grim day"]
    pd.DataFrame({"text": texts}).to_csv(tmp_path / "in.csv", index=False)
    said = workflows.predict_file("unused", tmp_path / "in.csv", tmp_path / "out.csv")
    assert pd.read_csv(tmp_path / "out.csv", keep_default_na=False)["text"].tolist() == texts
    assert said.startswith("5 rows in ") and said.endswith(
        "; 2 without a text have no label; 1 have a text of several lines"
    )


def test_a_carriage_return_in_a_text_ends_no_row_of_a_csv(lengths, tmp_path):
    texts = ["good one\rbut late", "fine", "\r"]
    pd.DataFrame({"text": texts}).to_parquet(tmp_path / "in.parquet")
    workflows.predict_file("unused", tmp_path / "in.parquet", tmp_path / "out.csv")
    table = pd.read_csv(tmp_path / "out.csv", keep_default_na=False)
    assert table["text"].tolist() == texts and table["p_short"].tolist() == [0.5] * 3
    assert (tmp_path / "out.csv").read_text().splitlines()[-1].endswith(",0.5")  # a number has no quotes


def test_a_lone_quote_leaves_no_output(lengths, tmp_path):
    rows = [f"{i}\t{chr(34) * (i in (4, 24))}a fine day number {i}\n" for i in range(40)]
    (tmp_path / "in.tsv").write_text("id\ttext\n" + "".join(rows))
    with pytest.raises(InputError, match="in.tsv: a quote opened in line 6 is closed in line 26"):
        workflows.predict_file("unused", tmp_path / "in.tsv", tmp_path / "out.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["in.tsv"]

"""Trainings on parts of the rows: they learn from fewer, answer the same, and cost what was said."""

import numpy as np
import pytest

from textlab import data, hub, training
from textlab.settings import make_recipe
from textlab.training import cross_validation


@pytest.mark.parametrize("folds, trainings", [(0, 1), (3, 3)])
def test_parts_of_the_rows_are_learned_from_and_all_are_answered(tmp_path, folds, trainings, monkeypatch):
    rows = [(f"{word} thing {i}", label) for i in range(60) for word, label in (("lovely", "good"), ("awful", "bad"))]
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"{text},{label}\n" for text, label in rows))
    texts, source = data.load(str(tmp_path / "a.csv"), folds=folds), hub.resolve_model("tiny")
    recipe = make_recipe("short_text", epochs=2, batch_size=8, precision="fp32")
    fewer = training.FewerRows(texts, recipe, training.load_tokenizer(source), source, 1)
    here = texts.rows()["train"]
    wanted = [round(share * here) for share in (1 / 8, 1 / 4, 1 / 2)]
    names = 4 * 2  # each label's, as texts
    assert [*fewer.parts()] == wanted and fewer.cost() == 2 * sum(rows + names for rows in wanted) * trainings
    learned, fit = [], cross_validation.fit

    def counted(model, tokenizer, tokens, *args):
        learned.append(len(tokens["train"]))
        return fit(model, tokenizer, tokens, *args)

    monkeypatch.setattr(cross_validation, "fit", counted)
    found = fewer.answers("test", training.Unsaved(tmp_path))
    assert learned == [size for size in wanted for _ in range(trainings)]
    assert [*found] == wanted and all(len(ids) == len(texts.splits["test"]) for ids in found.values())
    assert all(set(np.unique(ids)) <= {0, 1} for ids in found.values())
    for part, chosen in fewer.parts().values():
        assert part.splits["test"][:] == texts.splits["test"][:] and chosen.epochs == 2
        assert {*part.splits["train"]["text"]} < {*texts.splits["train"]["text"]}
        assert not {*part.splits["train"]["text"]} & {*part.splits["validation"]["text"]}


def test_a_handful_of_rows_is_not_divided(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\n" + "".join(f"text {i},{'ab'[i % 2]}\n" for i in range(20)))
    texts, source = data.load(str(tmp_path / "a.csv")), hub.resolve_model("tiny")
    fewer = training.FewerRows(texts, make_recipe("fast"), training.load_tokenizer(source), source, 1)
    assert texts.rows()["train"] == 16  # the half of which would do, and a quarter would not
    assert fewer.parts() == {} and fewer.cost() == 0 and fewer.answers("test", training.Unsaved(tmp_path)) == {}

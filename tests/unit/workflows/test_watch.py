"""A prediction says when texts are of another kind than those that the model was trained on, and only then."""

import dataclasses
import json
import random
import re
import shutil
import warnings
from pathlib import Path

import mlflow
import pandas as pd
import pytest

import textlab
from conftest import altered
from textlab import data, hub, settings, tracking, training, workflows
from textlab.__main__ import main
from textlab.errors import InputError
from textlab.training import text_kind
from textlab.workflows import prediction

SUBJECTS = ["my flight", "the crew", "that seat", "our luggage", "the meal on board", "this airline"]
VERDICTS = ["was late again", "made my day", "got lost in the end", "could not be better", "is a sad joke"]
OTHERS = ["Simmer the lentils with {} onions for {} minutes.", "Whisk {} eggs, and bake them {} minutes until golden."]
RUSSIAN = ["Сегодня прекрасная погода, и я очень рад."]


def own(rows, seed):
    dice = random.Random(seed)
    return [f"{dice.choice(SUBJECTS)} {dice.choice(VERDICTS)}, number {dice.randrange(1000)}" for _ in range(rows)]


def other(rows):
    return [OTHERS[i % 2].format(i % 7 + 1, i + 10) for i in range(rows)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A small model that was trained on some texts, saved in the folder of a run."""
    folder = tmp_path_factory.mktemp("made")
    rows = {"text": own(400, 0), "label": ["bad", "good"] * 200}
    pd.DataFrame(rows).to_csv(folder / "mine.csv", index=False)
    texts, source = data.load(str(folder / "mine.csv")), hub.resolve_model("tiny")
    recipe, tokenizer = settings.make_recipe("fast", epochs=1, max_length=24), training.load_tokenizer(source)
    fitted, _ = training.train_and_answer(
        texts,
        data.tokenize(texts.splits, tokenizer, 24),
        tokenizer,
        recipe,
        1,
        training.Unsaved(folder),
        lambda: training.load_model(source, texts.labels, recipe, 1),
    )
    training.save(fitted, folder / "model")
    return fitted, tokenizer, folder


def said(model, texts, **options):
    """Return what a prediction warns of."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter("always")
        workflows.predict(model, texts, **options)
    return [str(one.message) for one in found]


def test_texts_of_the_same_kind_are_answered_without_a_word(made):
    classifier = workflows.load(str(made[-1]))
    assert [
        told for seed in range(1, 11) for rows in (20, 100, 300) for told in said(classifier, own(rows, seed))
    ] == []


def test_texts_of_another_kind_are_told_in_one_line_with_what_differs(made):
    (told,) = said(str(made[-1]), [f"{text} {text} {text}" for text in other(60)])
    assert told.startswith("these texts are of another kind than those that the model was trained on: about 2")
    assert re.search(r"about 2\d words each and not [78], and a linear rule .* tells 99% of both rightly; ", told)
    assert "\n" not in told and told.endswith("check some answers by hand")


def test_the_command_says_it_before_its_closing_line_and_writes_the_file_all_the_same(made, tmp_path, capsys):
    for name, texts in (("own", own(60, 1)), ("other", other(60))):
        (tmp_path / f"{name}.txt").write_text("\n".join(texts) + "\n")
        arguments = ["predict", str(made[-1]), str(tmp_path / f"{name}.txt"), "-o", str(tmp_path / f"{name}.csv")]
        assert main(arguments) == 0
        printed = capsys.readouterr().err
        assert len(re.findall("textlab: these texts are of another kind .*\n60 rows in ", printed)) == (name == "other")
        assert len(pd.read_csv(tmp_path / f"{name}.csv")) == 60


def test_the_classifiers_tokenizer_stays_as_its_other_uses_set_it_up(made):
    classifier = workflows.load(str(made[-1]))
    classifier.tokenizer("a text", truncation=True, max_length=7)  # as another thread may do
    workflows.watch.Watch(classifier).see(own(30, 1))
    assert classifier.tokenizer.backend_tokenizer.truncation["max_length"] == 7


def test_few_texts_are_told_for_their_script_alone(made):
    assert said(str(made[-1]), other(19)) == [] and said(str(made[-1]), other(1) * 500) == []
    (told,) = said(str(made[-1]), RUSSIAN)
    assert "trained on: 100% of their letters are Cyrillic; its measured" in told
    assert said(str(made[-1]), ["Да!"]) == said(str(made[-1]), []) == said(str(made[-1]), [None, " "]) == []


def test_texts_that_differ_far_behind_in_a_file_are_seen(made, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(prediction, "CHUNK", 50)
    (tmp_path / "in.txt").write_text("\n".join(own(50, 1) + other(150)) + "\n")
    assert main(["predict", str(made[-1]), str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.csv")]) == 0
    assert "of another kind" in capsys.readouterr().err


def test_answers_weights_and_all_other_files_are_the_same_with_it_and_without(made, tmp_path):
    fitted, _, folder = made
    plain = shutil.copytree(folder / "model", tmp_path / "model")
    (plain / text_kind.FILE).unlink()
    for texts in (own(70, 1), other(70), [None, "", *RUSSIAN]):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pd.testing.assert_frame_equal(
                textlab.predict(folder, texts), textlab.predict(plain, texts), check_exact=True
            )
    assert said(str(plain), other(70)) == []
    whole = {file.name: file.read_bytes() for file in (folder / "model").iterdir()}
    assert whole.keys() - {text_kind.FILE} == {file.name for file in plain.iterdir()}
    assert training.weights_sha256(fitted.model) == hub.resolve_model(str(plain)).files["model.safetensors"]


def test_a_model_that_is_saved_over_another_has_not_its_kind(made, tmp_path):
    fitted = made[0]
    training.save(fitted, tmp_path / "model")
    training.save(dataclasses.replace(fitted, kind=None), tmp_path / "model")
    assert not (tmp_path / "model" / text_kind.FILE).exists()


def test_it_goes_where_the_model_goes(made, store):
    fitted, tokenizer, folder = made
    tracking.connect(store, "tests")
    with tracking.run("x") as active:
        beside = {text_kind.FILE: fitted.kind.text()}
        tracking.log_model(fitted.model, tokenizer, ["text 1"], "mine", {}, [], 0, beside=beside)
    logged = Path(mlflow.artifacts.download_artifacts(f"runs:/{active.info.run_id}/model")) / "model"
    assert (logged / text_kind.FILE).read_bytes() == (folder / "model" / text_kind.FILE).read_bytes()
    assert len(said("models:/mine@candidate", other(60), tracking_uri=store)) == 1
    assert said("models:/mine@candidate", own(60, 1), tracking_uri=store) == []
    assert text_kind.FILE in hub.download.allowed([text_kind.FILE, "pickle.bin"], "model")


def test_a_file_that_others_wrote_ends_in_a_line_or_in_answers(made, tmp_path):
    folder = shutil.copytree(made[-1] / "model", tmp_path / "model")
    classifier, refused = workflows.load(str(folder)), 0
    (folder / text_kind.FILE).write_text('{"texts": 3')
    with pytest.raises(InputError, match="model: training_texts.json of .* is refused: EOF"):
        workflows.load(str(folder))
    kind = text_kind.kind_of(classifier.model, classifier.tokenizer, own(20, 3))
    for wrong in random.Random(0).sample(list(altered(json.loads(kind.text()))), 150):
        (folder / text_kind.FILE).write_text(json.dumps(wrong))
        try:
            found = text_kind.read_kind(folder, "mine")
        except InputError:
            refused += 1
            continue
        watch = workflows.watch.Watch(training.Classifier(classifier.model, classifier.tokenizer, [], 24, found))
        watch.see(own(30, 4))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "these texts are of another kind")
            watch.tell()
    assert 0 < refused < 150

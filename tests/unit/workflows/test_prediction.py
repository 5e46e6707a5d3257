"""Answers of a trained model: right, in order, for every format, whole or not at all, in bounded memory."""

import json
import os
import re
import shutil
import subprocess
import sys

import mlflow
import numpy as np
import pandas as pd
import pytest
import torch
from transformers import pipeline

import textlab
from conftest import save_tiny
from textlab import data, hub, settings, tracking, training, workflows
from textlab.__main__ import main
from textlab.data import readers
from textlab.errors import InputError
from textlab.hub import sources
from textlab.machine import environment
from textlab.tracking.store import store_uri
from textlab.training import inference
from textlab.workflows import prediction

LABELS = ["bad", "fair, really", "good"]
TEXTS = [
    "one",
    "a much longer text than all of the others here",
    "two words",
    "x " * 200,
    'Ünïcode, "quoted"; and\tmore',
]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """The folder of a tiny classifier whose answers differ from text to text."""
    return save_tiny(tmp_path_factory.mktemp("run") / "model", LABELS, TEXTS, max_length=24)


@pytest.fixture(scope="module")
def classifier(model):
    return workflows.load(str(model))


@pytest.fixture(autouse=True)
def full_precision(monkeypatch):
    """Compare to rounding errors of fp32 on every machine."""
    monkeypatch.setattr(environment, "precision", lambda: "fp32")


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(prediction, "CHUNK", 4)


def run(*arguments):
    return main(["predict", *map(str, arguments)])


def read(path):
    readers = {
        ".csv": lambda p: pd.read_csv(p, keep_default_na=False, na_values={f"p_{label}": "" for label in LABELS}),
        ".jsonl": lambda p: pd.read_json(p, lines=True, dtype=False),
        ".parquet": pd.read_parquet,
    }
    return readers[path.suffix](path)


def test_probabilities_are_those_of_the_plain_model_one_text_at_a_time(model):
    plain = training.load_model(hub.resolve_model(str(model)), LABELS, settings.Recipe(), seed=0, keep_head=True)
    tokenizer = training.load_tokenizer(hub.resolve_model(str(model)))
    with torch.inference_mode():
        expected = [
            plain.eval()(**tokenizer(text, truncation=True, max_length=24, return_tensors="pt"))
            .logits.softmax(-1)[0]
            .numpy()
            for text in TEXTS
        ]
    table = textlab.predict(model, TEXTS)
    assert list(table) == ["text", "label", *(f"p_{label}" for label in LABELS)] and table["text"].tolist() == TEXTS
    assert table.iloc[:, 2:].to_numpy() == pytest.approx(np.array(expected), abs=1e-4)
    assert table["label"].tolist() == [LABELS[row.argmax()] for row in expected] and table["label"].nunique() > 1


def test_labels_are_those_of_the_pipeline(model, classifier):
    texts = [f"{word} {i} {word * (i % 5)}" for i in range(40) for word in ("joy", "grief", "rain")]
    usual = pipeline("text-classification", model=str(model), device="cpu")(texts, truncation=True, max_length=24)
    assert workflows.predict(classifier, texts)["label"].tolist() == [answer["label"] for answer in usual]


@pytest.mark.parametrize("budget", [1, 30, 10_000])
def test_order_does_not_depend_on_the_batches(classifier, budget):
    def chances(texts, batch_tokens=None):
        return training.probabilities(classifier.model, classifier.tokenizer, texts, 24, batch_tokens)

    assert chances(TEXTS * 3, budget) == pytest.approx(np.tile(chances(TEXTS), (3, 1)), abs=1e-2)
    assert chances(TEXTS[::-1], budget) == pytest.approx(chances(TEXTS)[::-1], abs=1e-2)
    assert chances([]).shape == (0, 3)


def test_half_precision_is_used_where_the_hardware_is_fast_at_it_but_not_for_the_softmax(classifier, monkeypatch):
    exact = training.probabilities(classifier.model, classifier.tokenizer, TEXTS, 24)
    monkeypatch.setattr(environment, "precision", lambda: "bf16")
    monkeypatch.setattr(inference, "CLOSE", 0)
    monkeypatch.setattr(inference, "_deviation", lambda *args: 0)
    rounded = training.probabilities(classifier.model, classifier.tokenizer, TEXTS, 24)
    assert 0 < abs(rounded - exact).max() < 0.1 and rounded.sum(1) == pytest.approx(np.ones(5), abs=1e-6)
    monkeypatch.setattr(inference, "CLOSE", 1.1)  # all are close calls, which fp32 decides
    again = training.probabilities(classifier.model, classifier.tokenizer, TEXTS, 24)
    assert abs(again - exact).max() < abs(rounded - exact).max() / 10


@pytest.mark.parametrize("error", [0.2, float("nan")])
def test_a_model_that_half_precision_does_not_suit_answers_in_fp32(classifier, monkeypatch, error):
    exact, usual = training.probabilities(classifier.model, classifier.tokenizer, TEXTS, 24), inference._forward

    def coarse(model, tokenizer, rows, budget, precision):
        answers = usual(model, tokenizer, rows, budget, "fp32")
        return answers if precision == "fp32" else answers + np.float32([error, -error, 0])

    monkeypatch.setattr(environment, "precision", lambda: "bf16")
    monkeypatch.setattr(inference, "_forward", coarse)
    assert training.probabilities(classifier.model, classifier.tokenizer, TEXTS, 24) == pytest.approx(exact, abs=1e-6)


def test_a_model_that_cannot_be_computed_in_half_precision_answers_in_fp32(classifier, monkeypatch):
    exact = training.probabilities(classifier.model, classifier.tokenizer, TEXTS, 24)
    usual = type(classifier.model).forward

    def forward(self, *args, **kwargs):
        if torch.is_autocast_enabled("cpu"):  # as DeBERTa does, whose mask is a number that bf16 has not
            raise RuntimeError("value cannot be converted to type c10::BFloat16 without overflow")
        return usual(self, *args, **kwargs)

    monkeypatch.setattr(environment, "precision", lambda: "bf16")
    monkeypatch.setattr(type(classifier.model), "forward", forward)
    assert training.probabilities(classifier.model, classifier.tokenizer, TEXTS, 24) == pytest.approx(exact, abs=1e-6)


def test_batches_by_hand():
    assert list(inference._batches([5, 2, 9, 2, 4], budget=8)) == [[1, 3], [4], [0], [2]]
    assert list(inference._batches([], budget=8)) == []


def test_a_model_that_was_training_goes_on_training(classifier):
    classifier.model.train()
    training.probabilities(classifier.model, classifier.tokenizer, ["x"], 24)
    assert classifier.model.training
    classifier.model.eval()


def test_missing_and_blank_texts_get_no_label(classifier):
    table = workflows.predict(classifier, ["fine", None, "  ", float("nan"), "fine"])
    assert table["label"].isna().tolist() == [False, True, True, True, False]
    assert table["p_good"].isna().tolist() == table["label"].isna().tolist()
    assert table["label"][0] == table["label"][4] and table["p_good"][0] == pytest.approx(table["p_good"][4], abs=1e-4)
    assert len(workflows.predict(classifier, [])) == 0 and len(workflows.predict(classifier, [None])) == 1


@pytest.mark.parametrize(
    "texts, message",
    [
        ("one string", "got one string; accepted is a list"),
        (["x", 7], "got 7; accepted are strings"),
        (["x", 0], "got 0; accepted are strings"),
        (["x", "a\ud800b"], r"got 'a\\ud800b'; accepted are strings in Unicode"),
        (pd.DataFrame({"id": [1], "text": ["x"]}), "got a table; accepted is a list of texts; use one of its columns"),
        ({"text": ["x"]}, "got a table"),
    ],
)
def test_what_is_no_text_is_refused(classifier, texts, message):
    with pytest.raises(InputError, match=message):
        workflows.predict(classifier, texts)


def write(folder, form, texts):
    path = folder / f"in{form}"
    frame = pd.DataFrame({"id": range(len(texts)), "Text": texts})
    if form in (".csv", ".tsv"):
        frame.to_csv(path, sep="\t" if form == ".tsv" else ";", index=False)
    elif form == ".jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in frame.to_dict("records")))
    elif form == ".parquet":
        frame.to_parquet(path, row_group_size=3)
    else:
        path.write_text("".join(text + "\n" for text in texts), encoding="utf-8")
    return path


@pytest.mark.parametrize("source", [".txt", ".csv", ".tsv", ".jsonl", ".parquet"])
@pytest.mark.parametrize("target", [".csv", ".jsonl", ".parquet"])
def test_every_format_in_and_out_keeps_rows_and_order(
    classifier, model, tmp_path, small_chunks, capsys, monkeypatch, source, target
):
    monkeypatch.setattr(prediction, "load", lambda *_: classifier)
    texts = ["NA", "007", *TEXTS, "", "last"]
    out = tmp_path / "new" / f"out{target}"
    assert run(model, write(tmp_path, source, texts), "-o", out) == 0
    printed = capsys.readouterr()
    assert (
        printed.out == f"{out}\n" and "9 rows in" in printed.err and "; 1 without a text have no label" in printed.err
    )
    table, expected = read(out), workflows.predict(classifier, texts)
    assert list(table) == list(expected) and table["text"].fillna("").tolist() == texts
    assert table["label"].fillna("").tolist() == expected["label"].fillna("").tolist()
    assert table.iloc[:, 2:].to_numpy(float) == pytest.approx(expected.iloc[:, 2:].to_numpy(), abs=1e-2, nan_ok=True)
    assert [path.name for path in out.parent.iterdir()] == [out.name]


@pytest.mark.parametrize("rows", [1, 3, 4, 5, 8])
def test_no_row_is_lost_or_doubled_at_the_borders_of_chunks(classifier, rows):
    texts = [f"text {i}" for i in range(rows)]
    for size in (1, 4, 5):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(prediction, "CHUNK", size)
            assert workflows.predict(classifier, texts)["text"].tolist() == texts


def test_streams_give_what_the_whole_readers_give(tmp_path):
    texts = [*TEXTS, "two\nlines", "after"] * 500
    for form in (".csv", ".tsv", ".jsonl", ".parquet"):
        path = write(tmp_path, form, texts)
        whole = readers.read_files([path], "", "id")["text"].tolist()
        parts = list(data.stream_texts(path, "", 1000))
        assert [text for part, _ in parts for text in part] == whole == texts
        assert [len(part) for part, _ in parts] == [1000, 1000, 1000, 500]
        shares = [share for _, share in parts]
        assert shares == sorted(shares) and 0 < shares[0] and shares[-1] == 1


@pytest.mark.parametrize(
    "content, texts",
    [
        (b"so fine\n\nso; sad", ["so fine", "", "so; sad"]),
        (b"text;label_name\r\nso; fine;good\r\n\r\nso sad;bad\r\n", ["so; fine", "so sad"]),
    ],
)
def test_a_txt_file_holds_texts_alone_or_says_that_labels_follow(tmp_path, content, texts):
    (tmp_path / "a.txt").write_bytes(content)
    assert list(data.stream_texts(tmp_path / "a.txt", "", 9)) == [(texts, 1.0)]


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.doc", b"x", "a.doc is of an unknown format; accepted are .csv"),
        ("gone.csv", None, "gone.csv cannot be read"),
        ("a.csv", b"", "a.csv has no rows"),
        ("a.csv", b"text\n", "a.csv has no rows"),
        ("a.txt", b"", "a.txt has no rows"),
        (
            "a.csv",
            b"words,n\na,1\n",
            "none of the usual columns (text, sentence, content, tweet); there is: 'words', 'n'",
        ),
        ("a.csv", b"text,n\n" + b"a,1\n" * 3000 + b"a,b,c\n", "Expected 2 fields in line 3002, saw 3"),
        ("a.csv", b"text,n\n" + b"fine,1\n" * 90000 + b"caf\xe9,1\n", "a.csv, line 90002: byte 0xe9 is not UTF-8"),
        ("a.txt", "héllo".encode("utf-16"), "a.txt, line 1: byte 0xff is not UTF-8"),
        ("a.jsonl", b'{"text": "a"}\n' * 9 + b'{"text": "a"', "a.jsonl, line 10: not JSON"),
        ("a.jsonl", b'{"text": "a"}\n{"text": 5}\n', "a.jsonl, line 2: 'text' holds 5; accepted is a text or null"),
        ("a.txt", b"text;label\nso fine;x\nso sad\n", "a.txt, line 3: there is no ';'"),
        ("a.parquet", b"PAR1 but cut", "a.parquet cannot be read"),
        ("a.txt", b"so fine;good\nso sad; bad\n", "a.txt holds lines text;label"),
        ("a.txt", b"so fine;good\n\nso sad; bad\n \n", "a.txt holds lines text;label"),
    ],
)
def test_a_bad_file_is_one_line_status_2_and_no_output(
    classifier, monkeypatch, tmp_path, capsys, name, content, message
):
    monkeypatch.setattr(prediction, "load", lambda *_: classifier)
    monkeypatch.setattr(
        inference, "probabilities", lambda model, tokenizer, texts, max_length: np.zeros((len(texts), 3))
    )
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert run("unused", tmp_path / name, "-o", tmp_path / "out.csv") == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


def test_a_parquet_column_of_numbers_is_no_text_column(tmp_path):
    pd.DataFrame({"text": [None, 5]}).to_parquet(tmp_path / "a.parquet")
    with pytest.raises(
        InputError, match=r"a.parquet, row 2: 'text' holds 5\.0; accepted is a text or null; choose another text_"
    ):
        list(data.stream_texts(tmp_path / "a.parquet", "", 9))


def test_a_parquet_file_that_breaks_off_in_the_middle_leaves_nothing(
    classifier, monkeypatch, tmp_path, capsys, small_chunks
):
    monkeypatch.setattr(prediction, "load", lambda *_: classifier)
    path = write(tmp_path, ".parquet", [f"text number {i} {'abc' * i}" for i in range(60)])
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 300] = bytes(300)
    path.write_bytes(content)
    assert run("unused", path, "-o", tmp_path / "out.csv") == 2
    assert "in.parquet cannot be read" in capsys.readouterr().err and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["in.txt", "-o", "out.xlsx"], "out.xlsx is of an unknown format; accepted are .csv, .jsonl, .parquet"),
        (["in.csv", "-o", "in.csv"], "is the file to read"),
        (["in.txt", "-o", "folder.csv"], "is a folder; name a file"),
        (["in.txt", "-o", "out.csv", "--text-column", "x"], "a txt file has no columns"),
        (["in.csv", "-o", "out.csv", "--text-column", "words"], "no column 'words'; there is: 'text'"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(monkeypatch, tmp_path, capsys, arguments, message):
    monkeypatch.setattr(prediction, "load", lambda *_: pytest.fail("the model was loaded"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.txt").write_text("x\n")
    (tmp_path / "in.csv").write_text("text\nx\n")
    (tmp_path / "folder.csv").mkdir()
    assert run("unused", *arguments) == 2
    printed = capsys.readouterr().err
    assert message in printed and printed.count("\n") == 1 and (tmp_path / "in.csv").read_text() == "text\nx\n"


@pytest.mark.parametrize("load", [workflows.load, hub.resolve_model])
def test_a_folder_that_is_not_there_is_not_asked_for_at_the_hub(load, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "outputs").mkdir()
    monkeypatch.setattr(sources, "resolve", lambda spec, kind: pytest.fail("asked the Hub", pytrace=False))
    for spec in ("outputs/mien", "./mien", "../mien", str(tmp_path / "mien")):
        with pytest.raises(InputError, match=f"there is no {spec}; check its spelling, or write owner/name@main"):
            load(spec)
    for spec in ("owner/mien", "outputs/mien@main"):
        with pytest.raises(pytest.fail.Exception, match="asked the Hub"):
            load(spec)


@pytest.mark.parametrize("stop, status", [(KeyboardInterrupt(), 130), (OSError(28, "No space left on device"), 1)])
def test_a_stopped_job_leaves_the_old_output_alone(classifier, monkeypatch, tmp_path, small_chunks, stop, status):
    monkeypatch.setattr(prediction, "load", lambda *_: classifier)
    seen = []

    def table(self, texts, original=training.Classifier.table):
        seen.append(texts)
        if len(seen) == 2:
            raise stop
        return original(self, texts)

    monkeypatch.setattr(training.Classifier, "table", table)
    (tmp_path / "out.csv").write_text("the old one")
    (tmp_path / "in.txt").write_text("x\n" * 20)
    assert run("unused", tmp_path / "in.txt", "-o", tmp_path / "out.csv") == status
    assert {p.name for p in tmp_path.iterdir()} == {"in.txt", "out.csv"} and (
        tmp_path / "out.csv"
    ).read_text() == "the old one"


@pytest.mark.parametrize(
    "break_it, message",
    [
        (lambda folder: (folder / "model.safetensors").write_bytes(b"half"), "cannot be loaded"),
        (lambda folder: (folder / "config.json").write_text("{"), "cannot be loaded"),
        (lambda folder: (folder / "config.json").unlink(), "is not a model folder"),
    ],
)
def test_a_damaged_model_is_one_line(model, tmp_path, break_it, message):
    import shutil

    shutil.copytree(model, tmp_path / "m")
    break_it(tmp_path / "m")
    with pytest.raises(InputError, match=message) as error:
        workflows.load(str(tmp_path / "m"))
    assert "\n" not in str(error.value)


def test_a_model_that_was_never_trained_to_classify_is_refused():
    with pytest.raises(InputError, match="tiny has no trained classifier .*; fine-tune it first"):
        workflows.load("tiny")


def test_the_folder_of_a_run_will_do(model, classifier):
    again = workflows.load(str(model.parent))
    assert again.labels == LABELS and again.max_length == classifier.max_length == 24


def test_a_model_that_did_not_pass_its_checks_says_so(model, tmp_path, capsys):
    bad = shutil.copytree(model, tmp_path / "bad")
    config = json.loads((bad / "config.json").read_text())
    (tmp_path / "in.txt").write_text("one\n")
    for guards, told in (
        ([], ""),
        (["It is bad.", "Very."], f"textlab: {bad} did not pass its checks: It is bad. Very.\n"),
    ):
        (bad / "config.json").write_text(json.dumps(config | {"guards": guards}))
        assert run(bad, tmp_path / "in.txt", "-o", tmp_path / "out.csv") == 0
        assert "".join(re.findall("textlab: .*\n", capsys.readouterr().err)) == told
    with pytest.warns(UserWarning, match="did not pass its checks"):
        textlab.predict(bad, ["one"])
    again = training.load_model(hub.resolve_model(str(bad)), LABELS, settings.Recipe(), seed=0)
    assert not hasattr(again.config, "guards")  # with a new head it is another model


def test_training_records_the_length_that_prediction_cuts_at(tmp_path):
    from datasets import ClassLabel, Dataset, DatasetDict, Features, Value

    features = Features({"text": Value("string"), "label": ClassLabel(names=["bad", "good"])})
    rows = Dataset.from_dict({"text": ["awful", "lovely"] * 8, "label": [0, 1] * 8}, features)
    source, recipe = hub.resolve_model("tiny"), settings.make_recipe("short_text", max_length=17, epochs=1)
    tokenizer = training.load_tokenizer(source)
    tokens = data.tokenize(DatasetDict(train=rows, validation=rows), tokenizer, 17)
    fitted = training.fit(
        training.load_model(source, ["bad", "good"], recipe, 1),
        tokenizer,
        tokens,
        recipe,
        1,
        training.Resumable(tmp_path),
    )
    training.save(fitted, tmp_path / "model")
    assert workflows.load(str(tmp_path)).max_length == 17


def test_models_come_from_registry_and_runs(model, classifier, store, tmp_path):
    tracking.connect(store, "tests")
    with tracking.run("x") as active:
        plain = training.load_model(hub.resolve_model(str(model)), LABELS, settings.Recipe(), seed=0, keep_head=True)
        version = tracking.log_model(plain, classifier.tokenizer, ["text 1"], "mine", {}, [], 0)
    tracking.set_alias("mine", "champion", version)
    expected = workflows.predict(classifier, TEXTS)
    run_id = active.info.run_id
    elsewhere = f"sqlite:///{tmp_path / 'elsewhere.db'}"
    for uri in ("models:/mine@champion", f"models:/mine/{version}", f"runs:/{run_id}", f"runs:/{run_id}/model", run_id):
        mlflow.set_tracking_uri(elsewhere)  # what a new process begins with is another store
        mlflow.set_registry_uri(elsewhere)
        pd.testing.assert_frame_equal(workflows.predict(uri, TEXTS, tracking_uri=store), expected)
        assert mlflow.get_tracking_uri() == mlflow.get_registry_uri() == elsewhere  # what else runs here goes on there
    folder = os.path.dirname(store.removeprefix("sqlite:///"))
    pd.testing.assert_frame_equal(workflows.predict("models:/mine@champion", TEXTS, tracking_uri=folder), expected)
    for uri, message in (
        ("models:/mine@nobody", "cannot be had"),
        ("models:/other/1", "cannot be had"),
        ("a" * 32, "cannot be had"),
    ):
        with pytest.raises(InputError, match=message) as error:
            workflows.load(uri, store)
        assert "\n" not in str(error.value)
    with pytest.raises(InputError, match="there is no tracking store yet"):
        workflows.load("models:/mine@champion", store_uri(model.parent / "nothing"))


def test_predict_is_there_but_importing_the_package_loads_no_torch():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, textlab; assert 'torch' not in sys.modules; print(textlab.predict.__name__)",
        ],
        capture_output=True,
        text=True,
    )
    assert done.stdout == "predict\n", done.stderr
    with pytest.raises(AttributeError, match="no attribute 'predikt'"):
        _ = textlab.predikt


def test_help_has_examples(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert "python -m textlab predict outputs/demo texts.txt -o labelled.csv" in capsys.readouterr().out


@pytest.mark.slow
def test_memory_does_not_grow_with_the_rows(model, tmp_path):
    def peak(rows):
        path = tmp_path / f"{rows}.txt"
        path.write_text("".join(f"the text of row number {i} of this file\n" for i in range(rows)))
        code = (
            "import resource, sys; from textlab.__main__ import main; status = main(sys.argv[1:]); "
            "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr); sys.exit(status)"
        )
        done = subprocess.run(
            [sys.executable, "-c", code, "predict", str(model), str(path), "-o", str(tmp_path / "out.parquet")],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(done.stderr.splitlines()[-1])

    assert peak(100_000) < 1.1 * peak(10_000)


def test_a_loaded_model_labels_files_without_being_loaded_again(model, classifier, tmp_path, monkeypatch):
    (tmp_path / "in.csv").write_text("text\none\ntwo words\n")
    workflows.predict_file(str(model), tmp_path / "in.csv", tmp_path / "first.csv")
    monkeypatch.setattr(prediction, "load", None)
    workflows.predict_file(classifier, tmp_path / "in.csv", tmp_path / "second.csv")
    assert (tmp_path / "first.csv").read_bytes() == (tmp_path / "second.csv").read_bytes()

"""Repeating runs: what was changed is named, verdicts follow from the figures, a synced run repeats from its copy."""

import json
import shutil
import sqlite3
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file
from test_record import CSV

from conftest import altered, error
from textlab import data, evaluation, hub, settings, tracking, training, workflows
from textlab.__main__ import main
from textlab.errors import InputError
from textlab.machine import environment
from textlab.notebooks import results
from textlab.settings import parameters
from textlab.tracking import store, sync
from textlab.workflows import record, reproduction
from textlab.workflows.receipt import CANNOT, NOT, REPRODUCED, WITHIN, judge
from textlab.workflows.recorded_run import RecordedRun

CHECKED = "CAN BE REPEATED"
CHOSEN = {
    "epochs": 1,
    "batch_size": 8,
    "learning_rate": 3e-3,
    "max_length": 16,
    "recipe_options": {"frozen_share": 0.0},
}


@pytest.fixture(scope="module")
def origin(tmp_path_factory, empty_store):
    """A folder with data, a model, a store with the run of one training, and the output folder `out` of another."""
    folder = tmp_path_factory.mktemp("origin")
    (folder / "mine.csv").write_text(CSV)
    shutil.copytree(hub.resolve_model("tiny").path, folder / "base")
    (folder / "mlflow").mkdir()
    shutil.copy(empty_store, folder / "mlflow")
    values = CHOSEN | {"dataset": str(folder / "mine.csv"), "model": str(folder / "base")}
    uri = tracking.connect(store.store_uri(folder / "mlflow"), "mine")
    cfg = parameters.check(
        "03_mlflow_tracking", parameters.defaults("03_mlflow_tracking") | {"max_train_rows": None} | values
    )
    bench = workflows.Workbench(cfg, folder)
    with tracking.run("trial 1") as active:
        trained = bench.train(active.info.run_id, bench.base, cfg.seed, validate_at=[0.5], final=True)
        bench.finish(trained)
    (folder / "run_id").write_text(active.info.run_id)

    cfg = parameters.check("02_fine_tuning", parameters.defaults("02_fine_tuning") | values)
    texts, scores, told = bench.texts, {}, {}
    for split in ("validation", "test"):
        ids = trained.answers[split]
        scores[split], told[split] = evaluation.score(texts.splits[split], ids), record.predictions(texts, split, ids)
    digest = training.save(trained.fit, folder / "out" / "model")
    kept = record.make("02_fine_tuning", cfg, texts, bench.source, trained.fit, digest, told, scores)
    record.write_predictions(folder / "out", told)
    results.write(folder / "out", "02_fine_tuning", **record.for_results(kept))
    assert uri.startswith("sqlite")
    return folder


@pytest.fixture
def here(origin, tmp_path, monkeypatch):
    """A copy of that in another folder, to tamper with; the original data and model stay where they were."""
    shutil.copytree(origin, tmp_path / "copy")
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(tmp_path / "outputs"))
    return tmp_path / "copy"


def run_id(here):
    return (here / "run_id").read_text()


def check(here, run="", **options):
    """Check the tracked run against data and model of the copy."""
    return reproduction.reproduce(
        run or run_id(here), True, str(here), dataset=str(here / "mine.csv"), model=str(here / "base"), **options
    )


def edit(path, **changes):
    """Change top-level values of a results file."""
    content = json.loads(path.read_text())
    path.write_text(json.dumps(content | changes))


def why(receipt):
    return "; ".join(receipt.content["why"])


# Tampering


def test_nothing_is_wrong_with_what_nobody_touched(here):
    receipt = check(here)
    assert (receipt.verdict, receipt.status) == (CHECKED, 0) and "nothing may differ" in why(receipt)
    assert {row["same"] for row in receipt.content["same"]} == {"yes"}
    assert check(here, str(here / "out")).verdict == CHECKED


def rows(change):
    def tamper(here):
        lines = (here / "mine.csv").read_text().splitlines()
        change(lines)
        (here / "mine.csv").write_text("\n".join(lines) + "\n")

    return tamper


def swap(lines):
    lines[3], lines[4] = lines[4], lines[3]


def one_byte(here):
    weights = load_file(here / "base" / "model.safetensors")
    name = sorted(weights)[0]
    raw = weights[name].view(torch.uint8)
    raw.view(-1)[0] ^= 1
    save_file(weights, here / "base" / "model.safetensors", {"format": "pt"})


def tokenizer(here):
    path = here / "base" / "tokenizer.json"
    path.write_text(path.read_text().replace('"lowercase": true', '"lowercase": false', 1))


@pytest.mark.parametrize(
    "tamper, words",
    [
        (rows(lambda lines: lines.__setitem__(5, lines[5].replace("thing", "theng"))), "data: the "),  # one row
        (
            rows(
                lambda lines: lines.__setitem__(
                    5, lines[5].replace("good", "bad") if "good" in lines[5] else lines[5].replace("bad", "good")
                )
            ),
            "data: the ",
        ),  # one label
        (rows(swap), "data: the "),  # the order of rows
        (
            lambda here: (here / "mine.csv").write_text(CSV.replace("thing", "day")),
            "data: the train rows",
        ),  # another file
        (lambda here: (here / "mine.csv").unlink(), "does not exist"),
        (one_byte, "model: model.safetensors "),
        (tokenizer, "model: tokenizer.json "),
        (lambda here: shutil.rmtree(here / "base"), "model: "),
    ],
)
def test_other_data_or_another_model_cannot_be_repeated_with(here, tamper, words):
    tamper(here)
    for run in ("", str(here / "out")):
        receipt = check(here, run)
        assert (receipt.verdict, receipt.status) == (CANNOT, 2) and words in why(receipt), why(receipt)


def sql(here, statement):
    with sqlite3.connect(here / "mlflow" / "mlflow.db") as database:
        changed = sum(
            database.execute(statement.format(table=table)).rowcount
            for table in (("metrics", "latest_metrics") if "{table}" in statement else ("",))
        )
    database.close()
    assert changed >= 1


@pytest.mark.parametrize(
    "tamper, words",
    [
        (
            lambda here: sql(here, "update {table} set value = 0.99 where key = 'test_accuracy'"),
            "the store says test_accuracy 0.99, its record",
        ),
        (
            lambda here: sql(here, "update params set value = '0.001' where key = 'learning_rate'"),
            "the store says learning_rate 0.001, its record 0.003",
        ),
        (
            lambda here: sql(here, "update params set value = '43' where key = 'seed'"),
            "the store says seed 43, its record 42",
        ),
        (
            lambda here: artifact(here, "test.json", '"predicted": [\n    0', '"predicted": [\n    1'),
            "the predictions file of test was altered",
        ),
        (
            lambda here: artifact(here, "record.json", '"learning_rate": 0.003', '"learning_rate": 0.004'),
            "its record was altered",
        ),
        (lambda here: next(here.rglob("record.json")).unlink(), "it has no record"),
    ],
)
def test_an_edit_in_the_store_is_named(here, tamper, words):
    tamper(here)
    receipt = check(here)
    assert (receipt.verdict, receipt.status) == (CANNOT, 2) and words in why(receipt), why(receipt)


def artifact(here, name, old, new):
    path = next(path for path in (here / "mlflow" / "artifacts").rglob(name))
    text = path.read_text()
    if old not in text:  # the first answer may be either
        old, new = new, old
    assert old in text
    path.write_text(text.replace(old, new, 1))


def predictions_file(here):
    path = here / "out" / "predictions" / "validation.json"
    content = json.loads(path.read_text())
    content["predicted"][0] = 1 - content["predicted"][0]
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    "tamper, words",
    [
        (lambda here: edit(here / "out" / "results" / "02_fine_tuning.json", seed=43), "its record was altered"),
        (
            lambda here: edit(here / "out" / "results" / "02_fine_tuning.json", test={"accuracy": 0.99}),
            "its record was altered",
        ),
        (lambda here: edit(here / "out" / "results" / "02_fine_tuning.json", record=None), "it has no record"),
        (
            lambda here: edit(here / "out" / "results" / "02_fine_tuning.json", environment={"torch": "9"}),
            "its record was altered",
        ),
        (predictions_file, "the predictions file of validation was altered"),
        (
            lambda here: shutil.copy(here / "base" / "model.safetensors", here / "out" / "model"),
            "is not the model that was trained",
        ),
    ],
)
def test_an_edit_in_the_output_folder_is_named(here, tamper, words):
    tamper(here)
    for run in (here / "out", here / "out" / "results" / "02_fine_tuning.json"):
        receipt = check(here, str(run))
        assert (receipt.verdict, receipt.status) == (CANNOT, 2) and words in why(receipt), why(receipt)


def test_another_package_version_and_changed_code_are_named(here, monkeypatch):
    usual, code = environment.fingerprint, record.code
    monkeypatch.setattr(environment, "fingerprint", lambda: usual() | {"torch": "2.12.0+cu128"})
    monkeypatch.setattr(reproduction, "code", lambda notebook: code(notebook) | {"training/trainer.py": "0" * 64})
    receipt = check(here)
    table = {row["what"]: row for row in receipt.content["same"]}
    assert "torch 2.12.0+cu128" in table["packages"]["here"] and "training/trainer.py 0000" in table["code"]["here"]
    assert (
        receipt.verdict == CHECKED
        and "the published tolerance applies, since something else is here: code, packages" in why(receipt)
    )
    assert "training/trainer.py 0000" in receipt.text()


def forge(here, **changes):
    """Change a record and give it a digest that fits, in the store's parameters too."""
    path = next((here / "mlflow" / "artifacts").rglob("record.json"))
    told = json.loads(path.read_text())
    told["seed"] = changes.get("seed", told["seed"])
    told["params"]["resolved"] |= {name: value for name, value in changes.items() if name != "seed"}
    path.write_text(json.dumps(record.seal(told)))
    for name, value in changes.items():
        sql(here, f"update params set value = '{value}' where key = '{name}'")


@pytest.mark.parametrize("changes", [{"seed": 43}, {"learning_rate": 0.004}], ids=["seed", "learning rate"])
def test_a_forged_record_does_not_give_the_recorded_weights(here, changes):
    forge(here, **changes)
    receipt = reproduction.reproduce(run_id(here), False, str(here))
    assert (receipt.verdict, receipt.status) == (NOT, 1)
    assert "weights" in why(receipt) or "differs by" in why(receipt) or "are equal" in why(receipt)


def reseal(path, told):
    """Write a record with a digest that fits, whatever is in it, into a results file."""
    top = {name: told[name] for name in record.SHARED if name in told}
    rest = {name: value for name, value in told.items() if name not in record.SHARED}
    path.write_text(json.dumps(top | {"status": "completed", "record": rest}))


@pytest.fixture
def record_alone(monkeypatch):
    """Let a record be checked without data, model and machine."""
    monkeypatch.setattr(reproduction, "compare", lambda told, values: reproduction.Here())
    monkeypatch.setattr(reproduction.environment, "fix", lambda *settings: None)  # which would outlast the test


@pytest.mark.usefixtures("record_alone")
def test_a_record_that_was_altered_anywhere_and_sealed_again_ends_in_one_line(here):
    path = here / "out" / "results" / "02_fine_tuning.json"
    told = record.from_results(json.loads(path.read_text()))
    taken, refused = [], 0
    for other in altered(told):
        try:
            content = record.seal(other)
        except (RecursionError, ValueError):
            continue
        reseal(path, content)
        try:
            receipt = check(here, str(here / "out"))
        except InputError as caught:
            assert "\n" not in str(caught) and len(str(caught)) < 600
            refused += 1
            continue
        assert receipt.text() and "\n" not in why(receipt)
        taken += [other] if receipt.verdict == CHECKED else []
        refused += receipt.verdict == CANNOT
    assert refused > 1500
    for other in taken:  # what may be otherwise is of the kind that it was
        for name in ("seed", "labels", "predictions", "weights_sha256", "notebook", "splits"):
            assert type(other.get(name)) is type(told[name])


@pytest.mark.usefixtures("record_alone")
def test_predictions_that_were_altered_and_sealed_again_are_refused(here):
    path, file = here / "out" / "results" / "02_fine_tuning.json", here / "out" / "predictions" / "test.json"
    told, kept = record.from_results(json.loads(path.read_text())), json.loads(file.read_text())
    for other in (*altered(kept), kept | {"other_seeds": {"5": kept["true"][1:]}}, {}):
        file.write_text(json.dumps(other))
        reseal(path, record.seal(told | {"predictions": told["predictions"] | {"test": record.digest(other)}}))
        receipt = check(here, str(here / "out"))
        same = {name: type(other.get(name)) for name in kept} == {name: type(value) for name, value in kept.items()}
        assert receipt.verdict == CANNOT and "\n" not in why(receipt) or same


@pytest.mark.parametrize(
    "content", ["[" * 100_000, '{"record": NaN}', '{"record": 5}', "[]", "1e999", r'{"a": "\ud800"}']
)
def test_a_results_file_that_is_none(here, content):
    path = here / "out" / "results" / "02_fine_tuning.json"
    path.write_text(content)
    assert "is refused: " in error(check, here, str(path))


@pytest.mark.parametrize("digest", ["../../../x", "/tmp/abcdef", 5, ["x"]])
def test_the_digest_of_a_record_names_no_folder(here, tmp_path, digest):
    edit(here / "out" / "results" / "02_fine_tuning.json", record={"sha256": digest})
    receipt = reproduction.reproduce(str(here / "out"))
    assert receipt.verdict == CANNOT and [*(tmp_path / "outputs").rglob("receipt.json")]


@pytest.mark.parametrize(
    "values", [{"id2label": {"0": "good", "1": "bad"}}, {"id2label": None}, {"label2id": {"good": 0, "bad": 1}}]
)
def test_a_model_whose_config_names_other_labels(here, values):
    config = here / "out" / "model" / "config.json"
    assert json.loads(config.read_text())["id2label"] == {"0": "bad", "1": "good"}
    edit(config, **values)
    receipt = check(here, str(here / "out"))
    assert (receipt.verdict, receipt.status) == (CANNOT, 2) and "its labels are not the recorded ones" in why(receipt)


# Verdicts


def found(accuracy=0.9, predicted=(0, 1) * 500, weights="a", precision="fp32"):
    scores = {"accuracy": accuracy, "macro_f1": 0.8, "weighted_f1": 0.7}
    content = {"true": [0, 1] * (len(predicted) // 2), "predicted": list(predicted)}
    told = {
        "test": scores,
        "weights_sha256": weights,
        "predictions": {"test": record.digest(content)},
        "environment": {"precision": precision},
        "data": {"rows": {"test": len(predicted)}},
        "labels": ["bad", "good"],
    }
    return RecordedRun("x", told, {"test": content}, [], "")


@pytest.mark.parametrize(
    "new, same, verdict, words",
    [
        (found(), True, REPRODUCED, ""),
        (found(), False, REPRODUCED, ""),
        (found(weights="b"), True, NOT, "the weights are not the same"),
        (found(weights="b"), False, WITHIN, ""),
        (found(0.901, weights="b"), False, WITHIN, ""),
        (found(0.901, weights="b"), True, NOT, "test accuracy differs by 0.0010, allowed is 0"),
        (found(0.8975, weights="b"), False, WITHIN, ""),  # 0.9 - 0.8975 is above 0.0025
        (found(0.904, weights="b"), False, NOT, "test accuracy differs by 0.0040, allowed is 0.0025"),
        (found(0.904, weights="b", precision="bf16"), False, WITHIN, ""),
        (found(0.906, weights="b", precision="bf16"), False, NOT, "allowed is 0.0045"),
        (found(0.8, weights="b"), False, NOT, "test accuracy differs by 0.1000"),
        (
            found(predicted=(1, 1) * 500, weights="b"),
            False,
            NOT,
            "50.00% of the test predictions are equal",
        ),
        (found(predicted=(1, 1, *(0, 1) * 499), weights="b"), False, WITHIN, "one test answer differs"),
        (
            found(predicted=(*(1, 0) * 5, *(0, 1) * 495), weights="b"),
            False,
            NOT,
            "99.00% of the test predictions are equal, wanted are 99.75%",
        ),
        (
            found(predicted=(1, 1, *(0, 1) * 499), weights="b"),
            True,
            NOT,
            "99.90% of the test predictions are equal, wanted are 100.00%",
        ),
    ],
)
def test_verdicts(new, same, verdict, words):
    said, outcome = judge(found(), new, same)
    assert said == verdict and words in "; ".join(outcome["why"]) and bool(words) == bool(outcome["why"])


@pytest.mark.parametrize("wrong, verdict", [(1, WITHIN), (2, NOT)])
def test_one_answer_of_a_small_split_may_differ(wrong, verdict):
    old, new = (
        found(predicted=[0, 1] * 50),
        found(0.9 - wrong / 100, [1 - answer if i < wrong else answer for i, answer in enumerate([0, 1] * 50)], "b"),
    )
    assert judge(old, new, False)[0] == verdict


@pytest.mark.parametrize("answer", [[1, 1], [1, 0]], ids=["one label", "both labels"])
def test_of_several_labels_a_text_its_answer_counts_once(answer):
    old, new = found(predicted=[[0, 1]] * 100), found(predicted=[answer, *[[0, 1]] * 99], weights="b")
    verdict, outcome = judge(old, new, False)
    assert outcome["predictions"][0]["equal"] == 0.99
    assert verdict == WITHIN and "one test answer differs" in "; ".join(outcome["why"])


def test_without_the_recorded_predictions_only_their_digest_is_compared():
    old = found()
    old.predictions.clear()
    assert judge(old, found(), True)[1]["predictions"][0]["equal"] == 1.0
    verdict, outcome = judge(old, found(predicted=[1] * 1000, weights="b"), False)
    assert outcome["predictions"][0]["equal"] is None and verdict == WITHIN
    assert outcome["why"] == ["the recorded test answers are not here, so only its metrics were compared"]


# Repeats


def test_a_run_synced_to_another_store_is_repeated_by_its_id_on_a_folder_that_never_saw_it(here, tmp_path):
    sync.sync(str(here), str(tmp_path / "other"))
    told = tracking.recorded(run_id(here), store.store_uri(tmp_path / "other"))
    assert told["run_id"] != run_id(here)
    shutil.rmtree(here / "mlflow")
    for identity in (told["run_id"], run_id(here)):  # the copy's own id, and that of the run it is a copy of
        receipt = reproduction.reproduce(
            identity,
            False,
            store.store_uri(tmp_path / "other"),
            tmp_path / "again",
            str(here / "mine.csv"),
            str(here / "base"),
        )
        assert (receipt.verdict, receipt.status) == (REPRODUCED, 0), receipt.text()
    content = json.loads((tmp_path / "again" / "receipt.json").read_text())
    assert (
        content["verdict"] == REPRODUCED
        and record.fault(content) == ""
        and "REPRODUCED" in (tmp_path / "again" / "receipt.txt").read_text()
    )
    assert (
        all(row["difference"] == 0 and row["tolerance"] == 0 for row in content["metrics"])
        and len(content["metrics"]) == 6
    )
    tracking.connect(store.store_uri(tmp_path / "again" / "mlflow"), reproduction.EXPERIMENT, create=False)
    table = tracking.runs(reproduction.EXPERIMENT)
    assert set(table["tags.verdict"]) == {REPRODUCED} and told["run_id"] in set(table["tags.reproduces"])
    client = store.open_client(store.store_uri(tmp_path / "again" / "mlflow"))
    assert {"receipt.json", "receipt.txt", "record.json"} <= {
        file.path for file in client.list_artifacts(table["run_id"].iloc[0])
    }


def test_a_trial_after_others_is_the_same_as_alone(tmp_path, store):
    """What trainings of a sweep share, such as the answers of frozen layers, must not tell in the weights."""
    cfg = parameters.check(
        "03_mlflow_tracking",
        parameters.defaults("03_mlflow_tracking")
        | CHOSEN
        | {"model": "packaged", "max_train_rows": 40, "recipe_options": {"attention": "eager"}},
    )
    texts = data.load("packaged", max_train_rows=40)
    tracking.connect(store, "sweep")

    def weights(bench, **chosen):
        bench.texts.splits["validation"] = texts.splits["validation"].select(range(20))
        with tracking.run("trial") as active:
            bench.train(active, settings.from_params(cfg).__class__(**vars(bench.base) | chosen), 1)
        return tracking.recorded(active.info.run_id, store)["record"]["weights_sha256"]

    shared = workflows.Workbench(cfg, tmp_path)
    for before in ({"attention": "sdpa"}, {"max_length": 8}):
        weights(shared, **before)
    assert weights(shared) == weights(workflows.Workbench(cfg, tmp_path))


# What users see


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["nowhere"], "accepted are an MLflow run id, a results file, or the output folder of a run"),
        (["."], "has no results/02_fine_tuning.json"),
        (["f" * 32], "--tracking-uri names another store"),
        (["broken.json"], "is refused"),
        (["f" * 32, "--tracking-uri", "none"], "no tracking store"),
    ],
)
def test_bad_input_is_one_line_and_status_2(here, tmp_path, monkeypatch, capsys, arguments, words):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TEXTLAB_OUTPUTS", str(here))
    (tmp_path / "broken.json").write_text("{")
    assert main(["reproduce", *arguments, "--only-check"]) == 2
    printed = capsys.readouterr()
    assert words in printed.err and printed.err.count("\n") == 1 and not printed.out


def test_the_run_itself_is_not_written_over(here, capsys):
    assert main(["reproduce", str(here / "out"), "--out", str(here / "out")]) == 2
    assert "is the folder of the run that is to be repeated" in capsys.readouterr().err


def test_a_folder_for_the_repeat_that_cannot_be_made_is_bad_input(here, capsys):
    assert main(["reproduce", str(here / "out"), "--out", str(here / "mine.csv")]) == 2
    assert f"the output folder {here / 'mine.csv'} cannot be made (File exists)" in capsys.readouterr().err


def test_the_command_prints_the_table_and_its_status(here, capsys):
    options = [
        "--tracking-uri",
        str(here),
        "--only-check",
        "--dataset",
        str(here / "mine.csv"),
        "--model",
        str(here / "base"),
    ]
    assert main(["reproduce", run_id(here), *options]) == 0
    assert "CAN BE REPEATED: all is the same" in (said := capsys.readouterr().out) and "train rows" in said
    one_byte(here)
    assert main(["reproduce", run_id(here), *options]) == 2
    assert "CANNOT BE REPEATED: model: model.safetensors" in capsys.readouterr().out


def test_a_hub_source_is_asked_for_at_the_recorded_revision():
    told = {
        "notebook": "02_fine_tuning",
        "params": {"dataset": "owner/data", "model": "packaged", "resolved": {"epochs": 4}},
        "data": {"source": "owner/data", "revision": "a" * 40},
        "model": {"source": hub.PACKAGED, "revision": "b" * 40},
    }
    assert reproduction._parameters(told, {"dataset": "", "model": ""}) == {
        "dataset": f"owner/data@{'a' * 40}",
        "model": "packaged",
        # What was so when records did not say it: one label a text, the best epoch was kept, and no extra for few rows.
        "labels": "single",
        "recipe_options": {"keep": "best", "contrastive": 0.0, "label_names": 0, "epochs": 4},
    }


def test_a_search_space_that_is_refused_now_keeps_no_older_training_from_being_repeated():
    told = {
        "notebook": "03_mlflow_tracking",
        "params": {"search_space": {"keep": ["best", "last"]}, "dataset": "packaged", "model": "packaged", "epochs": 2},
        "data": {},
        "model": {},
    }
    told["params"]["resolved"] = {"epochs": 2}
    assert record.recipe(told).epochs == 2
    assert "search_space" not in reproduction._parameters(told, {"dataset": "", "model": ""})


def test_a_loaded_models_answers_are_compared_with_the_recorded_ones(here, monkeypatch):
    uri = tracking.connect(store.store_uri(here / "mlflow"), "mine")
    assert "none are recorded" in workflows.answers_again(run_id(here), uri, lambda texts: [])  # of the kept model
    told = tracking.predictions(run_id(here), "test")
    monkeypatch.setattr(tracking, "predictions", lambda run, file: told if file == "test_kept" else None)
    own = told["predicted"]
    rows = min(5, len(own))
    for answers, same in ((own, rows), ([1 - own[0], *own[1:]], rows - 1)):
        words = workflows.answers_again(run_id(here), uri, Pipeline(told["labels"], answers), most=5)
        assert words == f"same label as recorded for {same} of {rows} test texts"


class Pipeline:
    """Stand for transformers' pipeline: the first texts get these answers, whatever they are."""

    model = SimpleNamespace(config=SimpleNamespace(problem_type=None))

    def __init__(self, labels, answers):
        self.labels, self.answers = labels, answers

    def __call__(self, texts, top_k):
        return [
            [{"label": label, "score": 0.9 if number == answer else 0.1} for number, label in enumerate(self.labels)]
            for answer in self.answers[: len(texts)]
        ]


def test_answers_are_not_compared_where_the_data_are_gone(here, monkeypatch):
    uri = tracking.connect(store.store_uri(here / "mlflow"), "mine")
    record = tracking.recorded(run_id(here), uri)["record"]
    record["params"]["dataset"] = str(here / "gone.csv")
    monkeypatch.setattr(tracking, "recorded", lambda *_: {"record": record})
    words = workflows.answers_again(run_id(here), uri, lambda texts: [])
    assert "not compared, for the data cannot be had" in words and "gone.csv" in words


def test_answers_are_not_compared_where_there_is_no_record(here):
    uri = tracking.connect(store.store_uri(here / "mlflow"), "mine")
    with tracking.run("without a record") as bare:
        pass
    words = workflows.answers_again(bare.info.run_id, uri, lambda texts: [])
    assert words == "its answers were not compared, for it has no record that can be read"

"""The notebooks as users run them: by papermill from anywhere, by the two commands, and compared by nbval."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

import browser
from conftest import NOTEBOOKS, ROOT
from textlab import tracking, workflows
from textlab.tracking import store

EMOTION = ROOT.parent / "shared" / "emotion"
BIN = Path(sys.executable).parent


def run(*command, **options):
    return subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=1500, **options)


def run_verb(*arguments, **options):
    return run(sys.executable, "-m", "textlab", *arguments, **options)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """All four notebooks run by `textlab run all`, in a folder of its own; the finished process and the folder."""
    folder = tmp_path_factory.mktemp("smoke")
    return run(sys.executable, "-m", "textlab", "run", "all", "--profile", "smoke", "--out", folder, cwd="/"), folder


def test_all_four_notebooks_run(smoke):
    done, folder = smoke
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(folder / "index.html")
    assert "Traceback" not in done.stderr and "arning" not in done.stderr
    for name in NOTEBOOKS:
        assert json.loads((folder / "results" / f"{name}.json").read_text())["status"] == "completed"
        assert (folder / f"{name}.html").stat().st_size > 100_000
        assert "completed after" in (folder / "logs" / f"{name}.log").read_text()


def test_everything_stays_in_the_folder(smoke):
    _, folder = smoke
    assert (folder / "mlflow" / "mlflow.db").is_file() and (folder / "mlflow" / "artifacts").is_dir()
    assert not [path for path in folder.rglob("*") if path.name.startswith(".") and "draft" in path.name]


def test_results_have_the_promised_form(smoke):
    found = json.loads((smoke[1] / "results" / "02_fine_tuning.json").read_text())
    assert found["data"]["rows"] == {"train": 60, "validation": 440, "test": 803}
    assert found["data"]["source"] == "packaged" and len(found["data"]["sha256"]) == 64
    assert found["model"]["source"] == "tiny" and found["model"]["parameters"] > 900_000
    for part in (found["validation"], found["test"]):
        assert part.keys() >= {"accuracy", "macro_f1", "weighted_f1", "accuracy_ci95", "macro_f1_ci95"}
        low, high = part["accuracy_ci95"]
        assert 0 <= low <= part["accuracy"] <= high <= 1
    assert found["baselines"].keys() == {"majority", "tfidf_svm", "linear_probe"}
    assert found["train"]["epochs"] == 2 and found["train"]["seconds"] > 0 and found["train"]["samples_per_second"] > 0
    assert len(found["weights_sha256"]) == 64 and found["seed"] == 42 and found["environment"]["torch"]


def test_notebook_1_has_candidates_to_compare_with_the_hub_and_without(smoke):
    found = json.loads((smoke[1] / "results" / "01_hub_exploration.json").read_text())["candidates"]
    assert len(found["models"]) == 12 and len(found["datasets"]) >= 10 and "huggingface.co" in found["origin"]
    page = (smoke[1] / "01_hub_exploration.html").read_text()
    assert "\nNone passes" not in page and "<td>None" not in page and "<td>nan" not in page.lower()


def test_the_runs_can_be_repeated_from_their_records(smoke, tmp_path):
    _, folder = smoke
    for run in (folder / "results" / "02_fine_tuning.json", folder / "results" / "03_mlflow_tracking.json"):
        done = run_verb("reproduce", run, "--out", tmp_path / run.stem, env=os.environ | {"PYTHONHASHSEED": "11"})
        assert done.returncode == 0 and done.stdout.strip().endswith("\nREPRODUCED"), done.stdout + done.stderr
    found = json.loads((folder / "results" / "02_fine_tuning.json").read_text())
    assert (
        json.loads((tmp_path / "02_fine_tuning" / "receipt.json").read_text())["weights"]["now"]
        == found["weights_sha256"]
    )
    best = json.loads((folder / "results" / "03_mlflow_tracking.json").read_text())["record"]
    assert best["looks"] == [] and best["finished"] and "sweep_options" not in best["params"]


def test_further_seeds_make_the_headline_a_mean(tmp_path):
    done = run_verb("run", "02", "--profile", "smoke", "-p", "seeds", "[1, 42, 2]", "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "results" / "02_fine_tuning.json").read_text())
    assert found["seeds"] == [42, 1, 2] and len(found["record"]["other_seeds"]) == 2
    over = {row["metric"]: row for row in found["over_seeds"]["test"]}
    assert over["accuracy"]["mean"] == pytest.approx(found["test"]["accuracy"]) and over["accuracy"]["seeds"] == 3
    assert found["test"]["accuracy_ci95"][0] <= over["accuracy"]["mean"] <= found["test"]["accuracy_ci95"][1]
    page = (tmp_path / "index.html").read_text()
    assert "mean of 3 seeds" in page and "mean of the seeds 42, 1, 2" in page
    assert "means over the seeds 42, 1, 2" in (tmp_path / "model" / "README.md").read_text()


def test_a_useless_model_is_called_out_everywhere(smoke):
    """The tiny model learns nothing from 60 rows: results, pages and registry say so, and nobody promotes it."""
    _, folder = smoke
    guards = json.loads((folder / "results" / "02_fine_tuning.json").read_text())["guards"]
    assert any("does not beat" in guard for guard in guards)
    for page in ("02_fine_tuning.html", "index.html", "sweep_summary.html"):
        assert "does not beat" in (folder / page).read_text(), page
    assert "champion" not in json.loads((folder / "results" / "04_sweep_analysis.json").read_text())
    for model in (str(folder), "models:/smoke@candidate"):
        with pytest.warns(UserWarning, match="did not pass its checks: .* does not beat"):
            workflows.load(model, str(folder))


def test_trials_are_children_of_one_parent_and_only_winners_are_registered(smoke):
    tracking.connect(store.store_uri(smoke[1] / "mlflow"), "smoke", create=False)
    table = tracking.runs("smoke", only_finished=False)
    assert set(table.loc[table["tags.trial_state"] != "pruned", "status"]) == {"FINISHED"}
    trials = table[table["tags.role"] == "trial"]
    assert sorted(trials["name"]) == ["trial 1", "trial 2", "trial 3"] and table["parent"].dropna().nunique() == 1
    completed = (trials["status"] == "FINISHED").sum()  # the best two are repeated, and the default settings
    roles = table["tags.role"].value_counts().to_dict()
    assert roles.pop("repeat") in {min(completed, 2), 3} and table["name"].str.startswith("trial 1, seed").sum() == 1
    (picked,) = table.loc[table["tags.picked"].notna(), "tags.role"]  # the default settings, or others
    finals = {"first": 1} | ({"winner": 1} if picked == "winner" else {})
    assert roles == {"trial": 3} | finals and picked in finals
    scored = table[table["metrics.test_macro_f1"].notna()]
    assert set(scored["tags.role"]) == {*finals}  # test is scored for what is registered alone
    assert len(tracking.model_versions("smoke")) == len(finals)
    assert tracking.metric_history(trials["run_id"].iloc[0], "train_loss")["value"].gt(0).all()


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_plain_papermill_works_from_anywhere_without_a_warning(name, tmp_path, smoke):
    options = ["-p", "tracking_uri", f"sqlite:///{smoke[1]}/mlflow/mlflow.db"] if name[:2] in ("03", "04") else []
    done = run(
        BIN / "papermill",
        ROOT / "notebooks" / f"{name}.ipynb",
        "out.ipynb",
        "-f",
        ROOT / "params" / "smoke" / f"{name}.yaml",
        "-p",
        "output_dir",
        tmp_path / "o",
        *options,
        "--no-progress-bar",
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "warn" not in done.stderr.lower(), done.stderr
    book = json.loads((tmp_path / "out.ipynb").read_text())
    assert all(out.get("name") != "stderr" for cell in book["cells"] for out in cell.get("outputs", []))
    assert json.loads((tmp_path / "o" / "results" / f"{name}.json").read_text())["status"] == "completed"


def test_notebook_4_without_runs_says_one_clear_sentence(tmp_path):
    done = run(sys.executable, "-m", "textlab", "run", "04", "--profile", "smoke", "--out", tmp_path / "empty")
    assert done.returncode == 2
    assert "there is no tracking store yet" in done.stderr and "run notebook 03_mlflow_tracking first" in done.stderr
    assert "Traceback" not in done.stderr


def test_own_data_without_a_test_split_gets_no_test_figures(tmp_path):
    data = tmp_path / "mine"
    data.mkdir()
    words = {"good": "lovely fine sunny kind", "bad": "awful nasty grim rotten"}
    rows = [
        f"a {word} thing number {i};{label}"
        for label, some in words.items()
        for i in range(12)
        for word in some.split()
    ]
    (data / "train.txt").write_text("\n".join(rows[::2]), encoding="utf-8")
    (data / "val.txt").write_text("\n".join(rows[1::2]), encoding="utf-8")
    done = run(
        sys.executable,
        "-m",
        "textlab",
        "run",
        "02",
        "--profile",
        "smoke",
        "-p",
        "dataset",
        data,
        "--out",
        tmp_path / "run",
    )
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "run" / "results" / "02_fine_tuning.json").read_text())
    assert "test" not in found and any("no test figures" in note for note in found["notes"])
    assert "on validation" in (tmp_path / "run" / "index.html").read_text()


@pytest.mark.parametrize("names", [NOTEBOOKS[:2], pytest.param(NOTEBOOKS, marks=pytest.mark.slow)], ids=len)
def test_nbval_finds_the_committed_outputs_again(names, tmp_path):
    """The notebooks run with their own defaults, in order; every tagged output must come out as committed."""
    done = run(
        sys.executable,
        "-m",
        "pytest",
        "--nbval-lax",
        "-p",
        "no:cacheprovider",
        "-q",
        "--nbval-cell-timeout=900",
        *[ROOT / "notebooks" / f"{name}.ipynb" for name in names],
        cwd=tmp_path,
        env=os.environ | {"TEXTLAB_OUTPUTS": str(tmp_path / "outputs")},
    )
    assert done.returncode == 0, done.stdout[-3000:]


def test_nbval_would_see_a_changed_output(tmp_path):
    book = json.loads((ROOT / "notebooks" / "01_hub_exploration.ipynb").read_text())
    cell = next(c for c in book["cells"] if "nbval-check-output" in c["metadata"].get("tags", []))
    cell["outputs"][0]["text"] = ["something else\n"]
    (tmp_path / "01_changed.ipynb").write_text(json.dumps(book))
    done = run(
        sys.executable, "-m", "pytest", "--nbval-lax", "-p", "no:cacheprovider", "-q", tmp_path / "01_changed.ipynb"
    )
    assert done.returncode == 1 and "1 failed" in done.stdout


@browser.needed
def test_the_index_opens_in_a_browser_and_its_pictures_show(smoke, tmp_path):
    with browser.Browser(tmp_path) as chromium, chromium.open((smoke[1] / "index.html").as_uri()) as page:
        widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) >= 5 and all(width > 200 for width in widths)


@pytest.mark.slow
@pytest.mark.skipif(not EMOTION.is_dir(), reason="the real text in ../shared/emotion is not here")
def test_real_text_reaches_090_on_validation(tmp_path):
    done = run(
        BIN / "papermill",
        ROOT / "notebooks" / "02_fine_tuning.ipynb",
        "out.ipynb",
        "-f",
        ROOT / "params" / "demo" / "02_fine_tuning.yaml",
        "-p",
        "dataset",
        EMOTION,
        "-p",
        "output_dir",
        tmp_path,
        cwd=tmp_path,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert "warn" not in done.stderr.lower()
    found = json.loads((tmp_path / "results" / "02_fine_tuning.json").read_text())
    assert found["validation"]["accuracy"] >= 0.90 and "test" not in found
    counts = {(row["problem"], row["split"]): row["texts"] for row in found["quality"]}
    assert counts["repeated text", "train"] == 31 and counts["repeated text, labels differ", "train"] == 30

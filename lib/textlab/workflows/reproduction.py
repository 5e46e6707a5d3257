"""Repeats a run from its record: what is the same here, the run again, and a receipt that says what came of it."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import hub, machine, tracking
from ..errors import InputError, TrainingError, first_line
from ..machine import environment
from ..notebooks import jobs
from ..settings import make_recipe, parameters
from ..tracking import store
from ..training import Progress
from . import tracked_training
from .record import METRICS, compare, digest, fault, from_results, seal

REPRODUCED, WITHIN, NOT, CANNOT = "REPRODUCED", "REPRODUCED WITHIN TOLERANCE", "NOT REPRODUCED", "CANNOT BE REPEATED"
#: Verdict -> exit status.
STATUS = {REPRODUCED: 0, WITHIN: 0, NOT: 1, CANNOT: 2}
#: How far results may lie apart where code, packages or machine differ: largest difference of each metric, smallest share of
#: equal predictions. On equal ones nothing may differ. `tests/benchmarks/tolerance.py spread --rows 600 --epochs 1` found, on
#: 500 rows of test, no difference in any fp32 setting; in bf16 up to 0.002, 0.0043 and 0.0024, with 99.6 % of the
#: predictions equal. So one answer of 500 may differ in the same precision, and twice of what was found in another.
TOLERANCE = {
    "same precision": {"accuracy": 0.0025, "macro_f1": 0.005, "weighted_f1": 0.0025, "predictions": 0.9975},
    "other precision": {"accuracy": 0.0045, "macro_f1": 0.009, "weighted_f1": 0.005, "predictions": 0.99},
}
NOTHING = {"accuracy": 0.0, "macro_f1": 0.0, "weighted_f1": 0.0, "predictions": 1.0}
ACCEPTED = "accepted are an MLflow run id, a results file, or the output folder of a run"
#: The experiment that repeats are kept in, so that they are not taken for runs of the one that they repeat.
EXPERIMENT = "reproduced"


@dataclass(frozen=True)
class Found:
    """A run that is to be repeated, or was."""

    name: str  # run id, or path of the results file
    record: dict[str, Any]
    predictions: dict[str, dict[str, Any]]  # split -> content of the file, where it is there
    faults: list[str]  # what was altered since, or is missing; a sentence each
    place: str  # folder of the run, or address of its store
    tracked: bool = False  # in an MLflow store


@dataclass(frozen=True)
class Receipt:
    """What came of repeating a run."""

    verdict: str
    content: dict[str, Any]

    @property
    def status(self) -> int:
        """Exit status: 0 reproduced or can be, 1 not reproduced, 2 cannot be repeated."""
        return STATUS.get(self.verdict, 0)

    def text(self) -> str:
        """Return the receipt for people."""
        found = self.content
        lines = [f"run      {found['run']}", f"record   SHA-256 {found['record']}"]
        for title in ("same", "predictions", "metrics"):
            if found.get(title):
                lines += ["", *_lines(found[title])]
        if "weights" in found:
            told, came = found["weights"]["recorded"], found["weights"]["now"]
            lines += [
                "",
                f"weights  {'the same' if told == came else 'differ'}: SHA-256 {told}",
                f"         now {came}",
            ]
        lines += [f"repeat   {found['repeat']}, in {found['kept_in']}"] if "repeat" in found else []
        return "\n".join([*lines, "", f"{self.verdict}{': ' if found['why'] else ''}{'; '.join(found['why'])}"])


def reproduce(
    run: str,
    only_check: bool = False,
    tracking_uri: str = "",
    out: Path | None = None,
    dataset: str = "",
    model: str = "",
) -> Receipt:
    """Check a run's record and what is here against it, repeat the run, and write `receipt.json` and `receipt.txt`.

    Args:
        run: an MLflow run id, a results file, or the output folder of a run.
        only_check: do not repeat it.
        tracking_uri: store of the run id; empty means the project's own.
        out: folder for the repeat, with a store of its own; None means `outputs/reproduced/<run>` and the project's own store.
        dataset, model: where the data or the model is now, if they were files; they must have the recorded digests.

    Raises:
        InputError: there is no such run, or `out` is the folder of the run itself.
    """
    old = find(run, tracking_uri)
    folder = (out or machine.outputs_root() / "reproduced" / str(old.record.get("sha256"))[:12]).expanduser().absolute()
    if not old.tracked and folder.resolve() == Path(old.place).resolve():
        raise InputError(f"--out: {folder} is the folder of the run that is to be repeated; choose another")
    content = {"run": old.name, "record": old.record.get("sha256", "none"), "why": old.faults}
    if old.faults:
        return _kept(Receipt(CANNOT, content), folder, only_check)
    values = _parameters(old.record, {"dataset": dataset, "model": model})
    with _as_recorded(old.record):
        table, faults = compare(old.record, values)
        content |= {"same": table.to_dict("records"), "why": faults}
        differing = table.loc[~table["same"].isin(["yes", "no matter"]), "what"].tolist()
        if faults:
            return _kept(Receipt(CANNOT, content), folder, only_check)
        if only_check:
            said = (
                f"the published tolerance applies, since something else is here: {', '.join(differing)}"
                if differing
                else "all is the same, so nothing may differ"
            )
            return Receipt("CAN BE REPEATED", content | {"why": [said]})
        repeat = _repeat_notebook if old.record["notebook"] == "02_fine_tuning" else _repeat_training
        try:
            new = repeat(old, values, folder, out is not None)
        except (
            InputError,
            MemoryError,
            ValueError,
            RuntimeError,
        ) as error:  # a TrainingError: it diverged, and had not
            diverged, why = isinstance(error, TrainingError), [first_line(error)]
            return _kept(Receipt(NOT if diverged else CANNOT, content | {"why": why}), folder)
    verdict, found = judge(old, new, not differing)
    receipt = _kept(Receipt(verdict, content | found | {"repeat": new.name, "kept_in": new.place}), folder)
    if new.tracked:
        for file in ("receipt.json", "receipt.txt"):
            tracking.attach(new.name, folder / file, verdict=verdict)
    return receipt


def _kept(receipt: Receipt, folder: Path, only_check: bool = False) -> Receipt:
    """Return a receipt; written into a folder, as JSON under a digest of its own and as text, unless it was only a check."""
    if only_check:
        return receipt
    sealed = seal(receipt.content | {"verdict": receipt.verdict})
    machine.write_text(folder / "receipt.json", json.dumps(sealed, indent=1) + "\n")
    machine.write_text(folder / "receipt.txt", receipt.text() + "\n")
    return receipt


def find(run: str, tracking_uri: str = "") -> Found:
    """Return a run with its record, after everything that is kept of it was compared with the record.

    Raises:
        InputError: there is no such run.
    """
    path = Path(run).expanduser()
    if path.is_dir():
        names = [f"results/{name}.json" for name in ("02_fine_tuning", "03_mlflow_tracking")]
        path = next((path / name for name in names if (path / name).is_file()), None)
        if path is None:
            raise InputError(f"{run} has no {' or '.join(names)}; {ACCEPTED}")
    if path.is_file():
        return _in_folder(path)
    if not re.fullmatch(r"(runs:/)?[0-9a-f]{32}", run):
        raise InputError(f"got {run!r}, which is no file or folder here; {ACCEPTED}")
    uri = store.locate(tracking_uri)
    told = tracking.recorded(run.removeprefix("runs:/"), uri)
    known = told["record"]
    recorded = tracking.flat("validation", known.get("validation", {})) | tracking.flat("test", known.get("test", {}))
    settings = known.get("params", {}).get("resolved", {}) | ({"seed": known.get("seed")} if known else {})
    faults = [
        f"the store says {name} {told['metrics'].get(name)}, its record {value}"
        for name, value in recorded.items()
        if told["metrics"].get(name) != value
    ]
    faults += [
        f"the store says {name} {told['params'].get(name)}, its record {value}"
        for name, value in settings.items()
        if told["params"].get(name) != str(value)
    ]
    faults = _faults(known, told["predictions"], faults)
    return Found(told["run_id"], known, told["predictions"], faults, store.short(uri), True)


def _in_folder(path: Path) -> Found:
    """Return the run of a results file; beside it, predictions and the saved model are looked at if they are there."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        known, folder = from_results(content), path.absolute().parent.parent
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise InputError(f"{path} is no results file ({first_line(error)})") from None
    predictions, faults = {}, []
    if content.get("notebook") == "02_fine_tuning":
        for split in known.get("predictions", {}):
            file = folder / "predictions" / f"{split}.json"
            try:
                predictions |= {split: json.loads(file.read_text(encoding="utf-8"))} if file.is_file() else {}
            except ValueError:
                predictions[split] = {}
        weights = folder / "model" / "model.safetensors"
        if weights.is_file() and machine.hash_files(weights)[weights.name] != known.get("weights_sha256"):
            faults.append(f"{weights} is not the model that was trained: its SHA-256 differs from the record's")
    elif known and content.get("sweep", {}).get("best", {}).get("validation") != known.get("validation"):
        faults.append(f"the figures of the best run in {path.name} are not those of its record")
    return Found(str(path), known, predictions, _faults(known, predictions, faults), str(folder))


def _faults(known: Mapping[str, Any], predictions: Mapping[str, dict], others: list[str]) -> list[str]:
    """Return what is wrong with a record and what is kept with it; without a good record, nothing else can be said."""
    if flaw := fault(known):
        return [flaw]
    return others + [
        f"the predictions file of {split} was altered: its SHA-256 is not the recorded one"
        for split, content in predictions.items()
        if digest(content) != known["predictions"].get(split)
    ]


def judge(old: Found, new: Found, same: bool) -> tuple[str, dict[str, Any]]:
    """Return the verdict on a repeat, and the figures that it rests on.

    Args:
        old, new: the run and its repeat.
        same: whether code, packages, machine and sources were the same, so that nothing may differ.
    """
    told, came = old.record, new.record
    alike = told["environment"]["precision"] == came["environment"]["precision"]
    limit = NOTHING if same else TOLERANCE["same precision" if alike else "other precision"]
    answers = {split: _answers(split, old, new) for split in told["predictions"]}
    one = [] if same else [split for split, (differing, _) in answers.items() if differing == 1]
    predictions = [
        {
            "split": split,
            "equal": None if differing is None else 1 - differing / compared,
            "wanted": limit["predictions"],
        }
        for split, (differing, compared) in answers.items()
    ]
    metrics = [
        {
            "metric": f"{split} {metric}",
            "recorded": told[split][metric],
            "now": came.get(split, {}).get(metric),
            "tolerance": limit[metric],
        }
        for split in ("validation", "test")
        if split in told
        for metric in METRICS
    ]
    for row in metrics:
        row["difference"] = abs(row["now"] - row["recorded"]) if row["now"] is not None else 1.0
    outcome = {
        "weights": {"recorded": told["weights_sha256"], "now": came["weights_sha256"]},
        "predictions": predictions,
        "metrics": metrics,
    }
    exact = (
        told["weights_sha256"] == came["weights_sha256"]
        and told["predictions"] == came["predictions"]
        and not any(row["difference"] for row in metrics)
        and told.get("other_seeds") == came.get("other_seeds")
    )
    if exact:
        return REPRODUCED, outcome | {"why": []}
    why = [
        f"{row['metric']} differs by {row['difference']:.4f}, allowed is {row['tolerance']:g}"
        for row in metrics
        if row["metric"].split()[0] not in one and row["difference"] > row["tolerance"]
    ]
    why += [
        f"{row['equal']:.2%} of the {row['split']} predictions are equal, wanted are {row['wanted']:.1%}"
        for row in predictions
        if row["split"] not in one and row["equal"] is not None and row["equal"] < row["wanted"]
    ]
    if same and not why:
        why = ["the weights are not the same, although nothing that decides them differs"]
    if why:
        return NOT, outcome | {"why": why}
    return WITHIN, outcome | {
        "why": [
            *(f"one {split} answer differs, which is allowed for a split of any size" for split in one),
            *(
                f"the recorded {row['split']} answers are not here, so only its metrics were compared"
                for row in predictions
                if row["equal"] is None
            ),
        ]
    }


def _answers(split: str, old: Found, new: Found) -> tuple[int | None, int]:
    """Return how many predictions differ, and of how many; None where the recorded ones are not at hand."""
    rows = old.record["data"]["rows"][split]
    if old.record["predictions"][split] == new.record["predictions"].get(split):
        return 0, rows
    if split not in old.predictions or split not in new.predictions:
        return None, rows
    told, came = old.predictions[split], new.predictions[split]
    first, second = (np.array([some["predicted"], *some.get("other_seeds", {}).values()]) for some in (told, came))
    return (int((first != second).sum()), first.size) if first.shape == second.shape else (rows, rows)


def _repeat_notebook(old: Found, values: dict[str, Any], folder: Path, own_store: bool) -> Found:
    """Run notebook 2 again and return what came of it."""
    notebook = old.record["notebook"]
    print(f"{notebook}: running", file=sys.stderr, flush=True)
    outcome = jobs.run(
        notebook, jobs.prepare(notebook, parameters.gather(notebook, [], values), folder, own_store), folder
    )
    if outcome.status == 130:
        raise KeyboardInterrupt
    if outcome.error:
        raise (TrainingError if ": TrainingError: " in outcome.error else RuntimeError)(outcome.error)
    return find(str(folder / "results" / f"{notebook}.json"))


def _repeat_training(old: Found, values: dict[str, Any], folder: Path, own_store: bool) -> Found:
    """Do one training of notebook 3 again, as a run of its own, and return what came of it."""
    told, notebook = old.record, old.record["notebook"]
    environment.quiet()
    folder.mkdir(parents=True, exist_ok=True)
    recipe = make_recipe(told["params"]["recipe"], **told["params"]["resolved"])
    cfg = parameters.check(notebook, parameters.defaults(notebook) | values | {"output_dir": str(folder)})
    uri = tracking.connect(store.store_uri(folder / "mlflow") if own_store else "", EXPERIMENT)
    with tracking.run(f"repeat of {old.name[:12]}", tags={"reproduces": old.name}) as active:
        bench = tracked_training.Workbench(cfg, folder)
        trained = bench.train(active.info.run_id, recipe, told["seed"], [Progress("repeat")], told["looks"])
        if told.get("finished"):
            bench.finish(trained)
    return find(active.info.run_id, uri)


def _parameters(told: Mapping[str, Any], elsewhere: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters to repeat a run with: the recorded ones, Hub sources at the recorded revision."""
    values = {name: value for name, value in told["params"].items() if name != "resolved"}
    for kind, known in (("dataset", told["data"]), ("model", told["model"])):
        if hub.split_id(values[kind]) and "revision" in known:
            values[kind] = f"{known['source']}@{known['revision']}"
        values[kind] = elsewhere[kind] or values[kind]
    return values


@contextmanager
def _as_recorded(told: Mapping[str, Any]) -> Iterator[None]:
    """Compute with the recorded number of threads, as far as there are cores, here and in kernels, and be as strict as the run was."""
    threads = min(told["environment"]["threads"], os.cpu_count() or 1)
    usual, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    environment.fix(told["seed"], told["params"]["strict"])
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
        torch.use_deterministic_algorithms(False)
        os.environ.pop("OMP_NUM_THREADS")
        os.environ.update({"OMP_NUM_THREADS": variable} if variable else {})


def _lines(rows: list[dict[str, Any]]) -> list[str]:
    """Return a table as lines of text; long cells are cut."""

    def cell(value: Any) -> str:
        text = "unknown" if value is None else f"{value:.6g}" if isinstance(value, float) else str(value)
        return text if len(text) <= 46 else f"{text[:45]}…"

    table = [[*rows[0]], *([cell(value) for value in row.values()] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*table)]
    return ["  ".join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in table]

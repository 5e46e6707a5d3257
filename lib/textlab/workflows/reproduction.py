"""Repeats a run from its record: what is the same here, the run again, and a receipt that says what came of it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .. import data, evaluation, hub, machine, tracking, training
from ..errors import InputError, TrainingError, first_line
from ..machine import environment
from ..notebooks import jobs
from ..settings import parameters
from ..tracking import store
from ..training import Progress
from .receipt import CANNOT, CHECKED, NOT, Receipt, judge
from .record import chosen, code, params_of, recipe
from .recorded_run import RecordedRun, find
from .tracked_training import Workbench

#: The experiment that repeats are kept in, so that they are not taken for runs of the one that they repeat.
EXPERIMENT = "reproduced"


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
        only_check: do not repeat it, and write nothing.
        tracking_uri: store of the run id; empty means the project's own.
        out: folder for the repeat, with a store of its own. None means `outputs/reproduced/<record>`, and the project's
            own store.
        dataset, model: where the data or the model is now, if they were files; they must have the recorded digests.

    Raises:
        InputError: there is no such run, or `out` is the folder of the run itself or cannot be made.
    """
    old = find(run, tracking_uri)
    folder = out or machine.outputs_root() / "reproduced" / old.record.get("sha256", "none")[:12]
    folder = machine.expanded(folder).absolute()
    if not old.tracked and folder.resolve() == Path(old.place).resolve():
        raise InputError(f"--out: {folder} is the folder of the run that is to be repeated; choose another")
    if not only_check:
        machine.make_folder(folder)
    receipt, new = _repeat(old, folder, only_check, out is not None, {"dataset": dataset, "model": model})
    if not only_check:
        receipt.write(folder)
    if new and new.tracked:
        for file in ("receipt.json", "receipt.txt"):
            tracking.attach(new.name, folder / file, verdict=receipt.verdict)
    return receipt


def _repeat(
    old: RecordedRun, folder: Path, only_check: bool, own_store: bool, elsewhere: Mapping[str, str]
) -> tuple[Receipt, RecordedRun | None]:
    """Return the receipt of a run, and its repeat where there is one."""
    content = {"run": old.name, "record": old.record.get("sha256", "none"), "why": old.faults}
    if old.faults:
        return Receipt(CANNOT, content), None
    values = _parameters(old.record, elsewhere)
    with _as_recorded(old.record):
        here = compare(old.record, values)
        content |= {"same": here.rows, "why": here.faults}
        if here.faults:
            return Receipt(CANNOT, content), None
        if only_check:
            reason = "all is the same, so nothing may differ"
            if here.differing:
                names = ", ".join(here.differing)
                reason = f"the published tolerance applies, since something else is here: {names}"
            return Receipt(CHECKED, content | {"why": [reason]}), None
        repeat = _repeat_notebook if old.record["notebook"] == "02_fine_tuning" else _repeat_training
        try:
            new = repeat(old, values, here, folder, own_store)
        except TrainingError as error:  # it diverged, and had not
            return Receipt(NOT, content | {"why": [first_line(error)]}), None
        except (InputError, MemoryError, ValueError, RuntimeError) as error:
            return Receipt(CANNOT, content | {"why": [first_line(error)]}), None
    verdict, figures = judge(old, new, not here.differing)
    return Receipt(verdict, content | figures | {"repeat": new.name, "kept_in": new.place}), new


@dataclass
class Here:
    """What is here for a repeat, compared with the record."""

    rows: list[dict[str, Any]] = field(default_factory=list)  # what, recorded, here, same (yes, no, or "no matter")
    faults: list[str] = field(default_factory=list)  # why the run cannot be repeated, a sentence each
    texts: data.Data | None = None
    source: hub.Source | None = None

    def add(self, what: str, recorded: Any, here: Any, matters: bool = True) -> bool:
        """Add a row, and tell whether both are the same."""
        same = "yes" if recorded == here else "no" if matters else "no matter"
        self.rows.append({"what": what, "recorded": recorded, "here": here, "same": same})
        return recorded == here

    @property
    def differing(self) -> list[str]:
        """The names of what differs and matters."""
        return [row["what"] for row in self.rows if row["same"] == "no"]


def compare(record: Mapping[str, Any], values: Mapping[str, Any]) -> Here:
    """Return what is here beside what a record tells.

    Data and model are fetched where they are not here; rows and files are compared by SHA-256.

    Args:
        values: parameters, with data and model as they are to be had here.
    """
    here = Here()
    was, now = record["environment"], environment.fingerprint()
    here.add("commit", _commit(was), _commit(now), matters=False)
    here.add("code", *_differing(record["code"], code(record["notebook"])))
    versions = ("python", *environment.PACKAGES)
    here.add(
        "packages", *_differing({name: was.get(name) for name in versions}, {name: now[name] for name in versions})
    )
    for name in [name for name in now if name not in versions and not name.startswith(("git_", "textlab"))]:
        here.add(name.replace("_", " "), was.get(name, ""), now[name])
    _compare_data(here, record, values)
    _compare_model(here, record, values)
    return here


def _compare_data(here: Here, record: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    try:
        texts = _texts_of(record, values)
    except InputError as error:
        here.faults.append(f"{error}; wanted is SHA-256 {record['data']['sha256']}, and --dataset says where it is")
        return
    here.texts = texts
    whole = record["notebook"] == "02_fine_tuning"  # which is repeated as a notebook, and not one training of it
    columns, labels = _columns(values), values["labels"]
    if whole and not texts.folds and data.load(values["dataset"], *columns, folds=None, labels=labels).folds:
        here.faults.append("data: its rows were split once and for all, and notebook 2 would cross-validate them now")
    here.add("data", record["data"]["sha256"][:12], texts.source.sha256[:12])
    for split in record["splits"] | texts.rows():
        before, now = record["splits"].get(split, "none"), texts.digests.get(split, "none")
        counts = record["data"]["rows"].get(split, 0), texts.rows().get(split, 0)
        here.add(f"{split} rows", f"{counts[0]}, {before[:12]}", f"{counts[1]}, {now[:12]}")
        if before != now:
            here.faults.append(f"data: the {split} rows of {values['dataset']} are not the recorded ones")
    if record["labels"] != texts.labels:
        here.faults.append(f"data: the labels of {values['dataset']} are not the recorded ones")


def _texts_of(record: Mapping[str, Any], values: Mapping[str, Any]) -> data.Data:
    """Return the data of a record, drawn as they were for its training."""
    drawn = record["params"]["seed"], values["max_train_rows"], record["data"].get("folds", 0)
    found = data.load(values["dataset"], *_columns(values), *drawn, labels=values["labels"])
    return found.turned(record.get("turn", 0))


def _columns(values: Mapping[str, Any]) -> tuple[str, str]:
    return values["text_column"], values["label_column"]


def answers_again(run_id: str, tracking_uri: str, pipeline: Callable, most: int = 50) -> str:
    """Return in words for how many texts a model that was loaded gives the label that was recorded with its run.

    The texts are the first of the split that the run was finally scored on; after a cross-validation, the recorded
    labels are those of the model that was kept.

    Args:
        run_id: of a registered training of notebook 3.
        tracking_uri: of its store.
        pipeline: transformers' text classification with its model.
        most: texts to answer at most.
    """
    record = tracking.recorded(run_id, tracking_uri)["record"]
    if not record:
        return "its answers were not compared, for it has no record that can be read"
    split = "test" if "test" in record else "validation"
    try:
        texts = _texts_of(record, _parameters(record, {"dataset": "", "model": ""}))
    except InputError as error:
        return f"its answers were not compared, for the data cannot be had: {error}"
    kept = tracking.predictions(run_id, f"{split}_kept")
    if kept is None and not texts.folds:  # whose answers are those of other models
        kept = tracking.predictions(run_id, split)
    if kept is None or kept["rows_sha256"] != texts.digests[split]:
        return f"its answers were not compared, for none are recorded for the {split} rows that are here"
    return _same_answers(pipeline, kept, texts.splits[split][:most]["text"], split)


def _same_answers(pipeline: Callable, recorded: Mapping[str, Any], rows: Sequence[str], split: str = "") -> str:
    """Return in words for how many texts a model gives the answers that were recorded.

    Args:
        pipeline: transformers' text classification with the model.
        recorded: what `record.predictions` made, of a split that begins with these texts.
        rows: the texts.
        split: its name, for the sentence.
    """
    found = [{one["label"]: one["score"] for one in answer} for answer in pipeline(list(rows), top_k=None)]
    chances = np.array([[scores[label] for label in recorded["labels"]] for scores in found])
    again = training.answers_of(pipeline.model, chances)
    same = evaluation.same(recorded["predicted"][: len(rows)], again).sum()
    labels = "label" if again.ndim == 1 else "labels"
    return f"same {labels} as recorded for {same} of {len(rows)} {split and split + ' '}texts"


def _compare_model(here: Here, record: Mapping[str, Any], values: Mapping[str, Any]) -> None:
    def decisive(files: Mapping[str, str]) -> dict[str, str]:
        return {name: digest for name, digest in files.items() if not name.endswith(".md")}

    try:
        here.source = hub.resolve_model(values["model"])
    except InputError as error:
        here.faults.append(f"{error}; wanted is SHA-256 {record['model']['sha256']}, and --model says where it is")
        return
    recorded, found = _differing(decisive(record["model_files"]), decisive(here.source.files))
    if not here.add("model", recorded, found):
        here.faults.append(f"model: {found} of {values['model']}: not the recorded files")


def _commit(facts: Mapping[str, Any]) -> str:
    return facts.get("git_commit", "none")[:12] + (" and changes" if facts.get("git_dirty") == "yes" else "")


def _differing(recorded: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[str, str]:
    """Return two cells of the table: the names that differ and how their values begin, or the number of equal ones."""
    names = [name for name in {**recorded, **here} if recorded.get(name) != here.get(name)]
    if not names:
        return (f"{len(recorded)} the same",) * 2
    more = f" and {len(names) - 4} more" if len(names) > 4 else ""

    def cell(values: Mapping[str, Any]) -> str:
        told = {name: str(values.get(name, "none")) for name in names[:4]}  # digests have 64 letters
        return ", ".join(f"{name} {text[:10] if len(text) == 64 else text}" for name, text in told.items()) + more

    return cell(recorded), cell(here)


def _repeat_notebook(
    old: RecordedRun, values: dict[str, Any], here: Here, folder: Path, own_store: bool
) -> RecordedRun:
    """Run notebook 2 again and return what came of it."""
    notebook = old.record["notebook"]
    print(f"{notebook}: running", file=sys.stderr, flush=True)
    prepared = jobs.prepare(notebook, parameters.gather(notebook, [], values), folder, own_store)
    outcome = jobs.run(notebook, prepared, folder)
    if outcome.status == 130:
        raise KeyboardInterrupt
    if outcome.error:
        raise (TrainingError if outcome.kind == TrainingError.__name__ else RuntimeError)(outcome.error)
    return find(str(folder / "results" / f"{notebook}.json"))


def _repeat_training(
    old: RecordedRun, values: dict[str, Any], here: Here, folder: Path, own_store: bool
) -> RecordedRun:
    """Do one training of notebook 3 again, as a run of its own, and return what came of it."""
    record, notebook = old.record, old.record["notebook"]
    environment.quiet()
    cfg = parameters.check(notebook, parameters.defaults(notebook) | values | {"output_dir": str(folder)})
    uri = tracking.connect(store.store_uri(folder / "mlflow") if own_store else "", EXPERIMENT)
    with tracking.run(f"repeat of {old.name[:12]}", tags={"reproduces": old.name}) as active:
        bench = Workbench(cfg, folder, here.texts, here.source)
        final = record.get("final", record.get("finished", False))  # older records say only the latter
        known = active.info.run_id, recipe(record), record["seed"]
        trained = bench.train(*known, [Progress("repeat")], record["looks"], final)
        if record.get("finished"):
            bench.finish(trained)
    return find(active.info.run_id, uri)


def _parameters(record: Mapping[str, Any], elsewhere: Mapping[str, str]) -> dict[str, Any]:
    """Return the parameters to repeat a run with: the recorded ones, Hub sources at the recorded revision."""
    values = params_of(record)
    values.setdefault("labels", "single")  # as it always was before that could be chosen
    values["recipe_options"] = chosen(record)  # what the recipe's own settings are may have changed since
    for kind, known in (("dataset", record["data"]), ("model", record["model"])):
        if hub.split_id(values[kind]) and "revision" in known:
            values[kind] = f"{known['source']}@{known['revision']}"
        values[kind] = elsewhere[kind] or values[kind]
    return values


@contextmanager
def _as_recorded(record: Mapping[str, Any]) -> Iterator[None]:
    """Compute as strictly as the run did, with its number of threads as far as there are cores, here and in kernels."""
    threads = min(record["environment"]["threads"], os.cpu_count() or 1)
    usual, variable = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS")
    environment.fix(record["seed"], record["params"]["strict"])
    torch.set_num_threads(threads)
    os.environ["OMP_NUM_THREADS"] = str(threads)
    try:
        yield
    finally:
        torch.set_num_threads(usual)
        torch.use_deterministic_algorithms(False)
        os.environ.pop("OMP_NUM_THREADS")
        os.environ.update({"OMP_NUM_THREADS": variable} if variable else {})

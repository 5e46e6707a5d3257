"""Which of two runs is better, by their answers to the same rows: a paired test, and what it comes to in words."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pandas as pd

from .answers import accuracy_name
from .canvas import words
from .scores import BASELINES, compare, p_words
from .sweep_analysis import Runs, alike, by_settings, default, pick

#: Gives what was recorded for (run id, split or `<split>_<baseline>`), as `tracking.predictions` does.
Answers = Callable[[str, str], Mapping[str, Any] | None]
_COLUMNS = ["split", "difference", "low", "high", "p_value"]


def against(runs: Runs, chosen: Mapping[str, Any], answers: Answers, seed: int = 0) -> pd.DataFrame:
    """Return paired tests of a run against its rivals and the baselines, on the same rows.

    The rival of a sweep's pick are the default settings, and the other way round; those of another run are the next
    best settings.

    Args:
        runs: that the chosen one is among.
        chosen: a row of their table.
        answers: gives the recorded answers.
        seed: of the resampling.

    Returns:
        Indexed by the other's name: split, difference (accuracy of the chosen one minus the other's), low, high and
        p_value, and macro_f1_difference, macro_f1_low and macro_f1_high; with several labels a text the same of
        micro_f1; only those whose answers were recorded for the same rows. A baseline is compared on test if it can be.
    """
    rows = {}
    for name, run_id, split, file in _opponents(runs, chosen):
        test = None if (name, run_id) in rows else paired(answers(chosen["run_id"], split), answers(run_id, file), seed)
        if test is not None:
            gaps = [test["difference"], *test["difference_ci95"], test["p_value"]]
            rows[name, run_id] = dict(zip(_COLUMNS, [split, *gaps]))
            for metric in ("macro_f1", "micro_f1"):
                if f"{metric}_difference" in test:
                    bounds = [test[f"{metric}_difference"], *test[f"{metric}_difference_ci95"]]
                    rows[name, run_id] |= dict(zip(_of(metric), bounds))
    columns = None if rows else [*_COLUMNS, *_of("macro_f1")]
    return pd.DataFrame(rows.values(), index=[name for name, _ in rows], columns=columns)


def _of(metric: str) -> list[str]:
    """Return the columns of a difference of F1 and of its 95 % interval."""
    return [f"{metric}_difference", f"{metric}_low", f"{metric}_high"]


def comparison_table(tests: pd.DataFrame) -> pd.DataFrame:
    """Return what `against` does for reading: the differences, each with its 95 % interval, and p."""
    several = "micro_f1_difference" in tests
    accuracy = accuracy_name(several)

    def gaps(columns: Sequence[str]) -> list[str]:
        return ["{:+.3f}  ({:+.3f} to {:+.3f})".format(*row) for row in tests[columns].itertuples(index=False)]

    micro_f1 = {"micro F1 difference": gaps(_of("micro_f1"))} if several else {}
    return pd.DataFrame(
        {
            "split": tests["split"],
            f"{accuracy} difference": gaps(["difference", "low", "high"]),
            "macro F1 difference": gaps(_of("macro_f1")),
            **micro_f1,
            f"p (McNemar, {accuracy})": tests["p_value"].map(p_words),
        }
    )


def conclusion(runs: Runs, answers: Answers, seed: int = 0) -> str:
    """Return in a sentence whether a sweep found better settings than the default ones; empty without both trainings.

    Args:
        runs: with `finals`, which had all rows.
        answers: gives the recorded answers.
        seed: of the resampling.
    """
    first, picked = default(runs), pick(runs) if len(runs.finals) else None
    if first is None:
        return ""
    if first["run_id"] == picked["run_id"]:
        return "The sweep found nothing clearly better than the default settings: they are its pick."
    scores = first[runs.metric], picked[runs.metric]
    better = scores[1] > scores[0]
    found = "better settings than the default ones" if better else "nothing better than the default settings"
    split = runs.metric.partition("_")[0]
    test = paired(answers(picked["run_id"], split), answers(first["run_id"], split), seed)
    sure = _how_sure(test, runs.metric.removeprefix(f"{split}_"))
    return f"The sweep found {found} ({words(runs.metric)} {max(scores):.3f} against {min(scores):.3f}, {sure})."


def _how_sure(test: Mapping[str, Any] | None, metric: str) -> str:
    """Return whether a difference may be chance: where its 95 % interval has 0 in it."""
    interval = "difference_ci95" if metric == "accuracy" else f"{metric}_difference_ci95"
    if test is None or interval not in test:
        return "which was not tested"
    low, high = test[interval]
    return "which may be chance" if low <= 0 <= high else "which is hardly chance"


def same_rows(mine: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None) -> bool:
    """Return whether recorded answers are both there, of the same rows and labels."""
    return bool(mine and theirs and all(mine[key] == theirs[key] for key in ("rows_sha256", "labels")))


def paired(mine: Mapping[str, Any] | None, theirs: Mapping[str, Any] | None, seed: int = 0) -> dict[str, Any] | None:
    """Return what `compare` says of recorded answers; None unless both are there, of the same rows and labels."""
    if not same_rows(mine, theirs):
        return None
    return compare(mine["true"], mine["predicted"], theirs["predicted"], seed, labels=len(mine["labels"]))


def _opponents(runs: Runs, chosen: Mapping[str, Any]) -> Iterator[tuple[str, str, str, str]]:
    """Yield name, run id, split and file of the answers that a run is compared with."""
    splits = ("test", "validation")
    for other in runs.finals[runs.finals["run_id"] != chosen["run_id"]].to_dict("records") if len(runs.finals) else []:
        yield from ((other["name"], other["run_id"], split, split) for split in splits)
    table = by_settings(replace(runs, table=runs.table[:0]) if len(runs.finals) else runs)
    for name, run_id in table.loc[~alike(table, chosen, runs.settings), "run_id"][:1].items():
        yield f"runner-up ({name})", run_id, "validation", "validation"
    for split in splits:
        for baseline, name in reversed(BASELINES.items()):
            yield name, chosen["run_id"], split, f"{split}_{baseline}"

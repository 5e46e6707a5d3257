"""The champion: which registered version programs load."""

from __future__ import annotations

from typing import Any

from .. import evaluation
from ..evaluation import sweep_comparison
from ..tracking import champion_of, model_versions, predictions, set_alias


def promote(name: str, version: int, split: str, seed: int = 0) -> tuple[bool, str]:
    """Make a version the `champion` unless it is not better than the present one; return whether it is, and a sentence.

    Better means more right answers on the same rows by a paired test (`evaluation.compare`, p below 0.05), and not
    fewer on validation, where both have answered the same rows of it. With several labels a text it means a higher
    macro F1, by an interval of the paired difference that is above 0: thresholds are made for that, and not for whole
    answers. A split that decides about champions again and again scores them a little too well.

    Args:
        name: of the registered model.
        version: the one to promote.
        split: whose predictions decide, as `log_predictions` recorded them with the runs of both versions.
        seed: of the interval.
    """
    champion = champion_of(name)
    if champion is None:
        set_alias(name, "champion", version)
        return True, f"Version {version} is the champion."
    if champion == version:
        return True, f"Version {version} is the champion already."
    run_ids = model_versions(name).loc[[version, champion], "run_id"]
    tests = {
        part: sweep_comparison.paired(*(predictions(run_id, part) for run_id in run_ids), seed)
        for part in (split, "validation")
    }
    if tests[split] is None:
        return False, (
            f"Version {version} was not promoted: it and the champion, version {champion}, were not scored on "
            f"the same {split} rows. Choose another registered_model, or set the alias by hand."
        )
    measured = _measured(tests[split])
    if not _is_better(tests[split]):
        return False, (
            f"Version {version} is not shown to be better than the champion, version {champion} ({measured})."
        )
    if tests["validation"] and tests["validation"][_difference(tests["validation"])] < 0:
        return False, (
            f"Version {version} is better than the champion, version {champion}, on {split} ({measured}), but "
            f"worse on validation ({_measured(tests['validation'])}): its lead may be chance, so the champion stays."
        )
    set_alias(name, "champion", version)
    return True, f"Version {version} is the champion instead of {champion} ({measured})."


def standing(name: str, run_id: str, split: str) -> dict[str, Any] | None:
    """Return the champion of a registered model, with name and version, if it answered the rows that a run answered.

    Args:
        name: of the registered model.
        run_id: of the run.
        split: whose rows they are.

    Returns:
        None without a champion, or if it was scored on other rows.
    """
    champion = champion_of(name)
    if champion is None:
        return None
    its_run = model_versions(name).loc[champion, "run_id"]
    same = its_run == run_id or sweep_comparison.same_rows(predictions(run_id, split), predictions(its_run, split))
    return {"name": name, "version": champion} if same else None


def _difference(test: dict[str, Any]) -> str:
    """Return which difference of a comparison decides."""
    return "macro_f1_difference" if "micro_f1_difference" in test else "difference"


def _is_better(test: dict[str, Any]) -> bool:
    if _difference(test) == "macro_f1_difference":
        return test["macro_f1_difference_ci95"][0] > 0
    return test["difference"] > 0 and test["p_value"] < 0.05


def _measured(test: dict[str, Any]) -> str:
    low, high = test[f"{_difference(test)}_ci95"]
    if _difference(test) == "macro_f1_difference":
        gap = test["macro_f1_difference"]
        return f"macro F1 difference {gap:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}"
    p = evaluation.p_words(test["p_value"])
    return (
        f"accuracy difference {test['difference']:+.3f}, 95 % interval {low:+.3f} to {high:+.3f}, "
        f"p {p if p.startswith('<') else f'= {p}'}"
    )

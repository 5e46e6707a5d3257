"""The champion: which registered version programs load."""

from __future__ import annotations

from .. import evaluation
from ..tracking import model_versions, predictions, set_alias


def promote(name: str, version: int, split: str) -> tuple[bool, str]:
    """Make a version the `champion` unless it is not better than the present one; return whether it is, and a sentence.

    Better means more right answers on the same rows by a paired test (`evaluation.compare`, p below 0.05).

    Args:
        name: of the registered model.
        version: the one to promote.
        split: whose predictions decide, as `log_predictions` recorded them with the runs of both versions.
    """
    versions = model_versions(name)
    champions = versions.index[versions["aliases"].str.split(", ").map(lambda aliases: "champion" in aliases)]
    if len(champions) and champions[0] == version:
        return True, f"Version {version} is the champion already."
    if len(champions):
        old, new = (predictions(versions.loc[number, "run_id"], split) for number in (champions[0], version))
        if not old or not new or old["rows_sha256"] != new["rows_sha256"] or old["labels"] != new["labels"]:
            return False, (
                f"Version {version} was not promoted: it and the champion, version {champions[0]}, were not scored on "
                f"the same {split} rows. Choose another registered_model, or set the alias by hand."
            )
        test = evaluation.compare(
            new["true"], new["predicted"], old["predicted"]
        )  # the new one's accuracy minus the old
        measured = "difference {:+.3f}, 95 % interval {:+.3f} to {:+.3f}, p {:.2g}".format(
            test["difference"], *test["difference_ci95"], test["p_value"]
        )
        if test["difference"] <= 0 or test["p_value"] >= 0.05:
            return (
                False,
                f"Version {version} is not shown to be better than the champion, version {champions[0]} ({measured}).",
            )
    set_alias(name, "champion", version)
    return True, f"Version {version} is the champion" + (
        f" instead of {champions[0]} ({measured})." if len(champions) else "."
    )

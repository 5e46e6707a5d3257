"""The model card of a fine-tuned model: written from what was measured, and read back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from huggingface_hub import EvalResult, ModelCard, ModelCardData
from yaml import YAMLError

from .. import machine
from ..errors import first_line
from . import sources

METRICS = {"accuracy": "Accuracy", "macro_f1": "Macro F1", "weighted_f1": "Weighted F1", "micro_f1": "Micro F1"}


def write_card(
    folder: Path, measured: Mapping[str, Any], labels: Sequence[str], headline: Sequence[Mapping[str, Any]]
) -> Path:
    """Write the card of a model as `README.md` into its folder, which `training.save` made, and return its path.

    Args: see `text`.
    """
    path = Path(folder) / "README.md"
    machine.write_text(path, text(measured, labels, headline))
    return path


def text(measured: Mapping[str, Any], labels: Sequence[str], headline: Sequence[Mapping[str, Any]]) -> str:
    """Return a model card: metadata as the Hub reads it, and what was measured, in Markdown.

    Args:
        measured: content of results/02_fine_tuning.json, or a run's record with its baselines; what it lacks is left
            out.
        labels: names in the order of their ids.
        headline: rows of the headline table, as `evaluation.headline_rows` returns them.
    """
    data, model = _public(measured["data"]), _public(measured["model"])
    folds, several = data.get("folds"), data.get("labels") == "several"
    splits = [split for split in ("test", "validation") if split in measured][: 1 if folds else 2]
    scored = f"{folds}-fold cross-validation" if folds else splits[0] if splits else "no split"
    scores = [
        EvalResult(
            task_type="text-classification",
            dataset_type=data["source"],
            dataset_name=data["source"],
            dataset_split=scored if folds else split,
            dataset_revision=data.get("revision"),
            metric_name="Exact match" if metric == "accuracy" and several else name,
            metric_type=metric.rpartition("_")[2],
            metric_value=round(measured[split][metric], 4),
        )
        for split in splits
        for metric, name in METRICS.items()
        if metric in measured[split]
    ]
    metadata = ModelCardData(
        library_name="transformers",
        pipeline_tag="text-classification",
        model_name=f"{model['source']}-fine-tuned",
        base_model=model["source"] if "revision" in model else None,
        eval_results=scores or None,
        datasets=[data["source"]] if sources.split_id(data["source"]) and "revision" in data else None,
    )
    parts = {
        "Data": _list(data | {"rows": _rows(data)}),
        "Base model": _list(model),
        f"Results {'by' if folds else 'on'} {scored}": _scores(headline, bool(measured.get("seeds")), several),
        "Limits": [
            f"- {limit}" for limit in [_about_seeds(measured), *measured.get("guards", []), *measured.get("notes", [])]
        ],
        "Training": _list(
            {
                **measured.get("params", {}).get("resolved", {}),
                **measured.get("train", {}),
                "seed": measured.get("seed"),
                "SHA-256 of the weights": measured.get("weights_sha256"),
            }
        ),
        "Environment": _list(measured.get("environment", {})),
    }
    lines = [
        f"# {model['source']}, fine-tuned on {data['source']}",
        "",
        about_labels(labels, several),
    ]
    for title, part in parts.items():
        lines += ["", f"## {title}", "", *part]
    return "\n".join(["---", metadata.to_yaml(), "---", "", *lines, ""])


def about_labels(labels: Sequence[str], several: bool, most: int | None = None) -> str:
    """Return in a sentence what a model answers with; at most so many labels are named."""
    more = f" and {len(labels) - most} more" if most and len(labels) > most else ""
    names = ", ".join(labels[:most]) + more
    if several:
        return f"Gives a text any number of these labels, each from its threshold in config.json on: {names}."
    return f"Puts a text under one of: {names}."


def read(folder: Path) -> tuple[str, str]:
    """Return in a sentence how well a model did, by the card in its folder, and the card's text in Markdown.

    Whoever made the model wrote the card. Without one, the sentence says that nothing is known, and the text is empty.
    """
    path = Path(folder) / "README.md"
    if not path.is_file():
        return "On what this model was trained and how well it works is not known: it has no card.", ""
    try:
        card = ModelCard(path.read_text(encoding="utf-8", errors="replace"), ignore_metadata_errors=True)
    except (ValueError, YAMLError) as error:
        return f"How well this model works is not known: its card cannot be read ({first_line(error)}).", ""
    results = getattr(card.data, "eval_results", None) or []
    first = [
        one for one in results if one.dataset_name == results[0].dataset_name and _split(one) == _split(results[0])
    ]
    figures = ", ".join(f"{one.metric_name or one.metric_type} {one.metric_value}" for one in first)
    if not figures:
        return "How well this model works is not known: its card has no figures.", card.text
    return f"By its card, on {_split(first[0])}{first[0].dataset_name}: {figures}.", card.text


def _split(result: EvalResult) -> str:
    return f"{result.dataset_split} of " if result.dataset_split else ""


def _public(source: Mapping[str, Any]) -> dict[str, Any]:
    """Return the record of a source, a path of this machine cut to its last name."""
    return dict(source) | ({} if "revision" in source else {"source": Path(source["source"]).name})


def _list(facts: Mapping[str, Any]) -> list[str]:
    return [f"- {name}: {value}" for name, value in facts.items() if value is not None]


def _about_seeds(measured: Mapping[str, Any]) -> str:
    """Return a sentence that says on which seeds the figures rest."""
    folds = measured["data"].get("folds")
    how = f"in one {folds}-fold cross-validation" if folds else "on one split of the data"
    own = " The figures are those of models trained like this one, on the other parts of the rows." if folds else ""
    if seeds := measured.get("seeds"):
        return (
            f"The figures are means over the seeds {', '.join(map(str, seeds))} {how}; "
            f"the weights here are those of seed {measured['seed']}.{own}"
        )
    return f"One seed, {how}: another seed moves the figures too.{own}"


def _rows(data: Mapping[str, Any]) -> str:
    """Return the number of rows in words."""
    if "folds" in data:
        return f"{data['rows']['test']}, of which {data.get('kept_rows', 'all')} to learn from"
    return ", ".join(f"{rows} {split}" for split, rows in data["rows"].items())


def _scores(headline: Sequence[Mapping[str, Any]], over_seeds: bool, several: bool) -> list[str]:
    """Return the headline table in Markdown, baselines first."""

    def figure(row: Mapping[str, Any], metric: str) -> str:
        bounds = row.get(f"{metric}_ci95")
        return f"{row[metric]:.3f}" + (f" ({bounds[0]:.3f} to {bounds[1]:.3f})" if bounds else "")

    rows = [
        f"| {row['name'] if 'accuracy_ci95' not in row else 'this model'} | {figure(row, 'accuracy')} | "
        f"{figure(row, 'macro_f1')} |"
        for row in headline
    ]
    return [
        f"| | {'exact match' if several else 'accuracy'} | macro F1 |",
        "|---|---|---|",
        *rows,
        "",
        f"Ranges are 95 % bootstrap intervals over texts{' and seeds' if over_seeds else ''}.",
    ]

"""What is behind a score: how the tokenizer reads, how training went, guards against a useless model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from .answers import as_array, words

#: Beyond these, a tokenizer does not suit the texts: pieces a word, share of unknown pieces, share of texts cut.
MANY_PIECES, MANY_UNKNOWN, MANY_CUT = 2.5, 0.1, 0.1

#: Baseline -> how a model is told that it does not beat it.
RIVALS = {"tfidf_svm": "a linear SVM on word counts", "linear_probe": "a linear probe of the pretrained model"}


def remarks(reading: Mapping[str, float]) -> list[str]:
    """Return what is worth knowing of how the tokenizer reads the texts, a sentence each, with what to do.

    Args:
        reading: of training texts, as `data.read` returns it.
    """
    sentences = []
    if reading["pieces"] > MANY_PIECES and reading["vocabulary"] >= 1000:  # else its pieces are bytes or letters
        sentences.append(
            f"The tokenizer cuts a word into {reading['pieces']:.1f} pieces; plain words of its language take 1 to 2. "
            "Either these texts are in another script or language: choose a model made for theirs, or a multilingual "
            "one. Or they hold many codes, addresses and names: leave out those that say nothing about the label."
        )
    if reading["unknown"] > MANY_UNKNOWN:
        sentences.append(
            f"The tokenizer does not know {reading['unknown']:.0%} of the pieces of these texts, and reads them all as "
            "the same one: choose a model made for this script and language."
        )
    if reading["cut"] > MANY_CUT:
        sentences.append(
            f"{reading['cut']:.0%} of the texts are longer than {reading['max_length']} tokens and are cut there: if "
            "their end matters, raise max_length, as far as the model reads."
        )
    return sentences


def still_rising(history: pd.DataFrame) -> bool:
    """Return whether validation was still getting better when training ended: macro F1 by a point, or loss by 2 %.

    Args:
        history: columns eval_macro_f1 and eval_loss, in the order of training; rows without them are left out.
    """
    if not {"eval_macro_f1", "eval_loss"} <= set(history):
        return False
    points = history.dropna(subset=["eval_macro_f1", "eval_loss"])
    if len(points) < 2:
        return False
    scores, losses = points["eval_macro_f1"].to_numpy(), points["eval_loss"].to_numpy()
    return bool(scores[-1] >= scores[:-1].max() + 0.01 or losses[-1] <= 0.98 * losses[:-1].min())


def best_epoch(history: pd.DataFrame, ends: Sequence[float], rows: int, keep: str = "last") -> str:
    """Return a sentence on when validation was best, and whether a worse end may be chance; empty where it is unknown.

    Args:
        history: of the training, columns epoch and eval_macro_f1; rows without the latter are left out.
        ends: the 95 % interval of the macro F1 in the end. Its width counts, and not its place: with several labels,
            the history's thresholds were chosen on the very rows that it scores.
        rows: of validation.
        keep: of the recipe; with `best`, a worse end is no reason for advice.
    """
    if not {"epoch", "eval_macro_f1"} <= set(history):
        return ""
    points = history.dropna(subset=["eval_macro_f1"])
    if len(points) < 2:
        return ""
    best, last = points.loc[points["eval_macro_f1"].idxmax()], points.iloc[-1]
    if best["eval_macro_f1"] == last["eval_macro_f1"]:
        return f"Validation was best in the end, after epoch {last['epoch']:g} (macro F1 {last['eval_macro_f1']:.3f})."
    chance = best["eval_macro_f1"] - last["eval_macro_f1"] <= (ends[1] - ends[0]) / 2
    advice = ": try fewer epochs, or keep: best." if keep == "last" else "."
    return (
        f"Validation was best after epoch {best['epoch']:g} (macro F1 {best['eval_macro_f1']:.3f}) and ended at "
        f"{last['eval_macro_f1']:.3f}; with {rows:,} rows that "
        + ("may be chance." if chance else f"is hardly chance{advice}")
    )


def guards(
    predicted: Sequence[int],
    scores: dict[str, dict],
    labels: Sequence[str],
    reading: Mapping[str, float] | None = None,
    history: pd.DataFrame | None = None,
    parts: Sequence[tuple[Sequence[int], Sequence[int]]] = (),
    kept: Sequence[int] = (),
) -> list[str]:
    """Return what makes a result untrustworthy, and what is the likely cause; an empty list when nothing does.

    Args:
        predicted: class ids that the model gives on an evaluation split, or 0 and 1 for each label.
        scores: results of `score` on that split: `majority`, other baselines by their names in `RIVALS`, the model.
        labels: label names.
        reading: of the training texts, as for `remarks`.
        history: of the training, as for `still_rising`.
        parts: of a cross-validation, the labels and the answers of each fold's rows: each is of another model.
        kept: answers that the model that is kept gives, if it is none of those that were scored.
    """
    predicted, kept = as_array(predicted), as_array(kept)
    several = predicted.ndim == 2
    few, poor = [], []
    if len(predicted) < 50:
        few.append(
            f"Only {len(predicted)} texts to score on: the figures say next to nothing, whatever their intervals."
        )
    (_, majority), *rivals, (_, own) = ((name, figures["macro_f1"]) for name, figures in scores.items())
    rival, best = max(rivals, key=lambda pair: pair[1])
    answers = _different(predicted)
    if answers == 1:
        poor.append(f"The model {_one_answer(predicted[0], labels)}: it has learned nothing.")
    single = sum(_different(ids) == 1 < _different(true) for true, ids in parts)
    if answers > 1 and single > len(parts) / 2:
        each = "give all their texts the same labels" if several else "predict a single class each"
        poor.append(f"{single} of the {len(parts)} models that were scored {each}.")
    if answers > 1 and _different(kept) == 1:
        poor.append(f"The model that is kept {_one_answer(kept[0], labels)}.")
    if own <= majority:
        always = "set of labels" if several else "class"
        poor.append(
            f"Its macro F1 of {own:.3f} does not beat always answering the most frequent {always} ({majority:.3f})."
        )
    elif own <= best and own < 1:
        poor.append(f"Its macro F1 of {own:.3f} does not beat {RIVALS[rival]} ({best:.3f}), which trains in seconds.")
    causes = [] if reading is None else remarks(reading)
    if history is not None and still_rising(history):
        causes.append("Validation was still getting better when training ended: train more epochs.")
    if poor and not causes:
        causes = [_advice(majority, best, own)]
    if poor and rival == "linear_probe" and best > max(own, majority):
        causes.append("Until then take the linear probe itself: recipe probe trains, saves and registers it.")
    return [*few, *poor, *(causes if poor else [])]


def _different(answers: Sequence) -> int:
    """Return how many different answers there are: classes, or sets of labels."""
    return len(np.unique(as_array(answers), axis=0))


def _one_answer(answer: int | np.ndarray, labels: Sequence[str]) -> str:
    """Return what a model does that answers everything alike."""
    if np.ndim(answer) == 0:
        return f"predicts a single class, {labels[answer]}, for every text"
    if not answer.any():
        return "gives no text any label"
    return f"gives every text the same label{'s' if answer.sum() > 1 else ''}, {words(answer, labels)}"


def _advice(majority: float, best: float, own: float) -> str:
    """Return what to try with a model that learned too little, where neither texts nor epochs explain that."""
    if best >= own and best > majority:
        return (
            "A linear model tells the labels as well or better, so it lies with the training: try a learning rate ten "
            "times lower or three times higher, or frozen_share 0; then another model."
        )
    return (
        "No linear model tells the labels better, so it lies with the data: check text_column and label_column, read "
        "some rows of each label, and add rows."
    )

"""A model's answers for texts."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ..data import written
from ..errors import InputError
from ..evaluation import decide
from ..machine import environment
from . import short_layer
from .loading import computes_in, gives_several, match, most_tokens, read_tokenizer, read_weights
from .text_kind import TextKind, read_kind

#: Padded tokens a batch: what is fastest on a CPU and on a GPU.
CPU_TOKENS, GPU_TOKENS = 1024, 32768
#: Answers whose best two probabilities are closer than this are computed again in fp32; the least such distance, and
#: how many texts say by how much a model's answers differ from those of fp32. For MiniLM that was 0.017 at most.
CLOSE, SAMPLE = 0.05, 16


@dataclass(frozen=True)
class Classifier:
    """A trained model with all that is needed to use it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    labels: list[str]  # a label's position is its id
    max_length: int  # tokens that it was trained with; longer texts are cut
    thresholds: np.ndarray | None = None  # with several labels a text, from which probability on it has each
    kind: TextKind | None = None  # of the texts that it was trained on, where that is saved with it

    def table(self, texts: Sequence[str | None]) -> pd.DataFrame:
        """Return text, label and a column `p_<label>` for each label, in the order of the texts.

        A text that is missing or blank gets no label, and NaN for the probabilities. Several labels are written as in
        `["anger", "joy"]`, none as `[]`.
        """
        has_text = np.array([isinstance(text, str) and text.strip() != "" for text in texts], dtype=bool)
        known = np.flatnonzero(has_text)
        chances = np.full((len(texts), len(self.labels)), np.nan, dtype=np.float32)
        names = np.full(len(texts), None, dtype=object)
        if len(known):
            chances[known] = probabilities(self.model, self.tokenizer, [texts[i] for i in known], self.max_length)
            names[known] = self._written(decide(chances[known], self.thresholds))
        columns = {f"p_{label}": chances[:, i] for i, label in enumerate(self.labels)}
        return pd.DataFrame({"text": pd.Series(texts, dtype="str"), "label": pd.Series(names, dtype="str")} | columns)

    def _written(self, answers: np.ndarray) -> np.ndarray:
        """Return answers in words, shape (rows,)."""
        labels = np.array(self.labels, dtype=object)
        if self.thresholds is None:
            return labels[answers]
        return np.array([written(labels[np.flatnonzero(row)]) for row in answers], dtype=object)

    def states(self, texts: Sequence[str]) -> np.ndarray | None:
        """Return what the model makes of texts, none of them empty: see `mean_states`."""
        return mean_states(self.model, self.tokenizer, texts, self.max_length)


def load_classifier(folder: Path, name: str) -> Classifier:
    """Return the classifier that is saved in a folder, on the fastest device here; warn of what its guards found.

    Args:
        name: of the model, as the user gave it, for messages.

    Raises:
        InputError: the folder cannot be read, or holds no trained classifier.
    """
    tokenizer = read_tokenizer(folder, name)
    model, lacking = read_weights(folder, name, "eager" if environment.device() == "cpu" else "sdpa")
    if lacking:
        missing = ", ".join(sorted(lacking))
        raise InputError(f"model: {name} has no trained classifier ({missing} missing); fine-tune it first")
    config = model.config
    several = gives_several(model)
    if config.problem_type == "regression" or (config.num_labels == 1 and not several):
        raise InputError(f"model: {name} answers with numbers; accepted are models that answer with labels")
    thresholds = _thresholds(config, name) if several else None
    labels = [config.id2label.get(i) for i in range(config.num_labels)]
    written = [label.encode(errors="ignore").decode() if isinstance(label, str) else "" for label in labels]
    if written != labels or len(set(labels)) < len(labels):
        raise InputError(f"model: {name} does not name each of its labels once; mend id2label in its config.json")
    faults = getattr(config, "guards", None) or []
    if not isinstance(faults, list) or not all(isinstance(fault, str) for fault in faults):
        raise InputError(f"model: {name} has guards in its config.json that are no list of texts; remove them")
    if getattr(config, "attention_type", None) == "block_sparse":
        raise InputError(
            f"model: {name} answers long texts otherwise after a short one, since its attention_type is block_sparse; "
            "set it to original_full in its config.json"
        )
    match(model, tokenizer, name)
    kind = read_kind(folder, name)
    if faults:
        warnings.warn(f"{name} did not pass its checks: {' '.join(faults)}", stacklevel=3)
    longest = min(tokenizer.model_max_length, most_tokens(model) or tokenizer.model_max_length)
    return Classifier(model.to(environment.device()).eval(), tokenizer, labels, longest, thresholds, kind)


def _thresholds(config: PreTrainedConfig, name: str) -> np.ndarray:
    """Return the thresholds that are saved with a model of several labels, 0.5 where there are none."""
    found = getattr(config, "thresholds", None)
    if found is None:
        return np.full(config.num_labels, 0.5)
    is_list = isinstance(found, list) and len(found) == config.num_labels
    if not is_list or not all(isinstance(one, (int, float)) and 0 <= one <= 1 for one in found):
        raise InputError(
            f"model: {name} has thresholds in its config.json that are no list of a number from 0 to 1 for each label; "
            "mend or remove them"
        )
    return np.array(found, dtype=float)


def probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    batch_tokens: int | None = None,
    exact: bool = False,
) -> np.ndarray:
    """Return class probabilities, shape (len(texts), classes), in the order of the texts.

    Those of a text add up to 1, unless the model is one of several labels a text: then each label has its own.

    Batches are made of texts of similar length, so that little padding is computed. They are computed in the precision
    that the hardware is fast at. Close calls are computed again in fp32, so that the labels are those of fp32.

    Args:
        max_length: tokens; longer texts are cut.
        batch_tokens: tokens a batch, padding included; None means what suits the model's device.
        exact: compute in fp32 throughout, for small differences between texts.
    """
    if not len(texts):
        return np.empty((0, model.config.num_labels), dtype=np.float32)
    fast = not exact and model.device.type == environment.device()
    precision = environment.precision() if fast else "fp32"
    budget = batch_tokens or (CPU_TOKENS if model.device.type == "cpu" else GPU_TOKENS)
    rows = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
    was_training = model.training
    model.eval()
    if not computes_in(model, precision):
        precision = "fp32"
    chances = _forward(model, tokenizer, rows, budget, precision)
    if precision != "fp32":
        off = _deviation(model, tokenizer, rows, budget, chances)
        close = np.flatnonzero(~(_margins(model, chances) >= np.maximum(CLOSE, 4 * off)))  # all, if one is no number
        chances[close] = _forward(model, tokenizer, _take(rows, close), budget, "fp32")
    model.train(was_training)
    return chances


def answers_of(model: PreTrainedModel, chances: np.ndarray) -> np.ndarray:
    """Return the answers that a model's probabilities come to, as `evaluation.decide` does, by its own thresholds."""
    return decide(chances, _thresholds(model.config, "the model") if gives_several(model) else None)


def set_thresholds(model: PreTrainedModel, thresholds: Sequence[float]) -> None:
    """Put into the config of a model of several labels from which probability on a text has each of them."""
    model.config.thresholds = [float(threshold) for threshold in thresholds]


def mean_states(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, texts: Sequence[str], max_length: int
) -> np.ndarray | None:
    """Return the mean of the states that the last layer gives for a text's tokens, shape (len(texts), hidden size).

    Args:
        max_length: tokens; longer texts are cut.

    Returns:
        fp32; None for an architecture that gives no state for each token.
    """
    rows = tokenizer(list(texts), truncation=True, max_length=max_length, return_attention_mask=False)
    precision = environment.precision() if computes_in(model, environment.precision()) else "fp32"
    budget = CPU_TOKENS if model.device.type == "cpu" else GPU_TOKENS
    means, seen, was_training = None, [], model.training
    hook = model.base_model.register_forward_hook(lambda module, inputs, output: seen.append(output))
    model.eval()
    try:
        with _computing(model, precision):
            for batch in _batches([len(row) for row in rows["input_ids"]], budget):
                padded = tokenizer.pad(_take(rows, batch), return_tensors="pt").to(model.device)
                seen.clear()
                model(**padded)  # what its head reads: some need more than the text, and the model knows what
                states, own = getattr(seen[0], "last_hidden_state", None), padded["attention_mask"].unsqueeze(-1)
                if states is None or states.shape[:2] != own.shape[:2]:
                    return None
                found = ((states.float() * own).sum(1) / own.sum(1)).cpu().numpy()
                means = np.empty((len(texts), found.shape[1]), dtype=np.float32) if means is None else means
                means[batch] = found
    finally:
        hook.remove()
        model.train(was_training)
    return means


def _margins(model: PreTrainedModel, chances: np.ndarray) -> np.ndarray:
    """Return by how much each text's answer is clear: the distance to the next answer, or to the nearest threshold."""
    if gives_several(model):
        return np.abs(chances - _thresholds(model.config, "the model")).min(1)
    second, first = np.partition(chances, (-2, -1), axis=1)[:, -2:].T
    return first - second


def _deviation(model, tokenizer, rows: Mapping[str, list], budget: int, chances: np.ndarray) -> float:
    """Return by how much answers differ at most from those of fp32, in a sample of texts of all lengths."""
    order = np.argsort([len(row) for row in rows["input_ids"]], kind="stable")
    sample = order[np.unique(np.linspace(0, len(order) - 1, SAMPLE).astype(int))]
    return float(np.abs(_forward(model, tokenizer, _take(rows, sample), budget, "fp32") - chances[sample]).max())


def _take(rows: Mapping[str, list], chosen: Iterable[int]) -> dict[str, list]:
    """Return some rows of tokenized texts."""
    return {column: [values[i] for i in chosen] for column, values in rows.items()}


def _forward(model, tokenizer, rows: Mapping[str, list], budget: int, precision: str) -> np.ndarray:
    """Return class probabilities of tokenized texts; the softmax, or of several labels the sigmoid, is that of fp32."""
    chances = np.empty((len(rows["input_ids"]), model.config.num_labels), dtype=np.float32)
    with _computing(model, precision), short_layer.first_token_only(model):
        for batch in _batches([len(row) for row in rows["input_ids"]], budget):
            padded = tokenizer.pad(_take(rows, batch), return_tensors="pt").to(model.device)
            logits = model(**padded).logits.float()
            chances[batch] = (logits.sigmoid() if gives_several(model) else logits.softmax(-1)).cpu().numpy()
    return chances


@contextmanager
def _computing(model: PreTrainedModel, precision: str) -> Iterator[None]:
    """Compute without gradients in a precision, inside the context."""
    kind = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    with torch.inference_mode(), torch.autocast(model.device.type, kind, enabled=precision != "fp32"):
        yield


def _batches(lengths: Sequence[int], budget: int) -> Iterator[list[int]]:
    """Yield all row numbers, the shortest rows first, as many as fit `budget` padded tokens at a time (or one)."""
    batch: list[int] = []
    for row in np.argsort(lengths, kind="stable").tolist():
        if batch and lengths[row] * (len(batch) + 1) > budget:
            yield batch
            batch = []
        batch.append(row)
    if batch:
        yield batch

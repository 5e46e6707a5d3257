"""A trained model's answers: for a few texts in Python, or for a file of millions in bounded memory."""

from __future__ import annotations

import itertools
import re
import time
import warnings
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from . import InputError, files, first_line, hub, results, runtime, shortcuts

#: Rows that are read, sorted by length and written at a time, and padded tokens a batch: what is fastest on a CPU and a GPU.
CHUNK, CPU_TOKENS, GPU_TOKENS = 2048, 1024, 32768
#: Answers whose best two probabilities are closer than this are computed again in fp32: bf16 was off by 0.017 at most.
CLOSE = 0.05
OUTPUTS = (".csv", ".jsonl", ".parquet")

_TRACKED = re.compile(r"models:/.+|(runs:/)?[0-9a-f]{32}(/.+)?")


@dataclass(frozen=True)
class Classifier:
    """A trained model with all that is needed to use it."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    labels: list[str]  # a label's position is its id
    max_length: int  # tokens that it was trained with; longer texts are cut

    def table(self, texts: Sequence[str | None]) -> pd.DataFrame:
        """Return text, label and a column `p_<label>` for each label, in the order of the texts.

        A text that is missing or blank gets no label, and NaN for the probabilities.
        """
        has_text = np.array([isinstance(text, str) and text.strip() != "" for text in texts], dtype=bool)
        known = np.flatnonzero(has_text)
        chances = np.full((len(texts), len(self.labels)), np.nan, dtype=np.float32)
        names = np.full(len(texts), None, dtype=object)
        if len(known):
            chances[known] = probabilities(self.model, self.tokenizer, [texts[i] for i in known], self.max_length)
            names[known] = np.array(self.labels, dtype=object)[chances[known].argmax(1)]
        columns = {f"p_{label}": chances[:, i] for i, label in enumerate(self.labels)}
        return pd.DataFrame({"text": pd.Series(texts, dtype="str"), "label": pd.Series(names, dtype="str")} | columns)


def predict(model: str | Path | Classifier, texts: Iterable[str | None], tracking_uri: str = "") -> pd.DataFrame:
    """Return what a trained model says about texts: columns text, label and `p_<label>` for each label.

    Args:
        model: what `load` takes, or what it returned, to load once for several calls.
        texts: in any number; one that is None or blank gets no label.
        tracking_uri: of the store that a model from MLflow lies in; empty means the project's own.

    Raises:
        InputError: the model cannot be used, or something that is no text is among the texts.
    """
    if isinstance(texts, str):
        raise InputError(f"texts: got one string; accepted is a list of them; use [{texts[:20]!r}]")
    texts = [None if pd.api.types.is_scalar(text) and pd.isna(text) else text for text in texts]
    if wrong := next((text for text in texts if not isinstance(text, str | None)), None):
        raise InputError(f"texts: got {wrong!r}; accepted are strings, and None for a missing text")
    classifier = model if isinstance(model, Classifier) else load(str(model), tracking_uri)
    parts = [classifier.table(texts[start : start + CHUNK]) for start in range(0, len(texts), CHUNK)]
    return pd.concat(parts or [classifier.table([])], ignore_index=True)


def predict_file(model: str, source: Path, target: Path, text_column: str = "", tracking_uri: str = "") -> str:
    """Write a model's answers for each row of a file, in its order; return a sentence about what was done.

    Only some thousand rows are in memory at a time. The target appears whole at the end, or not at all.

    Args:
        model, tracking_uri: see `predict`.
        source: txt (a text a line, or `text;label` with that as its first line), csv, tsv, jsonl or parquet.
        target: csv, jsonl or parquet, by its ending; columns as `predict` returns them.
        text_column: of the source; empty means the first usual name that is there.

    Raises:
        InputError: model, source or target cannot be used.
    """
    source, target = Path(source).expanduser(), Path(target).expanduser()
    _check_target(source, target)
    chunks = files.stream_texts(source, text_column, CHUNK)
    first = next(chunks)  # says what is wrong with the file before seconds go into loading the model
    classifier = load(model, tracking_uri)
    if source.suffix.lower() == ".txt" and all(
        text.rpartition(";")[2].strip() in classifier.labels for text in first[0]
    ):
        raise InputError(
            f"{source.name} holds lines text;label, and the model must not see the labels; "
            "put the line text;label on top, so that they are left out"
        )
    rows = unanswered = 0
    line, started = runtime.ProgressLine(), time.monotonic()
    with results.whole_file(target) as draft, _writer(draft, target.suffix.lower(), classifier.labels) as write:
        for texts, share_read in itertools.chain([first], chunks):
            table = classifier.table(texts)
            write(table)
            rows, unanswered = rows + len(table), unanswered + int(table["label"].isna().sum())
            seconds = time.monotonic() - started
            line.show(
                f"{rows:,} rows, {rows / seconds:,.0f} rows/s, "
                f"about {runtime.duration(seconds * (1 / share_read - 1))} left"
            )
    seconds = time.monotonic() - started
    closing = f"{rows:,} rows in {runtime.duration(seconds)}, {rows / seconds:,.0f} rows/s"
    return closing + (f"; {unanswered:,} without a text have no label" if unanswered else "")


def load(model: str, tracking_uri: str = "") -> Classifier:
    """Return a trained classifier, ready to use on the fastest device here; warn of what its guards found after its training.

    Args:
        model: a folder with a saved model, or one that has it under `model`; `models:/name@alias` or `models:/name/3`
            from the registry; `runs:/<run id>` or the id alone; `owner/name[@revision]` from the Hub.
        tracking_uri: of the MLflow store; empty means the project's own. Models from a store are data to this, not code.

    Raises:
        InputError: it is not there, cannot be read, or was never trained to classify.
    """
    runtime.quiet()
    with TemporaryDirectory() as scratch:
        if _TRACKED.fullmatch(model) and not Path(model).exists():
            from . import tracking  # MLflow takes seconds to import

            folder = tracking.model_folder(model, Path(scratch), tracking_uri)
        else:
            place = Path(model).expanduser()
            inside = place / "model"
            folder = hub.resolve_model(str(inside) if (inside / "config.json").is_file() else model).path
        return _load_folder(folder, model)


def _load_folder(folder: Path, name: str) -> Classifier:
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        model, found = AutoModelForSequenceClassification.from_pretrained(
            folder,
            attn_implementation="eager" if runtime.device() == "cpu" else "sdpa",
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:  # a damaged file raises anything from OSError to the parsers' own errors
        raise InputError(
            f"model: {name} cannot be loaded ({type(error).__name__}: {first_line(error)[:200]}); "
            "check that its folder is whole"
        ) from None
    if missing := sorted(found["missing_keys"]):
        raise InputError(f"model: {name} has no trained classifier ({', '.join(missing)} missing); fine-tune it first")
    if faults := getattr(model.config, "guards", None):
        warnings.warn(f"{name} did not pass its checks: {' '.join(faults)}", stacklevel=3)
    model = model.to(runtime.device()).eval()
    labels = [model.config.id2label[i] for i in range(model.config.num_labels)]
    longest = getattr(model.config, "max_position_embeddings", 512)
    return Classifier(model, tokenizer, labels, min(tokenizer.model_max_length, longest))


def probabilities(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    max_length: int,
    batch_tokens: int | None = None,
) -> np.ndarray:
    """Return class probabilities, shape (len(texts), classes), in the order of the texts.

    Batches are made of texts of similar length, so that little padding is computed, in the precision that the hardware
    is fast at, but for the close calls, which are computed in fp32, so that the labels are those of fp32.

    Args:
        max_length: tokens; longer texts are cut.
        batch_tokens: tokens a batch, padding included; None means what suits the model's device.
    """
    precision = runtime.precision() if model.device.type == runtime.device() else "fp32"
    budget = batch_tokens or (CPU_TOKENS if model.device.type == "cpu" else GPU_TOKENS)
    ids = (
        tokenizer(
            list(texts),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
            return_token_type_ids=False,
        )["input_ids"]
        if len(texts)
        else []
    )
    was_training = model.training
    model.eval()
    chances = _forward(model, tokenizer, ids, budget, precision)
    if precision != "fp32" and chances.shape[1] > 1:
        second, first = np.partition(chances, (-2, -1), axis=1)[:, -2:].T
        close = np.flatnonzero(first - second < CLOSE)
        chances[close] = _forward(model, tokenizer, [ids[i] for i in close], budget, "fp32")
    model.train(was_training)
    return chances


def _forward(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]], budget: int, precision: str
) -> np.ndarray:
    """Return class probabilities of tokenized texts; the softmax is computed in fp32."""
    chances = np.empty((len(ids), model.config.num_labels), dtype=np.float32)
    mixed = torch.autocast(
        model.device.type, {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision), enabled=precision != "fp32"
    )
    with torch.inference_mode(), mixed, shortcuts.first_token_only(model):
        for rows in _batches([len(row) for row in ids], budget):
            batch = tokenizer.pad({"input_ids": [ids[i] for i in rows]}, return_tensors="pt").to(model.device)
            chances[rows] = model(**batch).logits.float().softmax(-1).cpu().numpy()
    return chances


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


def _check_target(source: Path, target: Path) -> None:
    if target.suffix.lower() not in OUTPUTS:
        raise InputError(f"out: {target.name} is of an unknown format; accepted are {', '.join(OUTPUTS)}")
    if target.is_dir():
        raise InputError(f"out: {target} is a folder; name a file")
    if target.exists() and source.exists() and target.samefile(source):
        raise InputError(f"out: {target} is the file to read; name another one")


@contextmanager
def _writer(path: Path, form: str, labels: Sequence[str]):
    """Yield a function that appends a table of `Classifier.table` to a new file."""
    columns = ["text", "label", *(f"p_{label}" for label in labels)]
    if form == ".parquet":
        schema = pa.schema([(name, pa.string() if name in ("text", "label") else pa.float32()) for name in columns])
        with pq.ParquetWriter(path, schema) as writer:
            yield lambda table: writer.write_table(pa.Table.from_pandas(table, schema, preserve_index=False))
        return
    with path.open("w", encoding="utf-8", newline="") as stream:
        if form == ".jsonl":
            yield partial(pd.DataFrame.to_json, path_or_buf=stream, orient="records", lines=True, force_ascii=False)
        else:
            pd.DataFrame(columns=columns).to_csv(stream, index=False, lineterminator="\n")
            yield partial(pd.DataFrame.to_csv, path_or_buf=stream, index=False, header=False, lineterminator="\n")

"""What the cases alter: a tiny model, a store with one of everything, and a training's folder with its record."""

from __future__ import annotations

import shutil
from pathlib import Path
from unittest import mock

import torch
import transformers
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from mlflow_stores import fill as fill_store
from textlab import evaluation, settings, tracking, training, workflows
from textlab.notebooks import results
from textlab.tracking import store
from textlab.workflows import record

WORDS = "a good bad day thing number fine awful this that and with it 0 1 2 3 4 5 6 7 8 9 ##0 ##1 ##2 ##3 . ,".split()
ROWS = "".join(
    f"a {word} day number {i},{label}\n" for i in range(20) for word, label in (("good", "yes"), ("bad", "no"))
)
CSV = f"text,label\n{ROWS}"


def fill(folder: Path) -> None:
    """Make all of it, unless it is there: `model`, `empty`, `full` and `run`."""
    if (folder / "run").is_dir():
        return
    make_model(folder / "model")
    tracking.connect(store.store_uri(folder / "empty"), "Default")
    shutil.copytree(folder / "empty", folder / "full")
    fill_store(store.store_uri(folder / "full"))
    with mock.patch.dict("os.environ", TEXTLAB_OUTPUTS=str(folder / "outputs")):
        make_run(folder, folder / "draft")
    (folder / "draft").rename(folder / "run")


def make_model(folder: Path) -> None:
    """Save a BERT of a few thousand weights, with its tokenizer."""
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", [("[CLS]", 2), ("[SEP]", 3)]
    )
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), special))
    transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, **names).save_pretrained(folder)
    config = transformers.BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=8,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=16,
        max_position_embeddings=128,
        id2label={0: "no", 1: "yes"},
        label2id={"no": 0, "yes": 1},
    )
    torch.manual_seed(0)
    transformers.BertForSequenceClassification(config).save_pretrained(folder)


def make_run(folder: Path, out: Path) -> None:
    """Train on a few rows, and keep the run as notebook 2 does."""
    (folder / "mine.csv").write_text(CSV)
    chosen = {"epochs": 1, "batch_size": 8, "max_length": 16, "dataset": str(folder / "mine.csv")}
    chosen["model"] = str(folder / "model")
    cfg = settings.parameters.check("02_fine_tuning", settings.parameters.defaults("02_fine_tuning") | chosen)
    third = settings.parameters.defaults("03_mlflow_tracking") | {"max_train_rows": None} | chosen
    bench = workflows.Workbench(settings.parameters.check("03_mlflow_tracking", third), out)
    tracking.connect(store.store_uri(folder / "runs"), "mine")
    with tracking.run("trial 1") as active:
        trained = bench.train(active.info.run_id, bench.base, cfg.seed, validate_at=[0.5], final=True)
        bench.finish(trained)
    texts, scores, told = bench.texts, {}, {}
    for split in ("validation", "test"):
        ids = trained.answers[split]
        scores[split], told[split] = evaluation.score(texts.splits[split], ids), record.predictions(texts, split, ids)
    digest = training.save(trained.fit, out / "model")
    kept = record.make("02_fine_tuning", cfg, texts, bench.source, trained.fit, digest, told, scores)
    record.write_predictions(out, told)
    results.write(out, "02_fine_tuning", **record.for_results(kept))
    (out / "run_id").write_text(active.info.run_id)

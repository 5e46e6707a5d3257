"""An untrained model that is made in a second, for tests of everything around it."""

from __future__ import annotations

import os
from pathlib import Path

import torch
import transformers

from ..machine import environment


def make(parent: Path, tokenizer: Path) -> Path:
    """Make a two-layer BERT with random, seeded weights, unless it is there, and return its folder.

    Args:
        parent: of its folder.
        tokenizer: the model folder whose tokenizer it gets.
    """
    folder = parent / f"tiny-{transformers.__version__}"
    if folder.is_dir():
        return folder
    environment.quiet()
    draft = folder.with_name(f"{folder.name}.{os.getpid()}")
    config = transformers.BertConfig(
        vocab_size=30522,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=128,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        transformers.BertModel(config).save_pretrained(draft)
    transformers.AutoTokenizer.from_pretrained(tokenizer).save_pretrained(draft)
    try:
        draft.rename(folder)
    except OSError:  # another process made it at the same moment; its files are the same
        if not folder.is_dir():
            raise
    return folder

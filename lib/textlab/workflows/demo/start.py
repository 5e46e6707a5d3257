"""A trained model behind a page: loaded once, asked by one visitor at a time, with what is known of it."""

from __future__ import annotations

import importlib.util
import os
import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory

import pandas as pd

from ...errors import InputError, one_line
from ...hub import card
from ...machine import environment, processes
from ...training import Classifier, load_classifier, word_weights
from .. import demo  # whose page and server are imported when they are used: Gradio need not be installed
from ..prediction import located


@dataclass(frozen=True)
class Shared(Classifier):
    """A classifier that several people use: it is asked by one at a time, since its model changes while it answers."""

    turn: threading.Lock = field(default_factory=threading.Lock)

    def table(self, texts: Sequence[str | None]) -> pd.DataFrame:
        """Return what `Classifier.table` does."""
        with self.turn:
            return super().table(texts)

    def words(self, text: str) -> pd.DataFrame:
        """Return what each word of a text weighs; see `word_weights`."""
        with self.turn:
            return word_weights(self.model, self.tokenizer, [text], self.max_length)[0]


@dataclass(frozen=True)
class Known:
    """A model with what is known of it: its name, what its guards found, its figures in a sentence, its card."""

    name: str
    classifier: Shared
    warnings: list[str]
    figures: str
    card: str


def serve_demo(model: str, port: int = 7860, tracking_uri: str = "", browse: bool = True) -> int:
    """Serve a page to try a model to this machine alone, until Ctrl-C or SIGTERM; return the exit status.

    Args:
        model, tracking_uri: as for `prediction.load`.
        port: wanted; a free one is taken when something listens there already.
        browse: open the address in the browser of a desktop.

    Raises:
        InputError: the model cannot be used, or gradio is not installed.
    """
    if not importlib.util.find_spec("gradio"):
        raise InputError("demo: gradio is not installed; install it with .venv/bin/pip install -e '.[demo]'")
    with located(model, tracking_uri) as folder:
        known = learn(folder, model)
    with _scratch() as scratch:
        try:
            return demo.server.serve(demo.page.build(known, scratch), processes.free_port(port), browse)
        except KeyboardInterrupt:
            return 0


def serve_space(folder: Path, name: str) -> None:
    """Serve the page of a model as a Space of the Hub does: at the address and port that its variables say.

    Args:
        folder, name: see `learn`.
    """
    known = learn(folder, name)
    with _scratch() as scratch:
        demo.page.build(known, scratch).launch(quiet=True, **demo.server.LOOK)


def learn(folder: Path, name: str) -> Known:
    """Return a model with what is known of it.

    Args:
        folder: of the saved model, with its card if it has one.
        name: of the model, for its page and for messages.

    Raises:
        InputError: the model cannot be used.
    """
    environment.quiet()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        loaded = load_classifier(folder, name)
    figures, text = card.read(folder)
    told = [one_line(one.message) for one in caught if issubclass(one.category, UserWarning)]
    return Known(name, Shared(**vars(loaded)), told, figures, text)


@contextmanager
def _scratch() -> Iterator[Path]:
    """Yield a folder for what visitors upload, which is gone when the page is closed, and tell Gradio of it.

    Gradio reads these variables when it is imported, which comes later.
    """
    with TemporaryDirectory() as folder:
        os.environ |= {"GRADIO_ANALYTICS_ENABLED": "False", "GRADIO_TEMP_DIR": folder}
        yield Path(folder)

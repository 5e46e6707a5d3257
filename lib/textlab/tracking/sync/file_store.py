"""The folder `mlruns` of MLflow's file store, which MLflow itself no longer opens, turned into a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from mlflow.store.db.utils import _initialize_tables
from mlflow.store.fs2db import _registry, _tracking
from mlflow.store.fs2db._utils import MigrationStats, for_each_experiment
from sqlalchemy import create_engine, text
from sqlalchemy.orm import Session

from ...errors import first_line
from ..addresses import sqlite_uri

_META = "meta.yaml"


def convert(runs: Path, file: Path) -> dict[str, str]:
    """Write what a file store holds into a new SQLite file; the artifacts stay where they are.

    It is what `mlflow migrate-filestore` does, run by run: one that cannot be read does not hold back the others.

    Args:
        runs: the file store.
        file: to write.

    Returns:
        What could not be read -> why.
    """
    file.unlink(missing_ok=True)
    engine = create_engine(sqlite_uri(file))
    _initialize_tables(engine)
    with Session(engine) as session:
        session.execute(text("DELETE FROM experiments"))  # the one that MLflow makes of itself
        session.commit()
        reading = _Reading(runs, session)
        for folder, number in for_each_experiment(runs):
            reading.experiment(folder, number)
        for folder in _registry.list_registered_models(runs):
            migrate = _registry._migrate_one_registered_model
            reading.attempt(f"registered model {folder.name}", folder, migrate, reads="*", makes="registered_models")
    engine.dispose()
    return reading.failed


@dataclass(frozen=True)
class _Reading:
    """What is read of a file store, thing by thing.

    Args:
        root: the file store.
        session: of the database that gets what is read.
        failed: what could not be read -> why.
    """

    root: Path
    session: Session
    failed: dict[str, str] = field(default_factory=dict)

    def experiment(self, folder: Path, number: str) -> None:
        """Read an experiment with all that belongs to it."""
        migrate = _tracking._migrate_one_experiment
        if not self.attempt(
            f"experiment {number}", folder, migrate, number, reads=f"{_META} tags", makes="experiments"
        ):
            return
        for run in sorted(path for path in folder.iterdir() if path.name not in _tracking.RESERVED_FOLDERS):
            if run.is_dir():
                migrate = _tracking._migrate_one_run
                self.attempt(f"run {run.name}", run, migrate, int(number), reads="[!a]*", makes="runs")  # no artifacts
        for what, migrate, reads, *arguments in (
            ("data sets", _tracking._migrate_datasets_for_experiment, "datasets */inputs", int(number)),
            ("links to models", _tracking._migrate_outputs_for_experiment, "*/outputs"),
            ("models", _tracking._migrate_logged_models_for_experiment, "models/*/[!a]*", int(number)),
        ):
            self.attempt(f"{what} of experiment {number}", folder, migrate, *arguments, reads=reads)

    def attempt(
        self, what: str, folder: Path, migrate: Callable, *arguments: object, reads: str, makes: str = ""
    ) -> bool:
        """Read a thing, or remember why it cannot be read; return whether it was.

        Args:
            what: it is.
            folder: of the thing.
            migrate, arguments: MLflow's function that reads it, and what it takes.
            reads: patterns of what the function reads in the folder.
            makes: the count of MLflow's that grows when it was read.
        """
        try:
            _refuse_links(folder, self.root, reads)
            counts = MigrationStats()
            migrate(self.session, folder, *arguments, counts)
            if makes and not getattr(counts, makes):
                raise ValueError(f"its {_META} is missing or damaged")
            self.session.commit()
        except Exception as error:  # whatever a damaged file leads to
            self.session.rollback()
            self.failed[what] = first_line(error)
        return what not in self.failed


def _refuse_links(folder: Path, root: Path, reads: str) -> None:
    """Raise ValueError if anything that is read of a folder lies outside of the file store, through a link."""
    parts = [folder, *chain.from_iterable(map(folder.glob, reads.split()))]
    for path in chain(parts, *(part.rglob("*") for part in parts[1:])):
        if not path.resolve().is_relative_to(root.resolve()):
            raise ValueError(f"the link {path.relative_to(root)} leads outside of the store: never read")

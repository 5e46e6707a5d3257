"""A training as a recorded run. What the trainings of an experiment share is loaded once; all are recorded alike."""

from __future__ import annotations

import copy
import dataclasses
import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from datasets import DatasetDict
from transformers import PreTrainedModel, TrainerCallback

from .. import data, evaluation, hub, tracking, training
from ..errors import InputError
from ..evaluation import plots
from ..hub import card
from ..machine import environment
from ..settings import FOR_ONE_LABEL, Recipe, from_params
from ..training import Fit, FrozenMemory, Resumable, Unsaved
from . import record
from .earlier import find_training

#: Rows of validation that a training is scored on while it is under way, to decide whether it is pruned.
INTERIM_ROWS = 256


@dataclass(frozen=True)
class Training:
    """A training as it was recorded."""

    fit: Fit
    answers: dict[str, np.ndarray]  # split -> as `evaluation.decisions` gives them
    scores: dict[str, Any]  # on validation, or on the split of the final score, as `evaluation.score` gives them
    record: dict[str, Any]  # as `record.make` returns it


class Workbench:
    """Data, tokens and pretrained model, loaded once, for any number of trainings that differ in settings or seed.

    Args:
        cfg: checked parameters of notebook 3.
        out: folder for what trainings leave while they run.
        texts, source: data and pretrained model, where they are loaded already.
    """

    def __init__(
        self, cfg: SimpleNamespace, out: Path, texts: data.Data | None = None, source: hub.Source | None = None
    ) -> None:
        environment.fix(cfg.seed, cfg.strict)
        self.cfg, self.out = cfg, out
        columns = cfg.text_column, cfg.label_column
        rows = cfg.seed, cfg.max_train_rows
        self.texts = texts or data.load(cfg.dataset, *columns, *rows, folds=None, labels=cfg.labels)
        self.source = source or hub.resolve_model(cfg.model)
        self.tokenizer = training.load_tokenizer(self.source)
        train = self.texts.splits["train"]
        self.base, self.reasons = training.suit(from_params(cfg), train, self.tokenizer, self.source)
        self.split = "test" if "test" in self.texts.splits else "validation"  # for the final score
        self._tokenized: dict[int, DatasetDict] = {}
        self._models: dict[tuple[int, str], PreTrainedModel] = {}
        self._memory = FrozenMemory()

    def smaller(self, rows: int | None, texts: int | None) -> Workbench:
        """Return a bench for shorter trainings, which learn in the same way as those here; None means as here.

        Args:
            rows: to learn from at most.
            texts: to learn from in all epochs together, as near as whole epochs come; never more than here.
        """
        here = self.texts.rows()["train"]
        fewer = rows is not None and rows < here
        if not fewer and texts is None:
            return self
        learned = rows if fewer else here
        named = self.base.label_names * len(self.texts.labels)  # texts of an epoch beside the rows
        epochs = texts and max(1, round(min(texts, self.base.epochs * (here + named)) / (learned + named)))
        fit_all = {name: getattr(self.base, name) for name in ("contrastive", "label_names")}  # what is learned by
        chosen = {
            "max_train_rows": rows if fewer else self.cfg.max_train_rows,
            "epochs": epochs or self.cfg.epochs,
            "recipe_options": self.cfg.recipe_options | fit_all,
        }
        cfg = SimpleNamespace(**vars(self.cfg) | chosen)
        part = self.texts
        if fewer:  # drawn from all rows, as the record of a trial, which names `max_train_rows`, draws them again
            known = cfg.dataset, cfg.text_column, cfg.label_column, cfg.seed, rows
            part = data.load(*known, folds=len(self.texts.folds) if self.texts.folds else 0, labels=cfg.labels)
        return Workbench(cfg, self.out, part, self.source)

    def check(self, space: Mapping[str, Any]) -> None:
        """Refuse a search space with settings that change nothing here.

        Raises:
            InputError: a text has several labels, and a setting is for one.
        """
        if self.texts.several and (useless := [name for name in space if name in FOR_ONE_LABEL]):
            names = " and ".join(useless)
            raise InputError(f"search_space: {names}: for one label a text, and here a text has several; leave it out")

    @property
    def looked_at(self) -> tuple[int, int]:
        """How many rows of validation a training is scored on while it is under way, and how many there are."""
        rows = len(self.texts.splits["validation"])
        return min(rows, INTERIM_ROWS), rows

    def turned(self, by: int) -> Workbench:
        """Return a bench with `Data.turned`, and the same recipe; without folds, this one."""
        if self.texts.folds is None:
            return self
        bench = Workbench(self.cfg, self.out, self.texts.turned(by), self.source)
        bench.base = self.base
        return bench

    def about(self) -> dict[str, str | int]:
        """Return what all trainings here have in common, as parameters of a run."""
        folds = self.texts.folds and self.texts.folds.turned(
            -self.texts.folds.turn
        )  # each validates as well as another
        return {
            "dataset": self.texts.source.id,
            "data_sha256": self.texts.source.sha256,
            "validation_sha256": self.texts.digests["test" if folds else "validation"],
            "train_rows": folds.kept_rows(self.base.keep) if folds else self.texts.rows()["train"],
            "model": self.source.id,
            "model_sha256": self.source.sha256,
            "recipe": self.cfg.recipe,
        }

    @cached_property
    def baselines(self) -> dict[str, dict]:
        """Scores of the baselines on the split of the final score, as `evaluation.score` gives them."""
        return {
            name: evaluation.score(self.texts.splits[self.split], answer[self.split], self.cfg.seed)
            for name, answer in self._baseline_answers.items()
        }

    @cached_property
    def _inputs(self) -> dict:
        return tracking.data_inputs(self.texts)

    @cached_property
    def _baseline_answers(self) -> dict[str, dict[str, np.ndarray]]:
        answers = self.texts.answered(lambda splits: evaluation.baselines(splits, self.cfg.seed, self.texts.majority))
        if self.cfg.recipe != "probe":  # else that is the model itself
            args = self.source, self.texts.labels, self.tokenizer, self.base.max_length, self.cfg.seed
            answers |= self.texts.answered(training.Probe(*args))
        return answers

    def train(
        self,
        run_id: str,
        recipe: Recipe,
        seed: int,
        callbacks: Sequence[TrainerCallback] = (),
        validate_at: Sequence[float] = (),
        final: bool = False,
    ) -> Training:
        """Train a fresh model in the active run, record what decided the outcome, and score it on validation.

        With folds, a final training is one for each fold and one on all rows, whose model stays; the run has the curves
        of the first fold.

        Args:
            run_id: of the active run.
            recipe: of this training.
            seed: of the new head, the order of batches, and dropout.
            callbacks: see `training.fit`.
            validate_at: shares of the training after which it is validated, on `INTERIM_ROWS` rows; empty: every epoch.
            final: `finish` or `register` follows. The model of each validation is kept (see `tracking.RunLogger`), but
                that of the last one, which is for `register` to log.
        """
        recipe, _ = training.suit(recipe, self.texts.splits["train"], self.tokenizer, self.source)
        self._begin(recipe, seed)
        best = recipe.keep == "best" and not validate_at  # as notebook 2 would
        plan = Resumable(self.out, resume=False) if best else Unsaved(self.out, validate_at)
        tokens = self._tokens(recipe.max_length, bool(validate_at))
        logger = tracking.RunLogger(run_id, checkpoints=final and not self.texts.folds)
        if final:
            fresh = functools.partial(self._fresh, recipe, seed)
            fitted, chances = training.train_and_answer(
                self.texts, tokens, self.tokenizer, recipe, seed, plan, fresh, callbacks, [logger], self._memory
            )
        else:
            model, watching = self._fresh(recipe, seed), [logger, *callbacks]
            fitted = training.fit(model, self.tokenizer, tokens, recipe, seed, plan, watching, self._memory)
            rows = self.texts.splits["validation"]["text"][:]
            chances = {"validation": training.probabilities(fitted.model, self.tokenizer, rows, recipe.max_length)}
        answers, thresholds = training.decided(self.texts, chances)
        training.settle(fitted.model, [], thresholds)
        return self._end(fitted, answers, validate_at, final)

    def take_over(self, run_id: str, folder: Path) -> Training | None:
        """Record notebook 2's finished training in the active run, as `train` would have done, and return it.

        Args:
            run_id: of the active run.
            folder: notebook 2's; None comes back unless its training is exactly a final one of this bench.
        """
        cfg = self.cfg
        found = find_training(folder, self.texts, self.source, self.base, cfg.seed, cfg.strict)
        if found is None:
            return None
        training.fit_tokenizer(self.tokenizer, found[0].model, self.base.max_length)
        self._begin(self.base, cfg.seed)
        tracking.log_history(run_id, found[0].history)
        return self._end(*found, final=True)

    def _begin(self, recipe: Recipe, seed: int) -> None:
        """Log what is known before a training."""
        tracking.log_params(self.about() | dataclasses.asdict(recipe) | {"seed": seed})
        tracking.log_environment()
        tracking.log_inputs(self._inputs)
        tracking.log_card(self.source.path)

    def _end(
        self, fitted: Fit, answers: dict[str, np.ndarray], validate_at: Sequence[float] = (), final: bool = False
    ) -> Training:
        """Log what came of a training, and its record; see `train`."""
        scores = evaluation.score(self.texts.splits["validation"], answers["validation"], self.cfg.seed)
        tracking.log_scores("validation", scores)
        if validate_at:
            tracking.log_point("eval_macro_f1", scores["macro_f1"], fitted.steps)
        predictions = record.predictions(self.texts, "validation", answers["validation"])
        tracking.log_predictions(predictions, "validation")
        sealed = record.make(
            "03_mlflow_tracking",
            self.cfg,
            self.texts,
            self.source,
            fitted,
            training.weights_sha256(fitted.model),
            {"validation": predictions},
            {"validation": scores},
            looks=list(validate_at),
            final=final,
            **({"turn": turn} if (turn := self.texts.folds and self.texts.folds.turn) else {}),
        )
        tracking.log_table(sealed, "record.json")
        tracking.log_frame(fitted.history, "history.csv")
        tracking.log_scores("train", {"seconds": fitted.seconds})
        return Training(fitted, answers, scores, sealed)

    def finish(self, trained: Training) -> tuple[np.ndarray, Training]:
        """Log the score of the active run's model on test, where there is one, and add it to its record.

        Args:
            trained: what a final `train` has just returned.

        Returns:
            The answers, and the training with `scores` on that split and the longer record.
        """
        predicted = trained.answers[self.split]
        scores = evaluation.score(self.texts.splits[self.split], predicted, self.cfg.seed)
        if self.split != "validation":  # which `train` has logged
            tracking.log_scores(self.split, scores)
        predictions = record.predictions(self.texts, self.split, predicted)
        tracking.log_predictions(predictions, self.split)
        digests = trained.record["predictions"] | {self.split: record.digest(predictions)}
        more = {self.split: scores, "predictions": digests, "finished": True}
        sealed = record.seal(trained.record | more)
        tracking.log_table(sealed, "record.json")
        return predicted, Training(trained.fit, trained.answers, scores, sealed)

    def register(self, trained: Training) -> tuple[str, list[str]]:
        """Finish the active run; check its model, log it and register it as `candidate`.

        Args:
            trained: what a final `train` has just returned.

        Returns:
            The version in the registry, and what the guards found.
        """
        split, labels = self.split, self.texts.labels
        (predicted, final), true = self.finish(trained), evaluation.truth(self.texts.splits[split])
        reading = data.read(self.texts.splits["train"], self.tokenizer, trained.fit.recipe.max_length)
        compared = self.baselines | {"fine-tuned": final.scores}
        kept = self._answers_of_the_kept(trained.fit)
        parts = [(true[rows], predicted[rows]) for rows in self.texts.parts]
        guards = evaluation.guards(predicted, compared, labels, reading, trained.fit.history, parts, kept)
        for name, scored in self.baselines.items():
            tracking.log_scores(f"{split}_{name}", scored)
            answers = record.predictions(self.texts, split, self._baseline_answers[name][split])
            tracking.log_predictions(answers, split, name)
        tracking.set_tags(guards=" ".join(guards) or "passed")
        training.settle(trained.fit.model, guards)
        tracking.log_frame(evaluation.per_class(true, predicted, labels), "per_class.csv")
        tags = {
            tracking.SELECTION_METRIC: round(trained.scores["macro_f1"], 4),
            f"{split}_macro_f1": round(final.scores["macro_f1"], 4),
            "data": self.texts.source.id,
        }
        version = tracking.log_model(
            trained.fit.model,
            self.tokenizer,
            self.texts.splits["validation"][:2]["text"],
            self.cfg.registered_model,
            tags,
            [*tracking.flat("validation", trained.scores) | tracking.flat(split, final.scores)],
            trained.fit.steps,
            self._card(final, guards),
            {training.text_kind.FILE: kind.text()} if (kind := trained.fit.kind) else {},
        )
        tracking.log_figure(plots.learning_curves(trained.fit.history, self.texts.several), "learning_curves")
        if not self.texts.several:
            tracking.log_figure(plots.confusion(true, predicted, labels, split), "confusion")
        return version, guards

    def _answers_of_the_kept(self, fitted: Fit) -> np.ndarray:
        """Log what the kept model answers, where the scored answers are not its own: others learned, or had thresholds.

        Returns:
            After a cross-validation its answers for the rows that it learned, else nothing.
        """
        folds, none = self.texts.folds, np.array([], dtype=int)
        if folds is None and not (self.texts.several and self.split == "validation"):
            return none
        texts = self.texts.splits[self.split]["text"][:]
        chances = training.probabilities(fitted.model, self.tokenizer, texts, fitted.recipe.max_length)
        kept = training.answers_of(fitted.model, chances)
        tracking.log_predictions(record.predictions(self.texts, self.split, kept), self.split, "kept")
        return kept if folds else none

    def _card(self, final: Training, guards: Sequence[str]) -> str:
        """Return the model card of a training that `finish` returned."""
        baselines = {
            name: {metric: scored[metric] for metric in ("accuracy", "macro_f1")}
            for name, scored in self.baselines.items()
        }
        measured = final.record | {
            "baselines": baselines,
            "train": {"seconds": final.fit.seconds, "epochs": final.fit.epochs},
            "guards": guards,
            "notes": [*self.texts.notes, *final.fit.notes],
        }
        return card.text(measured, self.texts.labels, evaluation.headline_rows(measured))

    def _tokens(self, max_length: int, interim: bool) -> DatasetDict:
        """Return the tokenized splits; for interim validations with `INTERIM_ROWS` rows of it, drawn with a seed."""
        if max_length not in self._tokenized:
            self._tokenized[max_length] = data.tokenize(self.texts.splits, self.tokenizer, max_length)
        tokens = self._tokenized[max_length]
        if not interim:
            return tokens
        drawn = np.random.default_rng(self.cfg.seed).permutation(len(tokens["validation"]))[:INTERIM_ROWS]
        return DatasetDict(tokens | {"validation": tokens["validation"].select(np.sort(drawn))})

    def _fresh(self, recipe: Recipe, seed: int) -> PreTrainedModel:
        key = seed, training.attention_of(recipe)
        if key not in self._models:
            self._models = {key: training.read_model(self.source, self.texts.labels, *key, several=self.texts.several)}
        model = copy.deepcopy(self._models[key])
        training.prepare(model, recipe)
        return model

"""A training as a recorded run: what all trainings of an experiment share is loaded once, and each is recorded alike."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from datasets import DatasetDict
from mlflow.entities import Run
from transformers import PreTrainedModel, TrainerCallback

from .. import data, evaluation, hub, machine, tracking, training
from ..evaluation import plots
from ..hub import card
from ..machine import environment
from ..settings import Recipe, from_params
from ..training import Fit, FrozenMemory
from . import record

#: Rows of validation that a look at a training on its way is taken at.
LOOK_ROWS = 256


class Workbench:
    """Data, tokens and pretrained model, loaded once, for any number of trainings that differ in settings or seed.

    Args:
        cfg: checked parameters of notebook 3.
        out: folder for what trainings leave while they run.
    """

    def __init__(self, cfg: SimpleNamespace, out: Path) -> None:
        environment.fix(cfg.seed, cfg.strict)
        self.cfg, self.out = cfg, out
        self.texts = data.load(cfg.dataset, cfg.text_column, cfg.label_column, cfg.seed, cfg.max_train_rows)
        self.source, self.base = hub.resolve_model(cfg.model), from_params(cfg)
        self.tokenizer = training.load_tokenizer(self.source)
        self.split = "test" if "test" in self.texts.splits else "validation"  # for the final score
        self._tokenized: dict[int, DatasetDict] = {}
        self._models: dict[tuple[int, str], PreTrainedModel] = {}
        self._memory = FrozenMemory()
        self._record: dict[str, Any] = {}  # of the last training

    def about(self) -> dict[str, str | int]:
        """Return what all trainings here have in common, as parameters of a run."""
        return {
            "dataset": self.texts.source.id,
            "data_sha256": self.texts.source.sha256,
            "validation_sha256": self.texts.digests["validation"],
            "train_rows": self.texts.rows()["train"],
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
        return evaluation.baselines(self.texts.splits, self.cfg.seed)

    def train(
        self,
        run: Run,
        settings: Recipe,
        seed: int,
        callbacks: Sequence[TrainerCallback] = (),
        label: str = "",
        looks: Sequence[float] = (),
        line: machine.ProgressLine | None = None,
        checkpoints: bool = False,
    ) -> tuple[Fit, dict]:
        """Train a fresh model in a run, record what decided the outcome, and score it on validation.

        Args:
            run: the active run.
            settings: of this training.
            seed: of the new head, the order of batches, and dropout.
            callbacks, label, looks, line: see `training.fit`; looks are taken at `LOOK_ROWS` rows of validation.
            checkpoints: see `tracking.RunLogger`; the model of the last epoch is for `register` to log.

        Returns:
            The fit, and the scores on validation as `evaluation.score` gives them.
        """
        tracking.log_params(self.about() | dataclasses.asdict(settings) | {"seed": seed})
        tracking.log_environment()
        tracking.log_inputs(self._inputs)
        tracking.log_card(self.source.path)
        tokens = self._tokens(settings.max_length, bool(looks))
        fitted = training.fit(
            self._fresh(settings, seed),
            self.tokenizer,
            tokens,
            settings,
            seed,
            self.out,
            [tracking.RunLogger(run.info.run_id, checkpoints), *callbacks],
            keep_best=False,
            label=label,
            memory=self._memory,
            looks=looks,
            line=line,
        )
        answers = self.answers(fitted, "validation")
        scores = evaluation.score(self.texts.splits["validation"], answers, self.cfg.seed)
        tracking.log_scores("validation", scores)
        if looks:
            tracking.log_point("eval_macro_f1", scores["macro_f1"], fitted.trainer.state.global_step)
        told = record.predictions(self.texts, "validation", answers)
        tracking.log_predictions(told, "validation")
        weights = training.weights_sha256(fitted.model)
        self._record = record.make(
            "03_mlflow_tracking",
            self.cfg,
            settings,
            self.texts,
            self.source,
            fitted.model,
            seed,
            weights,
            {"validation": told},
            {"validation": scores},
            looks=list(looks),
        )
        tracking.log_table(self._record, "record.json")
        tracking.log_frame(fitted.history, "history.csv")
        tracking.log_scores("train", {"seconds": fitted.seconds})
        return fitted, scores

    def finish(self, fitted: Fit) -> tuple[np.ndarray, dict]:
        """Score the active run's model on test where there is one, once, and add that to its record.

        Args:
            fitted: what `train` has just returned.

        Returns:
            The class ids, and the scores as `evaluation.score` gives them.
        """
        predicted = self.answers(fitted, self.split)
        final = evaluation.score(self.texts.splits[self.split], predicted, self.cfg.seed)
        if self.split != "validation":  # which `train` has logged
            tracking.log_scores(self.split, final)
        told = record.predictions(self.texts, self.split, predicted)
        tracking.log_predictions(told, self.split)
        digests = self._record["predictions"] | {self.split: record.digest(told)}
        self._record = record.seal(self._record | {self.split: final, "predictions": digests, "finished": True})
        tracking.log_table(self._record, "record.json")
        return predicted, final

    def register(self, fitted: Fit, scores: dict) -> tuple[str, list[str]]:
        """Score the active run's model on test where there is one, once; check, log and register it as `candidate`.

        Args:
            fitted, scores: what `train` returned.

        Returns:
            The version in the registry, and what the guards found.
        """
        split, labels = self.split, self.texts.labels
        (predicted, final), true = self.finish(fitted), self.texts.splits[split]["label"][:]
        guards = evaluation.guards(predicted, self.baselines | {"fine-tuned": final}, labels)
        for name, scored in self.baselines.items():
            tracking.log_scores(f"{split}_{name}", scored)
            told = record.predictions(self.texts, split, self._baseline_answers[name][split])
            tracking.log_predictions(told, split, name)
        tracking.set_tags(guards=" ".join(guards) or "passed")
        fitted.model.config.guards = guards
        tracking.log_figure(plots.learning_curves(fitted.history), "learning_curves")
        tracking.log_figure(plots.confusion(true, predicted, labels, split), "confusion")
        tracking.log_frame(evaluation.per_class(true, predicted, labels), "per_class.csv")
        stands_on = {
            tracking.SELECTION_METRIC: round(scores["macro_f1"], 4),
            f"{split}_macro_f1": round(final["macro_f1"], 4),
            "data": self.texts.source.id,
        }
        figures = [*tracking.flat("validation", scores) | tracking.flat(split, final)]
        measured = self._record | {
            "baselines": {
                name: {metric: scored[metric] for metric in ("accuracy", "macro_f1")}
                for name, scored in self.baselines.items()
            },
            "train": {"seconds": fitted.seconds, "epochs": fitted.epochs},
            "guards": guards,
            "notes": [*self.texts.notes, *fitted.notes],
        }
        version = tracking.log_model(
            fitted.model,
            self.tokenizer,
            self.texts.splits["validation"][:2]["text"],
            self.cfg.registered_model,
            stands_on,
            figures,
            fitted.trainer.state.global_step,
            card.text(measured, labels, evaluation.headline_rows(measured)),
        )
        return version, guards

    def answers(self, fitted: Fit, split: str) -> np.ndarray:
        """Return the class ids that a fitted model gives for a split."""
        found = self.texts.splits[split]["text"][:]
        return training.probabilities(fitted.model, self.tokenizer, found, fitted.recipe.max_length).argmax(1)

    def _tokens(self, max_length: int, for_looks: bool) -> DatasetDict:
        """Return the tokenized splits; for looks on the way, with `LOOK_ROWS` rows of validation, drawn with a seed."""
        if max_length not in self._tokenized:
            self._tokenized[max_length] = data.tokenize(self.texts.splits, self.tokenizer, max_length)
        tokens = self._tokenized[max_length]
        if not for_looks:
            return tokens
        drawn = np.random.default_rng(self.cfg.seed).permutation(len(tokens["validation"]))[:LOOK_ROWS]
        return DatasetDict(tokens | {"validation": tokens["validation"].select(np.sort(drawn))})

    def _fresh(self, settings: Recipe, seed: int) -> PreTrainedModel:
        key = seed, training.attention_of(settings)
        if key not in self._models:
            self._models = {key: training.read_model(self.source, self.texts.labels, *key)}
        model = copy.deepcopy(self._models[key])
        training.prepare(model, settings)
        return model

"""A transformers Trainer for short texts: batches of similar length, averaged weights, guards, safe checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import numpy as np
import torch
from datasets import Dataset
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy
from transformers import PreTrainedModel, Trainer, TrainerCallback

from ..data import row_lengths
from ..errors import TrainingError
from ..settings import Recipe
from . import checkpoints
from .callbacks import Progress
from .contrast import Contrast
from .frozen_memory import FrozenMemory
from .layers import pretrained_layers, weights_below
from .short_layer import first_token_only

AVERAGE = "average.safetensors"


class SimilarLengthSampler(torch.utils.data.Sampler):
    """Yields row numbers so that each run of `batch_size` has similar lengths, the runs in random order.

    The order depends on nothing but the lengths, the seed and the epoch, so a resumed training sees the same batches.
    (The stock `group_by_length` sampler has no generator of its own, and its order after a resume differs.)

    Args:
        lengths: tokens of each row; all equal gives plain random batches.
        batch_size: rows a batch.
        seed: with the epoch, decides the order; rows of equal length are shuffled among batches too.
        epoch: returns the epoch to give the order of.
    """

    def __init__(self, lengths: np.ndarray, batch_size: int, seed: int, epoch: Callable[[], int] = lambda: 0) -> None:
        self.lengths, self.batch_size, self.seed, self.epoch = lengths, batch_size, seed, epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        generator = np.random.default_rng([self.seed, self.epoch()])
        noise = generator.uniform(0, 1, len(self.lengths))
        by_length = np.lexsort((noise, self.lengths))
        full = len(by_length) // self.batch_size * self.batch_size
        rest = generator.permutation(len(by_length))[: len(by_length) - full]  # the short batch, from any lengths
        batches = np.delete(by_length, rest).reshape(-1, self.batch_size)
        yield from generator.permutation(batches).ravel().tolist()
        yield from by_length[rest].tolist()


class TextTrainer(Trainer):
    """A Trainer that does what training on short texts needs; all that users know of Trainer keeps working.

    Args:
        recipe: what the arguments were made from.
        rows: how many of the first rows to train on are those of the data, for messages.
        class_weights: weight of each class in the loss, or None.
        memory: of the outputs of frozen layers; None begins an empty one.
        The others are those of Trainer.
    """

    def __init__(
        self,
        *args,
        recipe: Recipe,
        rows: int,
        class_weights: torch.Tensor | None = None,
        memory: FrozenMemory | None = None,
        **kwargs,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._rows = rows
        self.recipe, self.memory = recipe, memory or FrozenMemory()
        self._above = _layers_above(self.model, recipe) if recipe.layer_lr_decay != 1 else {}
        self.preparing = 0.0  # seconds before the first step, for the outputs of frozen layers
        self._draft: Path | None = None  # where a checkpoint is being written
        self._average: dict[str, torch.Tensor] | None = None
        self._loss: torch.Tensor | None = None
        self._contrast = Contrast() if recipe.contrastive else None
        if class_weights is not None or recipe.label_smoothing or recipe.contrastive:
            self.compute_loss_func, self._class_weights = self._training_loss, class_weights

    # Batches

    def _get_train_sampler(self, train_dataset: Dataset | None = None) -> SimilarLengthSampler:
        dataset = self.train_dataset if train_dataset is None else train_dataset
        lengths = row_lengths(dataset) if self.recipe.batches == "similar_length" else np.zeros(len(dataset))
        return SimilarLengthSampler(
            lengths, self.args.train_batch_size, self.args.data_seed, epoch=lambda: int(self.state.epoch or 0)
        )

    def _get_eval_sampler(self, eval_dataset: Dataset) -> list[int]:
        return np.argsort(row_lengths(eval_dataset), kind="stable")[::-1].tolist()

    # Learning rates

    def create_optimizer(self, model: PreTrainedModel | None = None) -> torch.optim.Optimizer:
        """Return the optimizer; with `layer_lr_decay`, each layer learns that much slower than the one above it."""
        if self.optimizer is None and self.recipe.layer_lr_decay != 1:
            decayed = set(self.get_decay_parameter_names(self.model))
            groups: dict[tuple, list] = {}
            for name, parameter in self.model.named_parameters():
                if parameter.requires_grad:
                    key = self.recipe.layer_lr_decay ** self._above.get(id(parameter), 0), name in decayed
                    groups.setdefault(key, []).append(parameter)
            kind, arguments = self.get_optimizer_cls_and_kwargs(self.args, self.model)
            self.optimizer = kind(
                [
                    {
                        "params": parameters,
                        "lr": self.args.learning_rate * share,
                        "weight_decay": self.args.weight_decay if decays else 0.0,
                    }
                    for (share, decays), parameters in groups.items()
                ],
                **arguments,
            )
        return super().create_optimizer(model)

    def _training_loss(self, outputs, labels: torch.Tensor, **others) -> torch.Tensor:
        """Return the cross-entropy; in training with the recipe's weights, smoothing and contrastive term."""
        if not self.model.training:
            return cross_entropy(outputs.logits, labels)
        loss = cross_entropy(
            outputs.logits,
            labels,
            label_smoothing=self.recipe.label_smoothing,
            weight=None if self._class_weights is None else self._class_weights.to(labels.device),
        )
        return loss + self.recipe.contrastive * self._contrast.loss(labels) if self._contrast else loss

    # Guards: a step that would ruin the weights is not taken

    def training_step(self, *args, **kwargs) -> torch.Tensor:
        """Return the loss of a batch, as Trainer does, and remember it for the guard."""
        self._loss = super().training_step(*args, **kwargs)
        return self._loss

    def _get_grad_norm(self, model, grad_norm=None):
        norm = super()._get_grad_norm(model, grad_norm)
        watched = self._loss if self.args.fp16 else norm  # with fp16, the loss scaler skips steps of infinite gradients
        if not math.isfinite(watched):
            name, value = ("gradient", norm) if math.isfinite(self._loss) else ("loss", self._loss)
            raise TrainingError(self._place(f"the {name} became {float(value)}"))
        return norm

    def _place(self, what: str) -> str:
        """Return what happened and where, in one line."""
        state, size = self.state, self.args.train_batch_size
        batches = math.ceil(len(self.train_dataset) / size)
        epoch, batch = divmod(state.global_step, batches)
        drawn = list(self._get_train_sampler())[batch * size : (batch + 1) * size]
        rows = [row for row in drawn if row < self._rows]  # the others are names of labels
        some = ", ".join(map(str, rows[:5])) + (" ..." if len(rows) > 5 else "")
        read = f"rows {some} of train, counted from 0" if rows else "names of labels"
        kept = [f", {path.name} is the last good one" for path in checkpoints.in_order(Path(self.args.output_dir))][-1:]
        return (
            f"{what} at step {state.global_step + 1} (epoch {epoch + 1}, batch {batch + 1} of {batches} with {read}; "
            f"learning rate {self._get_learning_rate():g}); no model was saved{''.join(kept)}; "
            "try a learning rate ten times smaller"
        )

    # Averaged weights: an exponential moving average is what is validated, kept and returned

    def train(self, *args, **kwargs):
        """Train; the model then holds the last epoch's weights, or the best one's when that is kept."""
        self.add_callback(_Moments(self))
        started, forward = time.perf_counter(), vars(self.model).get("forward")
        last_layer = self._contrast.watching(self.model) if self._contrast else first_token_only(self.model)
        with last_layer, self._remembered():
            self.preparing = time.perf_counter() - started
            outcome = super().train(*args, **kwargs)
        # Without this, the model would compute in the precision of its training for ever.
        self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        if forward:  # one that `read_weights` made; unwrapping takes it for a method
            self.model.forward = forward
        if self._average and not self.state.best_model_checkpoint:
            self.model.load_state_dict(self._average, strict=False)
        self._average = None
        return outcome

    def _remembered(self):
        if self.recipe.dropout or self.recipe.torch_compile:
            return nullcontext()
        progress = self.callback(Progress)
        return self.memory.used_by(
            self.model, [self.train_dataset, self.eval_dataset], self.args.bf16, progress and progress.show
        )

    def callback(self, kind: type[TrainerCallback]) -> TrainerCallback | None:
        """Return the callback of a kind that is in use; a resume replaces those that were passed."""
        return next((callback for callback in self.callback_handler.callbacks if isinstance(callback, kind)), None)

    def begin(self) -> None:
        """Begin to average the trained weights, or go on as the checkpoint says that training is resumed from."""
        self.state.best_model_checkpoint = self._best_checkpoint()  # the folder may have been moved
        if not self.recipe.average:
            return
        trained = {name: p.detach().clone() for name, p in self.model.named_parameters() if p.requires_grad}
        saved = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}" / AVERAGE
        self._average = (
            {name: tensor.to(trained[name].device) for name, tensor in load_file(saved).items()}
            if self.state.global_step
            else trained
        )

    @torch.no_grad()
    def update_average(self) -> None:
        """Take the weights of a finished step into the average, which forgets its beginning faster at first."""
        if self._average is None:
            return
        decay = min(self.recipe.average, (1 + self.state.global_step) / (10 + self.state.global_step))
        names = dict(self.model.named_parameters())
        torch._foreach_lerp_(list(self._average.values()), [names[name].detach() for name in self._average], 1 - decay)

    @contextmanager
    def _averaged(self) -> Iterator[None]:
        """Put the averaged weights into the model while something is measured."""
        if self._average is None:
            yield
            return
        names = dict(self.model.named_parameters())
        own = {name: names[name].detach().clone() for name in self._average}
        self.model.load_state_dict(self._average, strict=False)
        try:
            yield
        finally:
            self.model.load_state_dict(own, strict=False)

    def evaluate(self, *args, **kwargs) -> dict[str, float]:
        """Return the metrics of the averaged weights while training, of the model otherwise."""
        with self._averaged():
            return super().evaluate(*args, **kwargs)

    def _load_best_model(self) -> None:
        super()._load_best_model()
        if self._average is not None:
            self.model.load_state_dict(load_file(Path(self.state.best_model_checkpoint) / AVERAGE), strict=False)

    # Checkpoints

    def _get_output_dir(self, trial=None) -> str:
        return str(self._draft or super()._get_output_dir(trial))

    def _save_checkpoint(self, model, trial) -> None:
        folder, name = Path(self.args.output_dir), f"checkpoint-{self.state.global_step}"
        trained = sum(p.numel() * p.element_size() for p in self.model.parameters() if p.requires_grad)
        checkpoints.need_space(folder, self.model.get_memory_footprint() + trained * (3 if self._average else 2))
        self._draft = folder / ".draft"
        try:
            super()._save_checkpoint(model, trial)
            if self._average is not None:
                save_file(self._average, self._draft / name / AVERAGE)
        finally:
            draft, self._draft = self._draft, None
            self.state.best_model_checkpoint = self._best_checkpoint()
        checkpoints.publish(draft / name, folder / name)
        checkpoints.prune(folder, checkpoints.best_of(folder / name))

    def _best_checkpoint(self) -> str | None:
        step = self.state.best_global_step
        return str(Path(self.args.output_dir) / f"checkpoint-{step}") if step else None


class _Moments(TrainerCallback):
    """Calls the trainer at the right moments."""

    def __init__(self, trainer: TextTrainer) -> None:
        self.trainer, self.padding = trainer, trainer.model.config.pad_token_id

    def on_train_begin(self, args, state, control, model=None, **kwargs):
        model.config.pad_token_id = self.padding  # as `match` left it: Trainer makes it the tokenizer's
        self.trainer.begin()

    def on_step_end(self, args, state, control, **kwargs):
        self.trainer.update_average()


def _layers_above(model: PreTrainedModel, recipe: Recipe) -> dict[int, int]:
    """Return how many pretrained layers lie above a weight, by its id; weights of no layer, such as the head's, lack.

    All layers lie above what the first one's input depends on.
    """
    layers = pretrained_layers(model, recipe)
    inside = {id(weight): len(layers) - 1 - i for i, layer in enumerate(layers) for weight in layer.parameters()}
    return inside | {id(weight): len(layers) for weight in weights_below(model, 0)}

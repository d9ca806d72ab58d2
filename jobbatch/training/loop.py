"""One epoch after another: the steps of a fit and the state between them.

AdamW with a short warm-up; the rate is halved when validation F1 stalls; a running average of
the weights is what gets validated and kept. Every epoch draws its randomness from the seed and
its own number, so a resumed run takes the same steps as an undisturbed one.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch.optim.lr_scheduler import ReduceLROnPlateau

from jobbatch.decisions import Decisions, Scaling
from jobbatch.errors import UsageError
from jobbatch.settings.teaching import TrainSettings
from jobbatch.tokenizer import TokenIds
from jobbatch.training.checkpoints import Checkpoint
from jobbatch.training.devices import choose_device, has_fast_bf16
from jobbatch.training.encoder import Encoder
from jobbatch.training.evaluation import Evaluation, evaluate
from jobbatch.training.examples import (
    Examples,
    drop_context,
    padded,
    probabilities,
    shuffled_batches,
)
from jobbatch.training.parameter_groups import parameter_groups

WARMUP_STEPS = 50
AVERAGE_DECAY = 0.99
"""Of the running average of the weights, per step; it spans about a hundred steps."""
MAX_GRADIENT_NORM = 1.0
_PLATEAU = ("best", "num_bad_epochs", "cooldown_counter", "last_epoch")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpochRecord:
    """One epoch as it is reported: the mean training loss, and figures on the validation part."""

    epoch: int
    epochs: int
    loss: float
    learning_rate: float
    micro_f1: float
    macro_f1: float
    exact_match: float
    seconds: float

    def __str__(self) -> str:
        """Return the epoch as one line for a person."""
        return (
            f"epoch {self.epoch}/{self.epochs}: loss {self.loss:.4f}, validation micro-F1 "
            f"{self.micro_f1:.4f}, macro-F1 {self.macro_f1:.4f}, exact match "
            f"{self.exact_match:.4f} ({self.seconds:.0f} s)"
        )


class Loop:
    """A fit between two epochs.

    Attributes:
        history: the epochs done.
        best_epoch: the last one of best validation F1; 0 before the first.
    """

    def __init__(
        self,
        encoder: Encoder,
        train: Examples,
        validation: Examples,
        settings: TrainSettings,
        taught: Examples | None = None,
    ) -> None:
        self.history: list[EpochRecord] = []
        self.best_epoch = 0
        self.device = choose_device(settings.device)
        self._train = train if taught is None else train.joined(taught)
        self._n_labelled = train.tokens.lengths.size
        self._validation, self._settings = validation, settings
        self._model = encoder.model.to(self.device)  # type: ignore[arg-type]
        self._optimizer = torch.optim.AdamW(parameter_groups(self._model, settings), fused=True)
        self._plateau = ReduceLROnPlateau(self._optimizer, mode="max", factor=0.5, patience=1)
        self._average = {n: p.detach().clone() for n, p in self._model.named_parameters()}
        self._best = self._average
        self._bf16 = has_fast_bf16(self.device)
        self._identity = _identity(encoder, settings, self._train, validation)
        if taught is not None:
            self._identity += f"-{settings.epochs}"

    def epoch(self) -> EpochRecord | None:
        """Run one epoch; none if the loss is not finite."""
        number = len(self.history) + 1
        started = time.monotonic()
        torch.manual_seed(self._settings.seed * 100_003 + number)
        seed = (self._settings.seed, number)
        shown = self._shown(number)
        tokens = drop_context(self._train.tokens, (*seed, 1))
        lengths = tokens.lengths[shown]
        rows = [shown[b] for b in shuffled_batches(lengths, self._settings.batch_size, seed)]
        warmup = min(WARMUP_STEPS, len(rows)) if number == 1 else 0
        self._model.train()
        losses = []
        for step, batch in enumerate(rows):
            if step < warmup:
                self._set_rates((step + 1) / warmup)
            losses.append(self._step(tokens, batch))
            if not math.isfinite(losses[-1]):
                return None
        return self._finish(number, float(np.mean(losses)), started)

    def _shown(self, number: int) -> NDArray[np.intp]:
        """Return the rows of an epoch: all labelled ones, and its part of those a teacher labelled."""
        epochs, labelled = self._settings.epochs, np.arange(self._n_labelled)
        others = np.arange(self._n_labelled, self._train.tokens.lengths.size)
        shuffled = np.random.default_rng(self._settings.seed).permutation(others)
        return np.concatenate([labelled, np.array_split(shuffled, epochs)[(number - 1) % epochs]])

    def _finish(self, number: int, loss: float, started: float) -> EpochRecord:
        figures = self._validate()
        record = EpochRecord(
            epoch=number,
            epochs=self._settings.epochs,
            loss=loss,
            learning_rate=float(self._optimizer.param_groups[0]["lr"]),
            micro_f1=figures.micro_f1,
            macro_f1=figures.macro_f1,
            exact_match=figures.exact_match,
            seconds=round(time.monotonic() - started, 3),
        )
        self._plateau.step(record.micro_f1)
        # Of equal epochs the last: its average has seen more.
        if record.micro_f1 >= max((r.micro_f1 for r in self.history), default=0.0):
            self.best_epoch = number
            self._best = {n: t.clone() for n, t in self._average.items()}
        self.history.append(record)
        return record

    def _step(self, tokens: TokenIds, batch: NDArray[np.intp]) -> float:
        ids, mask = padded(tokens, batch, int(self._model.config.pad_token_id))
        targets = torch.from_numpy(self._train.targets[batch].astype(np.float32)).to(self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self._bf16):
            logits = self._model(ids.to(self.device), attention_mask=mask.to(self.device)).logits
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits.float(), targets)
        self._optimizer.zero_grad()
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._model.parameters(), MAX_GRADIENT_NORM)
        self._optimizer.step()
        with torch.no_grad():
            for name, parameter in self._model.named_parameters():
                self._average[name].lerp_(parameter, 1 - AVERAGE_DECAY)
        return loss.item()

    def _set_rates(self, share: float) -> None:
        for group in self._optimizer.param_groups:
            group["lr"] = group["peak"] * share

    def _validate(self) -> Evaluation:
        current = {n: p.detach().clone() for n, p in self._model.named_parameters()}
        self._model.load_state_dict(self._average)
        scores = probabilities(self._model, self._validation.tokens)
        self._model.load_state_dict(current)
        n_labels = scores.shape[1]
        plain = Decisions(calibration=(Scaling(),) * n_labels, thresholds=(0.5,) * n_labels)
        names = tuple(str(i) for i in range(n_labels))
        return evaluate(self._validation.targets.astype(np.bool_), scores, plain, names)

    def state(self) -> Checkpoint:
        """Return everything that the next epoch depends on."""
        moments = {
            f"{index}.{name}": tensor
            for index, moment in self._optimizer.state_dict()["state"].items()
            for name, tensor in moment.items()
        }
        state = {
            "identity": self._identity,
            "best_epoch": self.best_epoch,
            "history": [asdict(record) for record in self.history],
            "plateau": {name: getattr(self._plateau, name) for name in _PLATEAU},
            "rates": [group["lr"] for group in self._optimizer.param_groups],
        }
        weights = dict(self._model.named_parameters())
        tensors = {"model": weights, "average": self._average, "optimizer": moments}
        return Checkpoint(epoch=len(self.history), tensors=tensors, state=state)

    def restore(self, last: Checkpoint, best: Checkpoint) -> None:
        """Go back to where `last` was taken.

        Raises:
            UsageError: if it is of a run with other data or settings.
        """
        if last.state["identity"] != self._identity:
            raise UsageError(
                "--resume: the interrupted run had other data or settings. Repeat it with those, "
                "or leave --resume out to start again"
            )
        self._model.load_state_dict(dict(last.tensors["model"]))
        self._average = self._on_device(last.tensors["average"])
        self._best = self._on_device(best.tensors["average"])
        self.best_epoch = int(last.state["best_epoch"])
        self.history = [EpochRecord(**fields) for fields in last.state["history"]]
        optimizer = self._optimizer.state_dict()
        optimizer["state"] = _nested(last.tensors["optimizer"])
        self._optimizer.load_state_dict(optimizer)
        for group, rate in zip(self._optimizer.param_groups, last.state["rates"], strict=True):
            group["lr"] = rate
        for name, value in last.state["plateau"].items():
            setattr(self._plateau, name, value)

    def _on_device(self, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        return {name: tensor.to(self.device) for name, tensor in tensors.items()}

    def keep_best(self) -> None:
        """Put the best epoch's weights into the model."""
        self._model.load_state_dict(self._best)
        self._model.to("cpu")


def _nested(moments: Mapping[str, torch.Tensor]) -> dict[int, dict[str, torch.Tensor]]:
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in moments.items():
        index, moment = name.split(".", 1)
        state.setdefault(int(index), {})[moment] = tensor
    return state


def _identity(encoder: Encoder, settings: TrainSettings, *parts: Examples) -> str:
    """Identify what the steps of a fit depend on; more epochs may be asked for when resuming."""
    digest = hashlib.sha256(encoder.model.config.to_json_string().encode())
    for name in ("base", "batch_size", "learning_rate", "weight_decay", "seed"):
        digest.update(f"{name}={getattr(settings, name)!r}\n".encode())
    for part in parts:
        digest.update(part.tokens.flat.tobytes() + part.targets.tobytes())
    return digest.hexdigest()

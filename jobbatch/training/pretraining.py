"""Masked-language pre-training (Devlin et al. 2019; Liu et al. 2019) of a base on titles alone.

No label is seen. What comes out is a base for `train --base FOLDER`, in the form of a Hugging Face
folder: config.json, model.safetensors, tokenizer.json, tokenizer_config.json.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import RobertaForMaskedLM

from jobbatch.errors import UsageError
from jobbatch.labels import LabelSet
from jobbatch.runs import exclusive
from jobbatch.settings.teaching import PretrainSettings
from jobbatch.titles import Normaliser
from jobbatch.tokenizer import TokenIds
from jobbatch.training import encoder, labelled_table
from jobbatch.training.devices import choose_device, has_fast_bf16
from jobbatch.training.encoder import Encoder, EncoderOptions
from jobbatch.training.examples import padded, shuffled_batches
from jobbatch.training.staging import check_target, recover, staged_folder

MASKED_SHARE = 0.2
"""Share of the tokens to be guessed. Titles are short: with BERT's .15 many would have none."""
WARMUP_STEPS = 200
"""At most; a short training has a tenth of its steps."""
REPORT_STEPS = 100
"""Steps between two reports of progress."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord:
    """Where a pre-training stands; the loss is a mean over the last steps, in nats a token."""

    step: int
    steps: int
    loss: float
    seconds: float

    def __str__(self) -> str:
        """Return the record as one line for a person."""
        return f"step {self.step}/{self.steps}: loss {self.loss:.3f} ({self.seconds:.0f} s)"


Progress = Callable[[StepRecord], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainReport:
    """What came of a pre-training: the folder, its size, and how it went."""

    out: Path
    titles: int
    parameters: int
    last: StepRecord

    def to_json_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return asdict(self) | {"out": str(self.out)}

    def summary_lines(self) -> list[str]:
        """Return the report for a person."""
        return [
            f"{self.titles:,} distinct titles, {self.parameters / 1e6:.1f} million parameters",
            str(self.last),
            f"base: {self.out}",
            f"next: jobbatch train DATA --base {self.out} --out weights/NAME",
        ]


def pretrain(settings: PretrainSettings, progress: Progress | None = None) -> PretrainReport:
    """Make a base that knows how titles are written.

    Its vocabulary keeps the tokens of the package's own titles, in their several languages, and
    the most frequent ones of the table.

    Raises:
        OutputError: if the output exists and may not be replaced.
        LockedError: if another run is making it.
        UsageError: if the table has no titles, or training diverges.
        TitleColumnError, InputError: if the table cannot be read.
        ModelError: if the base cannot be had or is unsafe.
    """
    check_target(settings.out, overwrite=settings.overwrite)
    settings.out.absolute().parent.mkdir(parents=True, exist_ok=True)
    with exclusive(settings.out):
        recover(settings.out)
        return _pretrain(settings, progress)


def _pretrain(settings: PretrainSettings, progress: Progress | None) -> PretrainReport:
    keys = labelled_table.read_keys(settings.titles, Normaliser(), settings.encoding)
    own = labelled_table.read_keys(labelled_table.OWN_TITLES, Normaliser())
    if not keys:
        raise UsageError(f"{settings.titles} has no titles")
    options = EncoderOptions(
        base=settings.base,
        other_keys=keys,
        vocabulary_size=settings.vocabulary_size,
        n_layers=settings.layers,
    )
    # The head is not written; two labels are the fewest that a network can be built for.
    network = encoder.build(options, LabelSet(("no", "yes")), own, settings.seed)
    last = _fit(network, network.tokens(keys), settings, progress)
    with staged_folder(settings.out) as staged:
        network.save_body(staged)
    parameters = sum(p.numel() for p in network.model.parameters())
    return PretrainReport(out=settings.out, titles=len(keys), parameters=parameters, last=last)


def _fit(
    network: Encoder, tokens: TokenIds, settings: PretrainSettings, progress: Progress | None
) -> StepRecord:
    device = choose_device(settings.device)
    torch.manual_seed(settings.seed)
    model = RobertaForMaskedLM(network.model.config)  # type: ignore[no-untyped-call]
    model.roberta = network.model.roberta
    model.tie_weights()  # type: ignore[no-untyped-call]
    model.to(device).train()  # type: ignore[arg-type]
    pad_id = int(network.model.config.pad_token_id or 0)
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=settings.learning_rate, weight_decay=0.01, fused=True
    )
    mask = Masking(network.tokenizer, pad_id, model.config.vocab_size)
    batches = [
        rows
        for epoch in range(settings.epochs)
        for rows in shuffled_batches(tokens.lengths, settings.batch_size, (settings.seed, epoch))
    ]
    started, losses, record = time.monotonic(), list[float](), None
    for step, rows in enumerate(batches, start=1):
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * _rate(step, len(batches))
        ids, attention = padded(tokens, rows, pad_id)
        masked, picked = mask(ids)
        if picked.any():
            with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bf16(device)):
                hidden = model.roberta(
                    input_ids=masked.to(device), attention_mask=attention.to(device)
                ).last_hidden_state
                logits = model.lm_head(hidden[picked.to(device)])
            loss = torch.nn.functional.cross_entropy(logits.float(), ids[picked].to(device))
            losses.append(loss.item())
            if not math.isfinite(losses[-1]):
                raise UsageError(
                    f"the loss is not finite in step {step}: lower --learning-rate "
                    f"(now {settings.learning_rate:g})"
                )
            optimizer.zero_grad()
            torch.autograd.backward(loss)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
        if losses and (step % REPORT_STEPS == 0 or step == len(batches)):
            record = StepRecord(
                step=step,
                steps=len(batches),
                loss=float(np.mean(losses[-REPORT_STEPS:])),
                seconds=round(time.monotonic() - started, 1),
            )
            if progress is not None:
                progress(record)
    if record is None:
        raise UsageError("the titles are too few and too short to pre-train on")
    network.model.to("cpu")  # type: ignore[arg-type]
    return record


def _rate(step: int, steps: int) -> float:
    """Return the share of the peak learning rate: a short warm-up, then down to a twentieth."""
    warmup = max(1, min(WARMUP_STEPS, steps // 10))
    return min(1.0, step / warmup) * max(0.05, 1 - step / steps)


class Masking:
    """Hides tokens: of those picked 80 % are masked, 10 % replaced by any token, 10 % left."""

    def __init__(self, tokenizer: bytes, pad_id: int, vocabulary_size: int) -> None:
        added = {t["content"]: int(t["id"]) for t in json.loads(tokenizer)["added_tokens"]}
        self._mask_id = added.get("[MASK]", added.get("<mask>"))
        self._special = torch.tensor(sorted({*added.values(), pad_id}))
        self._size = vocabulary_size

    def __call__(self, ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the ids with some hidden, and which are to be guessed (bool), shaped as `ids`."""
        picked = (torch.rand(ids.shape) < MASKED_SHARE) & ~torch.isin(ids, self._special)
        lot = torch.rand(ids.shape)
        masked = ids.masked_fill(picked & (lot < 0.8), int(self._mask_id or 0))
        other = torch.randint(self._size, ids.shape)
        return torch.where(picked & (lot >= 0.9), other, masked), picked

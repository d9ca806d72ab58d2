"""Which parameters learn how fast, and which decay."""

from __future__ import annotations

from typing import Any

import torch

from jobbatch.settings.teaching import TrainSettings

HEAD_RATE = 5.0
"""The head's learning rate as a multiple of the encoder's: it starts from nothing."""


def parameter_groups(model: torch.nn.Module, settings: TrainSettings) -> list[dict[str, Any]]:
    """Return AdamW's groups: head or encoder, matrix or not; 'peak' is the rate after warm-up."""
    groups: dict[tuple[bool, bool], list[torch.nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        key = (name.startswith("classifier."), parameter.ndim > 1)
        groups.setdefault(key, []).append(parameter)
    rates = {True: HEAD_RATE * settings.learning_rate, False: settings.learning_rate}
    return [
        {
            "params": parameters,
            "lr": rates[head],
            "peak": rates[head],
            "weight_decay": settings.weight_decay if matrix else 0.0,
        }
        for (head, matrix), parameters in sorted(groups.items(), key=lambda item: item[0])
    ]

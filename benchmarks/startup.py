"""How long commands take to begin, beside the imports that they cannot do without."""

from __future__ import annotations

import os
import tempfile
from typing import Any

from benchmarks.measure import in_turn, jobbatch, process, python, seconds_of

_CLOSED = {"COLUMNS": "80"}


def measure(rounds: int) -> dict[str, Any]:
    """Return seconds of each way, and the two figures that have bounds."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**_CLOSED, "XDG_CACHE_HOME": folder}
        commands = {
            "python -c pass": python("-c", "pass"),
            "jobbatch --help": jobbatch("--help"),
            "import onnxruntime, tokenizers, polars": python(
                "-c", "import onnxruntime, tokenizers, polars"
            ),
            "jobbatch predict CEO": jobbatch("predict", "CEO"),
            "import torch, transformers": python(
                "-c", "import torch; from transformers import AutoModelForSequenceClassification"
            ),
        }
        runs = in_turn(
            {name: lambda c=command: process(c, environment) for name, command in commands.items()},
            rounds,
        )
    seconds = {name: round(seconds_of(found), 3) for name, found in runs.items()}
    return {
        "seconds": seconds,
        "help_over_pass_ms": round(
            1_000 * (seconds["jobbatch --help"] - seconds["python -c pass"])
        ),
        "predict_over_imports": round(
            seconds["jobbatch predict CEO"] / seconds["import onnxruntime, tokenizers, polars"], 2
        ),
        "cores": os.cpu_count(),
    }

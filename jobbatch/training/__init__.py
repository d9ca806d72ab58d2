"""From labelled titles to a model folder: PyTorch, transformers, Optimum, scikit-learn live here.

Needs the extra `train`.
"""

from __future__ import annotations

import os
from importlib.util import find_spec

from jobbatch.errors import MissingExtraError

_NEEDED = (
    "torch",
    "transformers",
    "optimum",
    "onnx",
    "sklearn",
    "iterstrat",
    "tensorboard",
    "matplotlib",
    "jinja2",
    "cleanlab",
    "openpyxl",
)

# Read when the libraries are first imported, hence here. Tokenising before a fork only warns.
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
os.environ.setdefault("DISABLE_TELEMETRY", "1")
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "true")
os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")


def require_extra() -> None:
    """Check that the packages of the extra are there.

    Raises:
        MissingExtraError: naming those that are not, and the command that installs them.
    """
    missing = [name for name in _NEEDED if find_spec(name) is None]
    if missing:
        raise MissingExtraError(
            f"training needs {', '.join(missing)}, which are not installed: "
            "pip install 'jobbatch[train,cpu]'"
        )

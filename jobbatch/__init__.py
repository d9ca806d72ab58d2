"""jobbatch labels millions of job titles with their organisational level.

Importing the package loads nothing heavy; the names below load what they need on first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobbatch.labeller import Labeller
    from jobbatch.model import TitleModel
    from jobbatch.pipeline import label_file
    from jobbatch.settings.labelling import LabelSettings

__version__ = "0.1.0"
__all__ = ["LabelSettings", "Labeller", "TitleModel", "__version__", "label_file"]

_HOMES = {
    "LabelSettings": "jobbatch.settings.labelling",
    "Labeller": "jobbatch.labeller",
    "TitleModel": "jobbatch.model",
    "label_file": "jobbatch.pipeline",
}


def __getattr__(name: str) -> object:
    if name in _HOMES:
        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'jobbatch' has no attribute {name!r}")

"""Nothing in the package can load code out of data."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import jobbatch

PACKAGE = Path(jobbatch.__file__).parent
MODULES = {"pickle", "cPickle", "_pickle", "marshal", "shelve", "dill", "cloudpickle", "joblib"}
BUILTINS = {"eval", "exec", "compile", "__import__"}
LOADERS = {"torch.load", "torch.jit.load", "torch.hub.load", "yaml.load", "yaml.unsafe_load"}
PICKLING = {"read_pickle", "to_pickle"}
SWITCHES = {"allow_pickle", "trust_remote_code"}


def dangers(source: str) -> list[str]:
    """Return what in some Python could run code that comes out of a file."""
    tree = ast.parse(source)
    known = dict(_imported(tree))
    found = [name for name in known.values() if name.split(".")[0] in MODULES or name in LOADERS]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found += [node.func.id] if node.func.id in BUILTINS else []
        if isinstance(node, ast.Attribute):
            first, _, rest = ast.unparse(node).partition(".")
            name = f"{known.get(first, first)}.{rest}"
            found += [name] if name in LOADERS or node.attr in PICKLING else []
        if isinstance(node, ast.keyword) and node.arg in SWITCHES:
            found += [] if ast.unparse(node.value) == "False" else [node.arg]
    return found


def _imported(tree: ast.Module) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for one in node.names:
                yield one.asname or one.name.split(".")[0], one.name
        if isinstance(node, ast.ImportFrom):
            for one in node.names:
                yield one.asname or one.name, f"{node.module}.{one.name}"


@pytest.mark.parametrize(
    "module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_the_module_loads_no_code_out_of_data(module: Path) -> None:
    assert dangers(module.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import joblib as j",
        "import torch\ntorch.load(path)",
        "import torch as t\nt.load(path, weights_only=True)",
        "from torch import load",
        "import numpy as np\nnp.load(path, allow_pickle=True)",
        "load(path, allow_pickle=chosen)",
        "frame.to_pickle(path)",
        "import yaml\nyaml.load(text)",
        "eval(text)",
        "exec(text)",
        "AutoModel.from_pretrained(name, trust_remote_code=True)",
    ],
)
def test_what_would_load_code_is_seen(source: str) -> None:
    assert len(dangers(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "model.eval()",
        "import re\nre.compile(pattern)",
        "import json\njson.load(file)",
        "import numpy as np\nnp.load(path, allow_pickle=False)",
        "from safetensors.torch import load",
    ],
)
def test_what_loads_no_code_is_let_through(source: str) -> None:
    assert dangers(source) == []

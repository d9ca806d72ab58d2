"""What pyproject.toml asks for, and what of it is installed here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import Any

from packaging.dependency_groups import resolve_dependency_groups
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PYPROJECT: Mapping[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))


def runtime(*extras: str) -> list[Requirement]:
    """Return what the package asks for at run time, with some of its extras."""
    project = PYPROJECT["project"]
    optional = [project["optional-dependencies"][extra] for extra in extras]
    return [Requirement(line) for lines in (project["dependencies"], *optional) for line in lines]


def group(name: str) -> list[Requirement]:
    """Return what a dependency group asks for, those that it includes too."""
    return [Requirement(r) for r in resolve_dependency_groups(PYPROJECT["dependency-groups"], name)]


def installed(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """Return the installed distributions that requirements bring, all the way down, by name.

    PyTorch's CUDA packages are left out: whether they come depends on where PyTorch comes from.

    Raises:
        PackageNotFoundError: if one is not installed.
    """
    found: dict[str, Distribution] = {}
    followed: set[tuple[str, str]] = set()
    waiting = [(r, "") for r in requirements]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        found[name] = distribution(name)
        for wanted in ("", *requirement.extras):
            if (name, wanted) not in followed:
                followed.add((name, wanted))
                waiting += [(r, wanted) for r in _required(found[name])]
    return dict(sorted(found.items()))


def _required(of: Distribution) -> Sequence[Requirement]:
    lines = map(Requirement, of.requires or ())
    if canonicalize_name(of.name) != "torch":
        return list(lines)
    return [r for r in lines if "platform_system" not in str(r.marker)]

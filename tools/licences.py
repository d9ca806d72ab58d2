"""Checks the licence of everything that the package needs at run time, training included."""

from __future__ import annotations

import re
import sys
from collections.abc import Collection, Iterable
from importlib.metadata import Distribution

from tools.project import PYPROJECT, installed, runtime

UNKNOWN = "an unknown licence"


def stated(distribution: Distribution) -> list[str]:
    """Return the licences that a distribution states; all of them apply.

    The best of its words count: an SPDX expression, else classifiers, else the first line of the
    free text. Of an expression each part counts, alternatives too.
    """
    metadata = distribution.metadata
    if "License-Expression" not in metadata:
        classifiers = [c.split(" :: ") for c in metadata.get_all("Classifier") or ()]
        named = [parts[-1] for parts in classifiers if parts[0] == "License" and len(parts) > 2]
        if named:
            return named
    texts = metadata.get_all("License-Expression") or metadata.get_all("License") or [""]
    first: str = next(iter(texts[0].strip().splitlines()), UNKNOWN)
    return [part for part in re.split(r"\s+(?:AND|OR)\s+|[()]", first) if part]


def refused(distributions: Iterable[Distribution], allowed: Collection[str]) -> dict[str, str]:
    """Return the distributions that state a licence which is not allowed, each with the licence."""
    found = {d.name: [n for n in stated(d) if n not in allowed] for d in distributions}
    return {name: ", ".join(licences) for name, licences in found.items() if licences}


def main() -> None:
    """Print every package whose licence is not allowed, and exit with 1 if there is one."""
    packages = installed(runtime("cpu", "train")).values()
    faults = refused(packages, PYPROJECT["tool"]["jobbatch"]["licences"]["allowed"])
    for name, licence in faults.items():
        print(
            f"{name} is under {licence}, which is not allowed. Read it, then add it to "
            "[tool.jobbatch.licences] in pyproject.toml, or do without the package"
        )
    if faults:
        sys.exit(1)
    print(f"licences: all {len(packages)} packages have one that is allowed")


if __name__ == "__main__":
    main()

"""Writes constraints.txt: the development environment as it is installed, and the benchmarks' peers.

It holds no hashes: the CPU build of PyTorch has other ones than that of the package index.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from packaging.utils import canonicalize_name
from packaging.version import Version

from tools.project import ROOT, group, installed, runtime

LOCK = ROOT / "constraints.txt"
HEADER = "# Versions that pass the tests together; the Makefile installs with them. Made by `make lock`.\n"


def pinned() -> dict[str, str]:
    """Return the version of each distribution that constraints.txt names."""
    lines = [line for line in LOCK.read_text("utf-8").splitlines() if not line.startswith("#")]
    return dict(line.split("==") for line in lines)


@cache
def environment() -> Mapping[str, str]:
    """Return the version of each distribution that the development environment needs."""
    found = installed([*runtime("cpu", "train"), *group("dev")])
    return {name: Version(one.version).public for name, one in found.items()}


def peers() -> set[str]:
    """Return the names that only the benchmarks ask for; these have an environment of their own."""
    names: set[str] = {canonicalize_name(r.name) for r in group("bench")}
    return names - set(environment())


def main() -> None:
    """Write the file; the peers keep their versions."""
    pins = {name: version for name, version in pinned().items() if name in peers()}
    pins |= environment()
    LOCK.write_text(HEADER + "".join(f"{n}=={v}\n" for n, v in sorted(pins.items())), "utf-8")


if __name__ == "__main__":
    main()

"""Measures jobbatch and its peers in one run.

python -m benchmarks                  everything, medians of five: some hours on two cores
python -m benchmarks --quick          small inputs, once: some minutes, to see that all of it works
python -m benchmarks --only tables    one suite; what the others found today stays

Writes results/<date>-<machine>.json, and the tables and plots of README.md from it. A quick run
writes quick.json, which is not kept.
"""

from __future__ import annotations

import argparse
import datetime as dt
import json
import os
import platform
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks import linear, report, scale, scoring, startup, tables
from jobbatch.training.folder import versions

HERE = Path(__file__).parent
LIBRARIES = (
    "jobbatch",
    "polars",
    "onnxruntime",
    "tokenizers",
    "fastexcel",
    "torch",
    "transformers",
)

Suite = Callable[[], dict[str, Any]]
FULL: dict[str, Suite] = {
    "startup": lambda: startup.measure(rounds=9),
    "scoring": lambda: scoring.measure(rounds=5),
    "linear": lambda: linear.measure(rounds=5),
    "tables": lambda: tables.measure(5, 20_000_000, 1_300_000, 1_000_000),
    "safety": lambda: tables.safety(9, 1_000_000, 65_000),
    "scale": lambda: scale.measure(
        rows=[10_000, 100_000, 1_000_000, 10_000_000, 100_000_000],
        known=[100_000, 1_000_000, 10_000_000],
        new=[1_000, 10_000, 100_000, 1_000_000],
        rounds=3,
    ),
}
QUICK: dict[str, Suite] = {
    "startup": lambda: startup.measure(rounds=1),
    "scoring": lambda: scoring.measure(rounds=1, sizes=(scoring.SHIPPED,)),
    "linear": lambda: linear.measure(rounds=1),
    "tables": lambda: tables.measure(1, 200_000, 20_000, 20_000),
    "safety": lambda: tables.safety(1, 20_000, 4_000),
    "scale": lambda: scale.measure(
        rows=[10_000, 100_000], known=[100_000], new=[1_000, 4_000], rounds=1
    ),
}


def main() -> None:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="*", choices=FULL, default=list(FULL))
    options = parser.parse_args()
    suites = QUICK if options.quick else FULL
    path = HERE / "results" / ("quick.json" if options.quick else f"{_name()}.json")
    path.parent.mkdir(exist_ok=True)
    found = json.loads(path.read_text()) if path.exists() and not options.quick else {}
    found |= {"commit": _commit(), "machine": _machine(), "versions": versions(LIBRARIES)}
    for name in options.only:
        print(f"{name} ...", flush=True)
        found[name] = suites[name]()
        path.write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    if options.quick:
        print(report.text(found))
    else:
        report.write(HERE / "README.md", path.relative_to(HERE), found)


def _name() -> str:
    machine = re.sub(r"[^a-z0-9]+", "-", f"{_processor()} {os.cpu_count()} cores".lower())
    return f"{dt.datetime.now(dt.UTC):%Y-%m-%d}-{machine.strip('-')}"


def _machine() -> dict[str, Any]:
    return {
        "processor": _processor(),
        "features": _features(),
        "cores": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
        "system": platform.system(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    facts = _cpuinfo()
    family = ", ".join(f"{k} {facts[k]}" for k in ("cpu family", "model") if k in facts)
    return f"{facts.get('model name', platform.machine())} ({family})" if family else "unknown"


def _features() -> list[str]:
    known = ("avx2", "avx512_vnni", "avx512_bf16", "avx_vnni", "amx_int8", "asimddp", "i8mm")
    flags = _cpuinfo().get("flags", _cpuinfo().get("Features", "")).split()
    return [name for name in known if name in flags]


def _cpuinfo() -> dict[str, str]:
    path = Path("/proc/cpuinfo")
    if not path.exists():
        return {}
    lines = path.read_text().split("\n\n")[0].splitlines()
    pairs = (line.partition(":")[::2] for line in lines)
    return {key.strip(): value.strip() for key, value in pairs}


def _commit() -> str | None:
    answer = subprocess.run(
        ["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() or None


if __name__ == "__main__":
    main()

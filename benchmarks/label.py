"""Times `jobbatch label` as a whole process: new titles first, then the same ones known.

    python benchmarks/label.py --rows 100000 --distinct 100000

Prints one JSON object: seconds, titles a second and peak memory of each run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from itertools import islice, product
from pathlib import Path

import polars as pl

TITLES = Path(__file__).parent.parent / "export" / "parity-titles.txt"
PLACES = tuple(
    "Europe Asia Africa Canada Mexico Brazil Chile Peru Spain Italy France Poland Greece Turkey Egypt "
    "Kenya Ghana India Nepal China Korea Japan Texas Ohio Utah Iowa Maine Nevada Oregon London Paris "
    "Berlin Madrid Rome Vienna Zurich Oslo Dublin Lisbon Prague Sweden Norway Denmark Finland Iceland "
    "Ireland Wales Belgium".split()
)


def distinct_titles(n: int) -> list[str]:
    """Return `n` distinct titles: the parity titles of up to six words, each with a place."""
    short = [t for t in TITLES.read_text().splitlines() if len(t.split()) <= 6]
    titles = list(islice((f"{t}, {place}" for place, t in product(PLACES, short)), n))
    if len(titles) < n:
        raise SystemExit(f"there are only {len(titles):,} distinct titles")
    return titles


def timed(arguments: list[str]) -> dict[str, float]:
    """Run the command line; return its wall seconds and its peak memory in MiB."""
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "jobbatch", *arguments])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments} ended with {status}")
    scale = 1 if platform.system() == "Darwin" else 1024
    return {
        "seconds": round(time.perf_counter() - started, 2),
        "peak_mib": round(usage.ru_maxrss * scale / 2**20),
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--distinct", type=int, default=100_000)
    parser.add_argument("--ending", default="parquet")
    parser.add_argument("--model")
    given = parser.parse_args()
    titles = distinct_titles(given.distinct)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "people.parquet"
        rows = pl.Series("Job Title", titles).gather(
            pl.arange(given.rows, eager=True) % len(titles)
        )
        pl.DataFrame({"id": pl.arange(given.rows, eager=True), "Job Title": rows}).write_parquet(
            source
        )
        command = ["label", str(source), f"{folder}/out.{given.ending}", "--quiet", "--overwrite"]
        command += ["--cache-dir", f"{folder}/cache"]
        command += ["--model", given.model] if given.model else []
        new = timed(command)
        Path(f"{folder}/out.{given.ending}").unlink()
        known = timed(command)
    for run in (new, known):
        run["distinct_titles_per_second"] = round(given.distinct / run["seconds"])
    result = {"rows": given.rows, "distinct": given.distinct, "new": new, "known": known}
    print(json.dumps(result | {"machine": platform.machine(), "cores": os.cpu_count()}, indent=2))


if __name__ == "__main__":
    main()

"""Time and peak memory against rows, and against distinct titles, which ought to be straight lines."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from benchmarks import inputs, tables
from benchmarks.measure import jobbatch, process


def measure(rows: list[int], known: list[int], new: list[int], rounds: int) -> dict[str, Any]:
    """Return a run for each number of rows, of known titles and of new ones.

    Args:
        rows: of tables with 100,000 known titles, or as many as rows.
        known: titles in the score store, for a table of 1,000,000 rows.
        new: distinct titles that are not in the store; one row each.
        rounds: of runs of up to 1,000,000 rows or titles; longer ones are run once.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "rows": [_known(folder, n, min(n, 100_000), min(n, 100_000), rounds) for n in rows],
            "known titles": [_known(folder, 1_000_000, 100_000, n, rounds) for n in known],
            "new titles": [_new(folder, n, rounds) for n in new],
        }


def _known(folder: Path, rows: int, distinct: int, stored: int, rounds: int) -> dict[str, Any]:
    source, cache = folder / "people.parquet", folder / f"cache-{stored}"
    titles = inputs.many_titles(max(stored, distinct))
    if not cache.exists():
        tables.know(titles, cache)
    inputs.write_parquet(source, rows, titles.head(distinct))
    runs = _runs(folder, source, cache, rounds if rows <= 1_000_000 else 1)
    return {"rows": rows, "distinct": distinct, "stored": stored, **runs}


def _new(folder: Path, distinct: int, rounds: int) -> dict[str, Any]:
    source = folder / "people.parquet"
    inputs.many_titles(distinct).to_frame().write_parquet(source)
    found = []
    for _ in range(rounds if distinct < 100_000 else 1):
        with tempfile.TemporaryDirectory(dir=folder) as cache:
            found.append(_runs(folder, source, Path(cache), 1))
    return {
        "distinct": distinct,
        "seconds": [run["seconds"][0] for run in found],
        "peak_mib": [run["peak_mib"][0] for run in found],
    }


def _runs(folder: Path, source: Path, cache: Path, rounds: int) -> dict[str, Any]:
    output = folder / "out.parquet"
    seconds, peak = [], []
    for _ in range(rounds):
        output.unlink(missing_ok=True)
        run = process(
            jobbatch(
                *("label", str(source), str(output), "--overwrite", "-q"),
                *("--cache-dir", str(cache), "--title-column", inputs.TITLE),
            )
        )
        seconds.append(round(run.seconds, 2))
        peak.append(round(run.peak_mib))
    print(f"    {source.name}: {seconds} s, {peak} MiB", flush=True)
    return {"seconds": seconds, "peak_mib": peak}

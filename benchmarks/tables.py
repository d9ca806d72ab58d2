"""Tables with titles that are known already: what is left is reading, joining and writing."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from benchmarks import inputs
from benchmarks.measure import Run, in_turn, jobbatch, peak_of, process, python, seconds_of

_COLUMNS = ("labels", "primary_label", "confidence", "needs_review", "review_reason")
_READ_XLSX = "import fastexcel; e = fastexcel.read_excel('{0}').load_sheet(0, dtypes='string')"
PARQUET_WAYS = {
    "plain copy (scan to sink)": (
        "import polars as pl; pl.scan_parquet('{source}').sink_parquet('{folder}/copy.parquet')"
    ),
    "bare two-scan join": (
        "import polars as pl; a = pl.read_parquet('{answers}'); s = pl.scan_parquet('{source}'); "
        "u = s.select('Job Title').unique().collect(engine='streaming').lazy()"
        ".join(a.lazy(), on='Job Title').collect(); "
        "s.join(u.lazy(), on='Job Title', how='left', maintain_order='left')"
        ".sink_parquet('{folder}/join.parquet')"
    ),
}
"""What Polars does at least; `answers` has a row a distinct title."""
XLSX_WAYS = {
    "fastexcel to Arrow, Polars to Parquet": (
        "import fastexcel, polars as pl; "
        "pl.DataFrame(fastexcel.read_excel('{source}').load_sheet(0).to_polars())"
        ".write_parquet('{folder}/bare.parquet')"
    ),
    "pandas with calamine": (
        "import pandas as pd; "
        "pd.read_excel('{source}', engine='calamine').to_parquet('{folder}/pandas.parquet')"
    ),
    "pandas with openpyxl": (
        "import pandas as pd; "
        "pd.read_excel('{source}', engine='openpyxl').to_parquet('{folder}/pandas.parquet')"
    ),
    "openpyxl, read only": (
        "import openpyxl; "
        "rows = list(openpyxl.load_workbook('{source}', read_only=True).active"
        ".iter_rows(values_only=True))"
    ),
}
"""What reads a workbook instead."""
UNPROTECTED = (
    "import os; from pathlib import Path; from jobbatch import runs, worker; "
    "from jobbatch.settings.labelling import LabelSettings; "
    "os.environ.setdefault('POLARS_HOT_TABLE_SIZE', str(worker._GROUPS_AT_HAND)); "
    "runs.FileState.of = lambda path, becomes=None: runs.FileState(path='', size=0, sha256=''); "
    "worker.sink.verify = lambda *_: None; "
    "worker.label_table(LabelSettings(input=Path('{source}'), output=Path('{output}'), "
    "cache_dir=Path('{cache}')), Path('{output}'), Path('{folder}'))"
)
"""The steps of `label` in one process, without lock, checksums, reopening, fsync and manifest."""
SLOW = ("pandas with openpyxl", "openpyxl, read only")
"""What gets a twentieth of the rows."""
WRITE_WAYS = {
    "polars write_excel": (
        "import polars as pl; pl.read_parquet('{source}').with_columns("
        "pl.col('labels').list.join('; ')).write_excel('{folder}/polars.xlsx')"
    ),
}


def measure(rounds: int, rows: int, distinct: int, xlsx_rows: int) -> dict[str, Any]:
    """Return seconds and peak memory of every way.

    Args:
        rounds: counted.
        rows: of the Parquet table.
        distinct: titles in it.
        xlsx_rows: of the workbooks.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        return {
            "parquet": _parquet(folder, rounds, rows, distinct),
            "xlsx": _xlsx(folder, rounds, xlsx_rows, xlsx_rows * distinct // rows),
        }


def safety(rounds: int, rows: int, distinct: int) -> dict[str, Any]:
    """Return what it costs that a run is safe, where all titles are known and where a tenth is new.

    Args:
        rounds: counted.
        rows: of the table.
        distinct: titles in it.
    """
    titles = inputs.many_titles(distinct)
    found: dict[str, Any] = {"rows": rows, "distinct": distinct}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source, output, cache = (folder / n for n in ("people.parquet", "out.parquet", "cache"))
        inputs.write_parquet(source, rows, titles)
        label = jobbatch("label", str(source), str(output), "-q", "--cache-dir", str(cache))
        bare = UNPROTECTED.format(source=source, output=output, cache=cache, folder=folder)

        def labelled(command: list[str], stored: Path) -> Run:
            output.unlink(missing_ok=True)
            shutil.rmtree(cache, ignore_errors=True)
            shutil.copytree(stored, cache)
            return process(command)

        for what, known in (("all known", distinct), ("a tenth new", distinct * 9 // 10)):
            stored = folder / what
            know(titles.head(known), stored)
            ways = {
                "jobbatch": partial(labelled, label, stored),
                "the same steps, unprotected": partial(labelled, python("-c", bare), stored),
            }
            found[what] = _summary(in_turn(ways, rounds))
    return found


def know(titles: pl.Series, cache: Path) -> None:
    """Put made-up scores of all titles into a score store, so that none is new."""
    from jobbatch.model import OpenOptions, TitleModel  # noqa: PLC0415
    from jobbatch.scores import ScoreStore, schema  # noqa: PLC0415
    from jobbatch.weights import default_model  # noqa: PLC0415

    model = TitleModel(default_model(), OpenOptions(device="cpu"))
    keys = titles.to_frame().select(model.normaliser.key(inputs.TITLE)).to_series().unique().sort()
    store = ScoreStore(cache, model.fingerprint, len(model.labels))
    random = np.random.default_rng(1)
    for chunk in keys.to_frame("key").iter_slices(8_192):
        scores = random.dirichlet(np.full(len(model.labels), 0.2), chunk.height)
        columns = {
            "key": chunk["key"],
            "probabilities": scores.astype(np.float32).round(4),
            "truncated": np.zeros(chunk.height, np.bool_),
        }
        store.commit(pl.DataFrame(columns, schema=schema(len(model.labels))))


def _parquet(folder: Path, rounds: int, rows: int, distinct: int) -> dict[str, Any]:
    titles = inputs.many_titles(distinct)
    source, cache = folder / "people.parquet", folder / "cache"
    inputs.write_parquet(source, rows, titles)
    know(titles, cache)
    output = folder / "out.parquet"
    label = jobbatch(
        "label", str(source), str(output), "--overwrite", "-q", "--cache-dir", str(cache)
    )
    process(label)
    answers = folder / "answers.parquet"
    pl.scan_parquet(output).select(inputs.TITLE, *_COLUMNS).unique(inputs.TITLE).sink_parquet(
        answers
    )
    named = {"source": source, "folder": folder, "answers": answers}

    def labelled() -> Run:
        output.unlink(missing_ok=True)
        return process(label)

    ways = {"jobbatch": labelled}
    for name, code in PARQUET_WAYS.items():
        ways[name] = _python(code.format(**named))
    found = _summary(in_turn(ways, rounds))
    new = _new(folder, source, titles)
    return {"rows": rows, "distinct": distinct, **found, "one percent new": new}


def _new(folder: Path, source: Path, titles: pl.Series) -> dict[str, float]:
    """Return the seconds of a run where 1 % of the titles are new, and of their scoring alone."""
    known = round(len(titles) * 0.99)
    cache, alone = folder / "cache-99", folder / "new.parquet"
    know(titles.head(known), cache)
    titles.slice(known).to_frame().write_parquet(alone)
    seconds = {}
    for name, path, scores in (("whole", source, cache), ("alone", alone, folder / "cache-0")):
        output = folder / f"{name}.parquet"
        run = process(jobbatch("label", str(path), str(output), "-q", "--cache-dir", str(scores)))
        seconds[name] = round(run.seconds, 2)
    return {"new titles": len(titles) - known, **seconds}


def _xlsx(folder: Path, rounds: int, rows: int, distinct: int) -> dict[str, Any]:
    from jobbatch.tables.workbook import write_workbook  # noqa: PLC0415

    titles = inputs.many_titles(distinct)
    cache = folder / "cache-xlsx"
    know(titles, cache)
    frame = inputs.table(rows, titles)
    source, small = folder / "people.xlsx", folder / "small.xlsx"
    for path, n in ((source, rows), (small, rows // 20)):
        write_workbook(frame.head(n).lazy(), path, frame.columns, {}, n)
    options = ("--overwrite", "-q", "--cache-dir", str(cache))
    parquet, workbook = folder / "x.parquet", folder / "x.xlsx"
    read = jobbatch("label", str(source), str(parquet), *options)
    process(read)

    def reading() -> Run:
        parquet.unlink(missing_ok=True)
        return process(read)

    ways = {"jobbatch": reading}
    for name, code in XLSX_WAYS.items():
        slow = name in SLOW
        shown = f"{name}, a twentieth of the rows" if slow else name
        ways[shown] = _python(code.format(source=small if slow else source, folder=folder))
    found = {"read": _summary(in_turn(ways, rounds))}
    plain = folder / "plain.parquet"
    frame.write_parquet(plain)
    process(jobbatch("label", str(plain), str(folder / "labelled.parquet"), *options))
    write = jobbatch("label", str(plain), str(workbook), *options)

    def writing() -> Run:
        workbook.unlink(missing_ok=True)
        return process(write)

    ways = {"jobbatch, all of label": writing}
    ways["jobbatch, the writer alone"] = _python(
        "import polars as pl; from pathlib import Path; "
        f"from jobbatch.tables import sink; f = pl.scan_parquet('{folder}/labelled.parquet'); "
        f"sink.write(f, Path('{folder}/w.xlsx'), '.xlsx', headers=f.collect_schema().names(), "
        f"metadata={{}}, n_rows={rows})"
    )
    fifth = folder / "fifth.parquet"
    pl.scan_parquet(folder / "labelled.parquet").head(rows // 5).sink_parquet(fifth)
    for name, code in WRITE_WAYS.items():
        shown = f"{name}, a fifth of the rows"
        ways[shown] = _python(code.format(source=fifth, folder=folder))
    found["write"] = _summary(in_turn(ways, rounds))
    return {"rows": rows, "distinct": distinct, **found}


def _python(code: str) -> Any:
    return lambda: process(python("-c", code))


def _summary(runs: dict[str, list[Run]]) -> dict[str, Any]:
    return {
        name: {
            "seconds": [round(r.seconds, 2) for r in found],
            "median_seconds": round(seconds_of(found), 2),
            "peak_mib": round(peak_of(found)),
        }
        for name, found in runs.items()
    }


if __name__ == "__main__":
    json.dump(measure(*map(int, sys.argv[1:5])), sys.stdout, indent=1)

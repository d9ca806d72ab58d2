"""The tables and plots of README.md, from a run's figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from statistics import median
from typing import Any

BEGIN, END = "<!-- figures -->", "<!-- end of figures -->"


def write(page: Path, results: Path, found: dict[str, Any]) -> None:
    """Put a run's tables between the marks of the page, and its plots beside it."""
    before, _, rest = page.read_text().partition(BEGIN)
    after = rest.partition(END)[2]
    shown = f"{BEGIN}\n\n{text(found, results)}\n{END}"
    plots = page.parent / "plots"
    if "scale" in found:
        plots.mkdir(exist_ok=True)
        _plot(plots / "scale.svg", found["scale"])
    page.write_text(before + shown + after)


def text(found: dict[str, Any], results: Path | None = None) -> str:
    """Return the tables as Markdown."""
    machine = found["machine"]
    lines = [
        f"{machine['processor']}, {machine['cores']} cores ({', '.join(machine['features'])}), "
        f"{machine['memory_gib']} GiB, {machine['system']}, Python {machine['python']}; commit "
        f"{(found['commit'] or '')[:7]}"
        + (f"; all figures in [{results}]({results})" if results else ""),
    ]
    for name, section in _SECTIONS.items():
        if name in found:
            lines += ["", *section(found[name])]
    return "\n".join(lines) + "\n"


def _startup(found: dict[str, Any]) -> Iterator[str]:
    yield from ("### Start-up", "", "| command | seconds |", "|---|--:|")
    yield from (f"| `{name}` | {s:.2f} |" for name, s in found["seconds"].items())
    yield ""
    yield f"`--help` takes {found['help_over_pass_ms']} ms more than Python itself; `predict` takes"
    yield f"{found['predict_over_imports']} times as long as the imports it cannot do without."


def _scoring(found: dict[str, Any]) -> Iterator[str]:
    names = list(found["models"])
    yield from ("### New titles", "", "Distinct new titles a second, and how many times as fast")
    yield "jobbatch is, with the same weights. jobbatch's figure is that of all of `label`, from"
    yield "opening the model to the published file."
    yield ""
    yield "| way |" + "".join(f" {name} | |" for name in names)
    yield "|---|" + "--:|--:|" * len(names)
    for way in found["models"][names[0]]["titles_per_second"]:
        cells = []
        for name in names:
            model = found["models"][name]
            rate = median(model["titles_per_second"][way])
            cells.append(f" {rate:,.0f} | {model['ratio'][way]:.1f}x |")
        yield f"| {way} |" + "".join(cells)
    yield ""
    yield "Square products of 2,048, billions of operations a second, and jobbatch's share of them:"
    yield ""
    yield "| product | limit |" + "".join(f" {name} |" for name in names)
    yield "|---|--:|" + "--:|" * len(names)
    for limit, rate in found["limits"].items():
        shares = (found["models"][n]["share_of_peak"][limit] for n in names)
        yield f"| {limit} | {rate:,.0f} |" + "".join(f" {share:.0%} |" for share in shares)


def _linear(found: dict[str, Any]) -> Iterator[str]:
    yield "### Linear models"
    yield ""
    yield f"Fitted on {found['titles']['fitted']:,} of the package's own titles, measured on "
    yield f"{found['titles']['held_out']:,} others; titles a second of all cores."
    yield ""
    yield "| model | seconds to fit | titles/s | micro-F1 | exact match |"
    yield "|---|--:|--:|--:|--:|"
    for name, peer in found["peers"].items():
        yield (
            f"| {name} | {peer['fit_seconds']} | {median(peer['titles_per_second']):,.0f} | "
            f"{peer['micro_f1']:.3f} | {peer['exact_match']:.3f} |"
        )


def _tables(found: dict[str, Any]) -> Iterator[str]:
    parquet, xlsx = found["parquet"], found["xlsx"]
    yield "### Tables"
    yield ""
    yield f"Parquet, {parquet['rows']:,} rows with {parquet['distinct']:,} distinct titles, all known:"
    yield ""
    yield from _ways({k: v for k, v in parquet.items() if "median_seconds" in _dict(v)})
    yield ""
    new = parquet["one percent new"]
    yield f"With {new['new titles']:,} of the titles new: {new['whole']:.1f} s; these alone, with all that a"
    yield f"run takes: {new['alone']:.1f} s."
    yield ""
    yield f".xlsx to Parquet, {xlsx['rows']:,} rows with {xlsx['distinct']:,} titles, all known:"
    yield ""
    yield from _ways(xlsx["read"])
    yield ""
    yield f"{xlsx['rows']:,} labelled rows to .xlsx:"
    yield ""
    yield from _ways(xlsx["write"])


def _safety(found: dict[str, Any]) -> Iterator[str]:
    yield from ("### What safety costs", "")
    yield "Against the same steps in one process, without lock, checksums, reopening, fsync and manifest."
    for what in ("all known", "a tenth new"):
        table = f"Parquet, {found['rows']:,} rows with {found['distinct']:,} distinct titles"
        yield from ("", f"{table}, {what}:", "")
        yield from _ways(found[what])


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _ways(ways: dict[str, dict[str, Any]]) -> Iterator[str]:
    own = next(iter(ways.values()))["median_seconds"]
    yield "| way | seconds | against jobbatch | peak MiB |"
    yield "|---|--:|--:|--:|"
    for name, way in ways.items():
        seconds = way["median_seconds"]
        yield f"| {name} | {seconds:.1f} | {seconds / own:.2f}x | {way['peak_mib']:,} |"


def _scale(found: dict[str, Any]) -> Iterator[str]:
    yield from ("### Scale", "", "![Time and memory against rows and titles](plots/scale.svg)", "")
    yield "| what | number | seconds | peak MiB |"
    yield "|---|--:|--:|--:|"
    for what, number in _AXES.items():
        for run in found[what]:
            seconds, peak = median(run["seconds"]), median(run["peak_mib"])
            yield f"| {what} | {run[number]:,} | {seconds:,.1f} | {peak:,.0f} |"


_AXES = {"rows": "rows", "known titles": "stored", "new titles": "distinct"}
_SECTIONS = {
    "startup": _startup,
    "scoring": _scoring,
    "linear": _linear,
    "tables": _tables,
    "safety": _safety,
    "scale": _scale,
}


def _plot(path: Path, found: dict[str, Any]) -> None:
    import matplotlib as mpl  # noqa: PLC0415 - only drawn after a whole run

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "jobbatch"
    from matplotlib import pyplot as plt  # noqa: PLC0415

    figure, axes = plt.subplots(2, 3, figsize=(10, 5.5), layout="constrained")
    for column, (what, number) in enumerate(_AXES.items()):
        x = [run[number] for run in found[what]]
        for row, (unit, label) in enumerate((("seconds", "seconds"), ("peak_mib", "peak MiB"))):
            axis = axes[row][column]
            axis.plot(x, [median(run[unit]) for run in found[what]], marker="o", color="#0b6e99")
            axis.set(xscale="log", yscale="log", xlabel=what, ylabel=label)
            axis.grid(visible=True, which="major", color="#dddddd")
    figure.savefig(path, metadata={"Date": None})

"""Plots as SVG that stands inside a page: text stays text, ink has the page's own colour."""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Sequence
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jobbatch.training.calibration_figures import ReliabilityPoint
from jobbatch.training.report.contents import Report
from jobbatch.training.report.curves import LabelCurves

PANELS = 12
"""Labels with a panel of their own, the most frequent ones."""
BARS = 40
"""Labels in the bar chart, the most frequent ones."""
_INK = "#010203"
"""Stands for the page's text colour until the SVG is done."""
_BLUE, _ORANGE = "#4a86c5", "#e08a2e"
_STYLE: dict[Any, Any] = {
    "axes.edgecolor": _INK,
    "axes.labelcolor": _INK,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9,
    "font.size": 8,
    "grid.alpha": 0.15,
    "grid.color": _INK,
    "legend.frameon": False,
    "svg.fonttype": "none",
    "svg.hashsalt": "report",
    "text.color": _INK,
    "text.parse_math": False,  # a label may have dollar signs
    "xtick.color": _INK,
    "ytick.color": _INK,
}
_COLUMNS = 3
_LONGEST = 32
"""Letters of a label that fit."""


def draw(report: Report) -> dict[str, str]:
    """Return the plots of a report by name: svg elements, equal for equal reports."""
    with mpl.rc_context(_STYLE), warnings.catch_warnings():
        # The font that text is measured with lacks scripts that the reader's own fonts have.
        warnings.filterwarnings("ignore", message="Glyph")
        figures = {
            "distribution": _distribution(report),
            "precision-recall": _precision_recall(report),
            "reliability": _reliability(report),
            "confidence": _confidence(report),
        }
        return {name: _svg(name, figure) for name, figure in figures.items()}


def _distribution(report: Report) -> Figure:
    ranked = sorted(report.per_label, key=lambda label: -label.support)[:BARS]
    figure = Figure(figsize=(8, 0.8 + 0.36 * len(ranked)), layout="constrained")
    axes = figure.subplots()
    for shift, colour, name, counts in (
        (-0.2, _BLUE, "truth", [label.support for label in ranked]),
        (0.2, _ORANGE, "answered", [label.answered for label in ranked]),
    ):
        places = [i + shift for i in range(len(ranked))]
        drawn = axes.barh(places, counts, 0.38, color=colour, label=name)
        axes.bar_label(drawn, padding=2, fontsize=7)
    axes.set_yticks(range(len(ranked)), [_short(label.label) for label in ranked])
    axes.invert_yaxis()
    axes.margins(x=0.08)
    axes.set_xlabel("rows")
    axes.legend(loc="lower right")
    return figure


def _precision_recall(report: Report) -> Figure:
    shown = _most_frequent(report)
    figure, panels = _panels(len(shown))
    for axes, label in zip(panels, shown, strict=True):
        axes.plot(*zip(*label.precision_recall, strict=True), color=_BLUE, drawstyle="steps-post")
        axes.set_title(f"{_short(label.label)}: {label.average_precision:.3f}")
        _unit_square(axes, "recall", "precision")
    return figure


def _reliability(report: Report) -> Figure:
    shown = [("confidence", report.curves.reliability)]
    shown += [(_short(label.label), label.reliability) for label in _most_frequent(report)]
    figure, panels = _panels(len(shown))
    for axes, (title, points) in zip(panels, shown, strict=True):
        _diagram(axes, points)
        axes.set_title(title)
        _unit_square(axes, "predicted", "came true")
    return figure


def _diagram(axes: Axes, points: Sequence[ReliabilityPoint]) -> None:
    axes.plot([0, 1], [0, 1], color=_INK, alpha=0.4, linewidth=0.8, linestyle="--")
    axes.plot(
        [p.predicted for p in points],
        [p.observed for p in points],
        color=_BLUE,
        marker="o",
        markersize=3,
        linewidth=1,
    )


def _confidence(report: Report) -> Figure:
    figure = Figure(figsize=(8, 2.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    bins = report.curves.histogram
    centres = [(b.low + b.high) / 2 for b in bins]
    hits, width = [b.right for b in bins], 0.9 / len(bins)
    left.bar(centres, hits, width, color=_BLUE, label="right")
    wrong = [b.wrong for b in bins]
    left.bar(centres, wrong, width, bottom=hits, color=_ORANGE, label="wrong")
    left.set_xlabel("confidence")
    left.set_ylabel("rows")
    left.legend(loc="upper left")
    right.plot(*zip(*report.curves.risk_coverage, strict=True), color=_BLUE)
    right.set_xlabel("share of the rows kept, the most confident first")
    right.set_ylabel("exact match of these")
    right.set_xlim(0, 1)
    right.grid(visible=True)
    return figure


def _panels(count: int) -> tuple[Figure, list[Axes]]:
    rows = max(1, -(-count // _COLUMNS))
    figure = Figure(figsize=(8, 2.5 * rows), layout="constrained")
    every = list(figure.subplots(rows, _COLUMNS, squeeze=False).flat)
    for unused in every[count:]:
        unused.set_axis_off()
    return figure, every[:count]


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y, xlim=(-0.02, 1.02), ylim=(-0.02, 1.02))
    axes.grid(visible=True)


def _most_frequent(report: Report) -> list[LabelCurves]:
    support = {label.label: label.support for label in report.per_label}
    return sorted(report.curves.labels, key=lambda label: -support[label.label])[:PANELS]


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}\N{HORIZONTAL ELLIPSIS}"


def _svg(name: str, figure: Figure) -> str:
    """Return the figure as an svg element whose ids start with `name`, so that pages can hold it."""
    file = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=nothing)
    text = file.getvalue()
    view = re.search(r'viewBox="[^"]*"', text)
    body = text[text.index("<g ") :].replace(_INK, "currentColor").replace("xlink:href", "href")
    body = re.sub(r'( id="|href="#|url\(#)', rf"\g<1>{name}-", body)
    return f'<svg {view[0] if view else ""} role="img" aria-label="{name}">{body}'

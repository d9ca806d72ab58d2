"""What a training run tells."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from jobbatch.titles import shown
from jobbatch.training import report as reports
from jobbatch.training.data_report import DataReport
from jobbatch.training.evaluation import Evaluation
from jobbatch.training.scorer import FitSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainReport:
    """What came of a training run.

    Attributes:
        out: the model folder.
        work: the folder of the report on the test part, and of an encoder's TensorBoard logs.
        data: what was read.
        sizes: distinct titles in the train, validation and test parts.
        fit: how the fit went.
        test: figures on the rows of the test part, with the labels of their titles, merged and
            corrected.
        test_original: the same with the labels that each row came with; none: they are the same.
        seen_by_base: the tables that the base was trained on already, so that the test figures are
            too good.
        needs_export: whether the folder is without an ONNX graph so far.
    """

    out: Path
    work: Path
    data: DataReport
    sizes: tuple[int, int, int]
    fit: FitSummary
    test: Evaluation
    test_original: Evaluation | None
    seen_by_base: tuple[str, ...]
    needs_export: bool

    def to_json_dict(self) -> dict[str, Any]:
        """Return the report as JSON can hold it."""
        return asdict(self) | {"out": str(self.out), "work": str(self.work)}

    def summary_lines(self) -> list[str]:
        """Return the report for a person."""
        train, validation, test = self.sizes
        lines = [
            f"{self.data.rows:,} labelled rows, {self.data.distinct:,} distinct titles",
            f"train {train:,}, validation {validation:,}, test {test:,} distinct titles",
            *_warnings(self.data),
            *self.fit.summary_lines(),
            f"test: micro-F1 {self.test.micro_f1:.3f}, macro-F1 {self.test.macro_f1:.3f}",
            f"  exact match {self.test.exact_match:.3f}, to review {self.test.review_share:.0%}",
        ]
        for figures in self.test.per_label:
            f1 = "n/a" if figures.f1 is None else f"{figures.f1:.3f}"
            lines.append(f"  {figures.label}: F1 {f1} on {figures.support:,} rows")
        if self.test_original is not None:
            lines.append(
                f"test, labels as they came: micro-F1 {self.test_original.micro_f1:.3f}, exact "
                f"match {self.test_original.exact_match:.3f}"
            )
        if self.seen_by_base:
            lines.append(
                f"the base was trained on {', '.join(self.seen_by_base)}: the test figures are too "
                "good; --base minilm gives honest ones"
            )
        return [
            *lines,
            f"model: {self.out}",
            f"report: {self.work / reports.PAGE}",
            *(
                [
                    f"logs: tensorboard --logdir {self.work}",
                    f"next: jobbatch export-onnx {self.out} --recipe export/cpu-int8.toml",
                ]
                if self.needs_export
                else [f"next: jobbatch label INPUT OUTPUT --model {self.out}"]
            ),
        ]


def _warnings(data: DataReport) -> list[str]:
    unlabelled = sum(table.unlabelled for table in data.tables)
    blank = sum(table.blank for table in data.tables)
    lines = []
    if unlabelled or blank:
        lines.append(f"left out: {unlabelled:,} rows without label, {blank:,} blank")
    if data.conflicts:
        first = data.examples[0]
        sets = " or ".join(", ".join(labels) or "no label" for labels in first.label_sets)
        lines.append(
            f"{data.conflicts:,} titles contradict themselves, as {shown(first.key)!r}: {sets}"
        )
    if data.corrected:
        lines.append(f"{data.corrected:,} titles have corrected labels")
    if data.unmatched_corrections:
        lines.append(f"{data.unmatched_corrections:,} corrections match no title")
    if data.rare_labels:
        rare = ", ".join(f"{name} ({data.support[name]})" for name in data.rare_labels)
        lines.append(f"rare, hardly to be learned or measured (rows): {rare}")
    return lines

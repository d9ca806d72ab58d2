"""What a job file can say."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from jobbatch.settings.labelling import LabelSettings
from jobbatch.settings.teaching import EvaluateSettings, ExportSettings, TrainSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleSettings:
    """When and what a job runs; the [job] table of jobs/*.toml.

    Attributes:
        command: the command; a table of its name has its settings.
        cron: when, in the five fields of a crontab.
        keep: how many runs' manifests and logs are kept.
        ping_url: told when the job starts, succeeds and fails, as healthchecks.io wants it.
    """

    command: Literal["label", "train", "evaluate", "export-onnx"]
    cron: str = "0 2 * * *"
    keep: int = 30
    ping_url: str | None = None

    def __post_init__(self) -> None:
        faults = []
        if len(self.cron.split()) != 5:
            faults.append(f"cron {self.cron!r} has not five fields")
        if self.keep < 1:
            faults.append(f"'keep' is {self.keep}, it must be 1 or more")
        if self.ping_url is not None and not self.ping_url.startswith(("http://", "https://")):
            faults.append(f"'ping_url' {self.ping_url!r} begins with neither http:// nor https://")
        if faults:
            raise ValueError("; ".join(faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class GateSettings:
    """What the output of a label job must keep to, or it is not published. Shares are 0 to 1.

    Attributes:
        least: by label, the smallest share of the rows that may hold it.
        most: by label, the largest.
        max_review: largest share of the rows that may be marked for review.
        max_unknown_words: largest share of the titles' words that the model's vocabulary may not
            have whole.
        max_drift: by how much a share may differ from that of the last good run.
        max_profile_drift: by how much it may differ from the titles that the model was tested on.
        min_rows: of an output that is judged; a share of fewer rows says little.
    """

    least: Mapping[str, float] = field(default_factory=dict)
    most: Mapping[str, float] = field(default_factory=dict)
    max_review: float | None = None
    max_unknown_words: float | None = None
    max_drift: float | None = None
    max_profile_drift: float | None = None
    min_rows: int = 100

    def __post_init__(self) -> None:
        bounds = {
            **{f"least of {name}": bound for name, bound in self.least.items()},
            **{f"most of {name}": bound for name, bound in self.most.items()},
            "max_review": self.max_review,
            "max_unknown_words": self.max_unknown_words,
            "max_drift": self.max_drift,
            "max_profile_drift": self.max_profile_drift,
        }
        faults = [
            f"{name} is {bound}, a share is 0 to 1"
            for name, bound in bounds.items()
            if bound is not None and bound > 1
        ]
        if faults:
            raise ValueError("; ".join(faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """The tables of jobs/*.toml: [job], that of its command, and [gates] of a label job."""

    job: ScheduleSettings
    label: LabelSettings | None = None
    train: TrainSettings | None = None
    evaluate: EvaluateSettings | None = None
    export_onnx: ExportSettings | None = None
    gates: GateSettings | None = None

    def __post_init__(self) -> None:
        command = self.job.command
        tables = {
            "label": self.label,
            "train": self.train,
            "evaluate": self.evaluate,
            "export-onnx": self.export_onnx,
        }
        faults = [
            f"the table [{name}] is not of the command {command!r}"
            for name, table in (*tables.items(), ("gates", self.gates))
            if table is not None and name not in {command, "gates" * (command == "label")}
        ]
        if tables[command] is None:
            faults.append(f"the command {command!r} needs a table [{command}]")
        if faults:
            raise ValueError("; ".join(faults))

    @property
    def work(self) -> LabelSettings | TrainSettings | EvaluateSettings | ExportSettings:
        """Return the settings of the command."""
        found = self.label or self.train or self.evaluate or self.export_onnx
        if found is None:
            raise AssertionError("checked when it was made")
        return found

"""What each command can be told: frozen dataclasses, the one schema of flags, environment and TOML."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

_SIZE = re.compile(r"(\d+) ?(?:([KMGT])i?)?B?", re.IGNORECASE)


def size_in_bytes(text: str) -> int:
    """Return the bytes of a size such as '300 MiB', '4G' or '1000'; units are powers of 1,024.

    Raises:
        ValueError: if it is none.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is not a size such as 4GiB")
    return int(found[1]) << 10 * "_KMGT".index((found[2] or "_").upper())


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelSettings:
    """What `jobbatch label` is asked to do.

    Attributes:
        read_timeout: seconds that the first look through the input may take.
        max_unzipped: to which size a spreadsheet may unzip, such as '4GiB'.
        password_file: holds the password of a spreadsheet in its first line.
        bad_rows: what becomes of delimited lines with more fields than the header: the run fails,
            or they are put aside in `<output>.bad.csv`.
        safe_csv: put a ' before text that a spreadsheet might run as a formula, in .csv and .tsv.
    """

    input: Path
    output: Path
    title_column: str | None = None
    context: tuple[str, ...] = ()
    sheet: str | None = None
    encoding: str | None = None
    model: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = None
    prefix: str = ""
    probabilities: bool = False
    overwrite: bool = False
    fail_if_empty: bool = False
    cache_dir: Path | None = None
    read_timeout: float = 3_600.0
    max_unzipped: str = "4GiB"
    password_file: Path | None = None
    bad_rows: Literal["fail", "quarantine"] = "fail"
    safe_csv: bool = False

    def __post_init__(self) -> None:
        size_in_bytes(self.max_unzipped)
        if self.read_timeout <= 0:
            raise ValueError("'read_timeout' is 0, it must be more")


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictSettings:
    """How `jobbatch predict` answers."""

    model: str | None = None
    device: Literal["auto", "cpu", "cuda"] = "auto"


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheSettings:
    """Which scores `jobbatch cache` is about."""

    cache_dir: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledTables:
    """Which tables of labelled titles there are, and how they are read.

    Attributes:
        data: the tables; none: the titles that come with the package.
        own_titles: add the titles that come with the package to `data`.
        context: columns that tell more of a title, such as department or company.
        label_columns: columns that hold a label each; empty: found by their headers.
        delimiter: splits the cells of the label columns into several labels, if given.
        encoding: of `data` where they are delimited text; none: UTF-8.
    """

    data: tuple[Path, ...] = ()
    own_titles: bool = False
    title_column: str | None = None
    context: tuple[str, ...] = ()
    label_columns: tuple[str, ...] = ()
    delimiter: str | None = None
    sheet: str | None = None
    encoding: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainSettings(LabelledTables):
    """What `jobbatch train` is asked to do. Learning rates are AdamW's, sizes are in titles.

    Attributes:
        out: the model folder to make.
        corrections: a table of labels that replace those of `data` in training, by title or by
            the sha256 of its key; it labels titles of `unlabelled` too.
        model_type: a fine-tuned encoder; the classic model, one linear classifier per label over
            character n-grams, which has no base, epochs or rates; or distilled: an encoder that
            an ensemble of both teaches with the `unlabelled` titles.
        base: 'minilm', a Hub name, a model folder, or none for the shipped weights.
        validation_share: share of the distinct titles held out for early stopping and
            calibration; as many again are held out for the test figures.
        layers: of the base's to keep, evenly spaced; none: all.
        prune_vocabulary: keep only the WordPiece tokens that titles use.
        unlabelled: a table of titles without labels, whose most frequent tokens are kept too, and
            which a distilled model is taught with; read with the `encoding` of `data`.
        vocabulary_size: tokens up to which those are kept.
        patience: epochs without a better validation F1 after which training stops.
        notes: a Markdown file that the model card takes over: sources, licences, figures.
    """

    out: Path
    corrections: Path | None = None
    model_type: Literal["encoder", "classic", "distilled"] = "encoder"
    base: str | None = None
    epochs: int = 12
    batch_size: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 0.01
    patience: int = 3
    validation_share: float = 0.1
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    expand: bool = True
    remove_digits: bool = False
    remove_stop_words: bool = False
    layers: int | None = None
    prune_vocabulary: bool = True
    unlabelled: Path | None = None
    vocabulary_size: int = 8_192
    notes: Path | None = None
    overwrite: bool = False
    resume: bool = False

    def __post_init__(self) -> None:
        _check_sizes(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class PretrainSettings:
    """What `jobbatch pretrain` is asked to do.

    Attributes:
        titles: a table of titles; labels are not needed.
        encoding: of `titles` where they are delimited text; none: UTF-8.
        out: the folder of the base to make.
        base: as for training; none for the shipped weights.
        layers: of the base's to keep, evenly spaced; none: all.
        vocabulary_size: WordPiece tokens to keep.
    """

    titles: Path
    out: Path
    encoding: str | None = None
    base: str | None = None
    layers: int | None = None
    vocabulary_size: int = 8_192
    epochs: int = 1
    batch_size: int = 192
    learning_rate: float = 3e-4
    seed: int = 0
    device: Literal["auto", "cpu", "cuda"] = "auto"
    overwrite: bool = False

    def __post_init__(self) -> None:
        _check_sizes(self)


def _check_sizes(settings: TrainSettings | PretrainSettings) -> None:
    faults = [
        f"{name!r} is {size}, it must be 1 or more"
        for name in ("epochs", "batch_size", "vocabulary_size", "layers")
        if (size := getattr(settings, name)) is not None and size < 1
    ]
    if not 0 <= settings.seed < 2**32:
        faults.append(f"'seed' is {settings.seed}, it must be 0 to {2**32 - 1}")
    if faults:
        raise ValueError("; ".join(faults))


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluateSettings(LabelledTables):
    """What `jobbatch evaluate` is asked to do.

    Attributes:
        out: the folder of the report; none: it is not written.
    """

    model: str | None = None
    out: Path | None = None
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditSettings(LabelledTables):
    """What `jobbatch audit` is asked to do.

    Attributes:
        out: the workbook to make.
    """

    out: Path
    overwrite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRecipe:
    """How a model becomes ONNX for one target; the content of export/*.toml.

    Attributes:
        target: the device that the graph is for.
        fuse: whether ONNX Runtime's transformer optimizer fuses attention and layer norms.
        precision: of the weights in the graph.
        quantize_embeddings: whether int8 includes the embedding tables.
        opset: of the exported graph.
        parity_titles: text file of titles, one a line, that the graph is checked on.
        max_difference: largest difference of a probability from PyTorch's that passes.
        max_changed_share: largest share of titles whose label set may change.
    """

    target: Literal["cpu", "cuda"]
    precision: Literal["fp32", "fp16", "int8"]
    parity_titles: Path
    max_difference: float
    max_changed_share: float
    fuse: bool = True
    quantize_embeddings: bool = False
    opset: int = 18


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportSettings:
    """What `jobbatch export-onnx` is asked to do."""

    model: Path
    recipe: Path


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

"""What the commands that make and measure models can be told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal


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

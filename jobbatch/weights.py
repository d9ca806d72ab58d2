"""A model folder: its layout, manifest, checksums and canary titles.

    weights/<name>/  README.md  config.json  model.safetensors  tokenizer.json
                     tokenizer_config.json  decisions.json  metrics.json  train.toml
                     manifest.json  onnx/model_int8.onnx  onnx/model_fp16.onnx

Nothing of a folder is used before its sha256 was compared with the manifest's, and what is used
is the very bytes that were hashed.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path

from jobbatch.errors import ModelError
from jobbatch.titles import Normaliser

SCHEMA = 1
MANIFEST = "manifest.json"
DEFAULT_MODEL = "joblevel"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """What a file must be, byte for byte."""

    sha256: str
    size: int

    @classmethod
    def of(cls, content: bytes) -> FileRecord:
        """Return the record of `content`."""
        return cls(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


@dataclass(frozen=True, slots=True, kw_only=True)
class Canary:
    """A title and the PyTorch model's probabilities for it, to recognise a broken runtime."""

    title: str
    probabilities: tuple[float, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """The content of manifest.json; its own sha256 is added when written.

    Attributes:
        context: columns that the model was taught to read beside the titles; empty: none.
    """

    name: str
    created: str
    labels: tuple[str, ...]
    normaliser: Normaliser
    normaliser_version: str
    versions: Mapping[str, str]
    data: Mapping[str, str]
    canaries: tuple[Canary, ...]
    files: Mapping[str, FileRecord]
    schema: int = SCHEMA
    context: tuple[str, ...] = ()

    def to_json(self) -> bytes:
        """Return the file's content."""
        fields = asdict(self)
        return _dump(fields | {"sha256": _digest(fields)})

    @classmethod
    def from_json(cls, content: bytes) -> Manifest:
        """Read manifest.json.

        Raises:
            ModelError: if it was altered, or is of another schema.
        """
        try:
            fields = json.loads(content)
            claimed = fields.pop("sha256")
            if fields.get("schema") != SCHEMA:
                raise ModelError(f"{MANIFEST}: schema {fields.get('schema')}, this is {SCHEMA}")
            if _digest(fields) != claimed or _dump(fields | {"sha256": claimed}) != content:
                raise ModelError(f"{MANIFEST} was altered: its content does not match its sha256")
            fields["labels"] = tuple(fields["labels"])
            fields["context"] = tuple(fields.get("context", ()))
            fields["normaliser"] = Normaliser(**fields["normaliser"])
            fields["files"] = {n: FileRecord(**record) for n, record in fields["files"].items()}
            fields["canaries"] = tuple(
                Canary(title=c["title"], probabilities=tuple(map(float, c["probabilities"])))
                for c in fields["canaries"]
            )
            return cls(**fields)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ModelError(f"{MANIFEST} is not usable: {error!r}") from error


def _dump(fields: Mapping[str, object]) -> bytes:
    return (json.dumps(fields, indent=2, ensure_ascii=False) + "\n").encode()


def _digest(fields: Mapping[str, object]) -> str:
    canonical = json.dumps(fields, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()


class ModelFolder:
    """A folder whose manifest was read and found whole.

    Raises:
        ModelError: if there is no such folder, or its manifest does not fit.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            content = (path / MANIFEST).read_bytes()
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ModelError(
                f"{path} is not a model folder (no {MANIFEST}). Name one that `jobbatch train` "
                "made, or leave --model out for the shipped one"
            ) from error
        except OSError as error:
            raise ModelError(f"{path / MANIFEST} cannot be read: {error.strerror}") from error
        try:
            self.manifest = Manifest.from_json(content)
        except ModelError as error:
            raise ModelError(f"{path}: {error}") from error
        expected = self.manifest.normaliser.version
        if self.manifest.normaliser_version != expected:
            raise ModelError(
                f"{path} was trained with normaliser {self.manifest.normaliser_version}, this "
                f"version of jobbatch has {expected}: train it again, or install the version "
                f"that made it ({self.manifest.versions.get('jobbatch', 'unknown')})"
            )

    def has(self, name: str) -> bool:
        """Return whether the manifest lists the file."""
        return name in self.manifest.files

    def read(self, name: str) -> bytes:
        """Return the verified content of a file.

        Raises:
            ModelError: if it is not listed, missing, a link, or not what the manifest says.
        """
        expected = self._record(name)
        path = self.path / name
        if os.path.islink(path) or not os.path.isfile(path):
            raise ModelError(f"{path} is missing (or a link, which is not followed)")
        try:
            content = path.read_bytes()
        except OSError as error:
            raise ModelError(f"{path} cannot be read: {error.strerror}") from error
        if FileRecord.of(content) != expected:
            raise ModelError(
                f"{path} is corrupt: its sha256 is not the one in {MANIFEST}. Restore the file"
            )
        return content

    def _record(self, name: str) -> FileRecord:
        if not self.has(name):
            raise ModelError(f"{self.path}: {MANIFEST} lists no {name}")
        return self.manifest.files[name]

    def verify(self) -> None:
        """Read every listed file once.

        Raises:
            ModelError: for the first that is not what the manifest says.
        """
        for name in self.manifest.files:
            self.read(name)

    def fingerprint(self, graph: str) -> str:
        """Identify what raw probabilities depend on: graph, tokenizer and normaliser.

        Raises:
            ModelError: if graph or tokenizer is not listed.
        """
        parts = [self._record(n).sha256 for n in (graph, "tokenizer.json")]
        parts.append(self.manifest.normaliser_version)
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def default_model() -> Path:
    """Return the folder of the shipped model, in the wheel or in a checkout."""
    installed = Path(str(files("jobbatch"))) / "shipped" / DEFAULT_MODEL
    if os.path.isdir(installed):
        return installed
    return Path(str(files("jobbatch"))).parent / "weights" / DEFAULT_MODEL


def resolve_model(model: str | None) -> Path:
    """Return the folder for a `--model` value: a path, or nothing for the shipped model."""
    return Path(model) if model else default_model()


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Record every file now in `path` in its manifest.json, which is replaced."""
    contents = {
        f.relative_to(path).as_posix(): FileRecord.of(f.read_bytes())
        for f in sorted(path.rglob("*"))
        if f.is_file() and f.name != MANIFEST
    }
    fields = {n: getattr(manifest, n) for n in Manifest.__dataclass_fields__}
    whole = Manifest(**(fields | {"files": contents}))
    (path / MANIFEST).write_bytes(whole.to_json())

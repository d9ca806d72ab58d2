"""The output lock and the run manifest, `<output>.jobbatch.json`."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jobbatch.errors import InputError, LockedError, WriteError

SCHEMA = 1
_BLOCK = 1 << 20
_LIBRARIES = ("onnxruntime", "onnxruntime-gpu", "polars", "tokenizers")
LONGEST_NAME = 255
"""Bytes that a file's name may have."""


@contextmanager
def exclusive(target: Path, *, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the kernel's lock for `target` while the block runs; a crash frees it.

    Raises:
        LockedError: if another run still holds it after `wait_seconds`.
    """
    path = target.absolute().with_name(f".jobbatch-{_digest_of_name(target)}.lock")
    lock = FileLock(path, timeout=wait_seconds)
    try:
        lock.acquire()
    except Timeout as error:
        raise LockedError(f"another run is working on {target} (lock {path})") from error
    except OSError as error:
        raise WriteError(f"{target.parent} cannot be written: {error.strerror}") from error
    try:
        yield
    finally:
        lock.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """What a file was: a later difference means it changed."""

    path: str
    size: int
    sha256: str

    @classmethod
    def of(cls, path: Path, *, becomes: Path | None = None) -> FileState:
        """Return the state of the file now.

        Args:
            path: the file.
            becomes: the name that it is about to get.

        Raises:
            InputError: if it is not there, no file, or cannot be read.
        """
        digest = hashlib.sha256()
        size = 0
        try:
            with path.open("rb") as file:
                while block := file.read(_BLOCK):
                    digest.update(block)
                    size += len(block)
        except OSError as error:
            raise InputError(f"{path} cannot be read: {error.strerror}") from error
        name = str(becomes or path).encode("utf-8", "backslashreplace").decode()
        return cls(path=name, size=size, sha256=digest.hexdigest())

    def check_unchanged(self, path: Path) -> None:
        """Check that the file is what it was.

        Raises:
            InputError: if it is not, or not there any more.
        """
        if FileState.of(path) != self:
            raise InputError(f"{path} changed while it was read: run it again")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """What made an output: enough to tell whether the same run would make it again.

    Attributes:
        input: the table that was labelled.
        output: the file that was published.
        model: name, fingerprint, device and the digest of the decisions.
        options: the settings that the output depends on.
        title_column: the column that was found or asked for.
        counts: rows, distinct titles, titles to review.
        label_shares: share of the rows that hold each label.
        versions: of jobbatch and the libraries whose change may change the output.
        warnings: what a person should know of the table and how it was read.
    """

    input: FileState
    output: FileState
    model: dict[str, str]
    options: dict[str, Any]
    title_column: str
    counts: dict[str, int]
    label_shares: dict[str, float]
    versions: dict[str, str]
    schema: int = SCHEMA
    warnings: list[str] = field(default_factory=list)

    def to_json(self) -> bytes:
        """Return the file's content."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> RunManifest | None:
        """Return the manifest, or none if there is no usable one."""
        try:
            fields = json.loads(path.read_bytes())
            return cls.of(fields) if fields["schema"] == SCHEMA else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    @classmethod
    def of(cls, fields: dict[str, Any]) -> RunManifest:
        """Return the manifest from its fields, as JSON has them."""
        states = {name: FileState(**fields[name]) for name in ("input", "output")}
        return cls(**(fields | states))


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """What came of reading and labelling a table.

    Attributes:
        manifest: of the staged file, or of the output that is up to date.
        up_to_date: nothing was staged: the output is made of this input already.
        new_titles: distinct normalised titles that were scored.
        device_reason: why they were scored where they were.
    """

    manifest: RunManifest
    up_to_date: bool
    new_titles: int
    device_reason: str

    @classmethod
    def of(cls, fields: dict[str, Any]) -> Labelled:
        """Return it from its fields, as JSON has them."""
        return cls(**(fields | {"manifest": RunManifest.of(fields["manifest"])}))


def manifest_path(output: Path) -> Path:
    """Return where the manifest of `output` stands."""
    return _beside(output, ".jobbatch.json")


def bad_rows_path(output: Path) -> Path:
    """Return where the lines stand that were put aside when `output` was made."""
    return _beside(output, ".bad.csv")


def _beside(output: Path, ending: str) -> Path:
    name = output.name + ending
    if len(os.fsencode(name)) > LONGEST_NAME:
        name = _digest_of_name(output) + ending
    return output.with_name(name)


def library_versions() -> dict[str, str]:
    """Return the installed versions of the libraries whose change may change an output."""
    from importlib import metadata  # noqa: PLC0415 - loads much, and few need it

    found = {}
    for name in _LIBRARIES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _digest_of_name(path: Path) -> str:
    return hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]

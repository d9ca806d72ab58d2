"""The output lock and the run manifest, `<output>.jobbatch.json`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from jobbatch.errors import LockedError, WriteError

SCHEMA = 1
_BLOCK = 1 << 20


@contextmanager
def exclusive(target: Path) -> Iterator[None]:
    """Hold the kernel's lock for `target` while the block runs; a crash frees it.

    Raises:
        LockedError: at once, if another run holds it.
    """
    name = hashlib.sha256(target.name.encode("utf-8", "surrogateescape")).hexdigest()[:16]
    path = target.absolute().with_name(f".jobbatch-{name}.lock")
    lock = FileLock(path, blocking=False)
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
    def of(cls, path: Path) -> FileState:
        """Return the state of the file now."""
        digest = hashlib.sha256()
        with path.open("rb") as file:
            while block := file.read(_BLOCK):
                digest.update(block)
        return cls(
            path=str(path).encode("utf-8", "backslashreplace").decode(),
            size=path.stat().st_size,
            sha256=digest.hexdigest(),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunManifest:
    """What made an output: enough to tell whether the same run would make it again.

    Attributes:
        input: the table that was labelled.
        output: the file that was published.
        model: name, fingerprint, device and the digest of the decisions.
        options: the settings that the output depends on.
        counts: rows, distinct titles, titles to review.
        label_shares: share of the rows that hold each label.
        versions: of jobbatch and the libraries whose change may change the output.
    """

    input: FileState
    output: FileState
    model: dict[str, str]
    options: dict[str, Any]
    counts: dict[str, int]
    label_shares: dict[str, float]
    versions: dict[str, str]
    schema: int = SCHEMA

    def to_json(self) -> bytes:
        """Return the file's content."""
        return (json.dumps(asdict(self), indent=2, ensure_ascii=False) + "\n").encode()

    @classmethod
    def read(cls, path: Path) -> RunManifest | None:
        """Return the manifest, or none if there is no usable one."""
        try:
            fields = json.loads(path.read_bytes())
            fields["input"] = FileState(**fields["input"])
            fields["output"] = FileState(**fields["output"])
            return cls(**fields) if fields["schema"] == SCHEMA else None
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def made_by_same_run(self, other: RunManifest) -> bool:
        """Return whether input, model and options are equal."""
        return (self.input.sha256, self.model, self.options) == (
            other.input.sha256,
            other.model,
            other.options,
        )


def manifest_path(output: Path) -> Path:
    """Return where the manifest of `output` stands."""
    return output.with_name(f"{output.name}.jobbatch.json")

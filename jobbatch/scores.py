"""The score store: probabilities already known, kept across runs and within one.

    <cache>/scores/<model fingerprint>/<sha256 of the part>.parquet

It is the only checkpoint of a labelling run: each finished chunk becomes one part, written whole
or not at all. A part is named by its own sha256, so a damaged one is recognised and left out.

A model's folder was last used when it was last modified; reading touches it. One that was not used for
`KEPT` is removed by the next run that stores something. Runs need no locks: a part that vanishes while
it is read counts as unknown, and a folder that vanishes is made again.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import os
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import platformdirs
import polars as pl

from jobbatch.errors import WriteError

logger = logging.getLogger(__name__)

DECIMALS = 4
"""Decimals that stored probabilities are rounded to."""
KEPT = timedelta(days=90)
"""How long the scores of a model are kept that no run asks for."""
IN_USE = timedelta(hours=1)
"""How long after it was last used a run may still be at work with a model's scores; it touches them
with each chunk, which takes seconds."""
_TRIES = 10


def schema(n_labels: int) -> pl.Schema:
    """Return the columns of scores: key, probabilities and whether the title was cut."""
    probabilities = pl.Array(pl.Float32, n_labels)
    return pl.Schema(
        [("key", pl.String()), ("probabilities", probabilities), ("truncated", pl.Boolean())]
    )


class ScoreStore:
    """The known scores of one model.

    Args:
        folder: the cache folder; created when the first part is committed.
        fingerprint: identifies what the probabilities depend on.
        n_labels: the width of the model's head.
    """

    def __init__(self, folder: Path, fingerprint: str, n_labels: int) -> None:
        self.cache = folder
        self.folder = folder / "scores" / fingerprint
        self._schema = schema(n_labels)

    def known(self, keys: pl.Series | None = None) -> pl.DataFrame:
        """Return the scores of `keys` that are known, or all, one row a key, in any order.

        Memory grows with the keys asked for, not with the store.
        """
        self._touch()
        sound = [part for part in self._parts() if self._is_sound(part)]
        if not sound:
            return pl.DataFrame(schema=self._schema)
        frame = pl.scan_parquet(sound, glob=False)
        if keys is not None:
            wanted = keys.rename("key").to_frame().lazy()
            frame = frame.join(wanted, on="key", how="semi", maintain_order="left")
        try:
            known = frame.collect(engine="streaming")
        except FileNotFoundError:  # removed meanwhile
            return self.known(keys)
        # Two runs at a time may have scored the same titles; looking for it costs less than `unique`.
        if known["key"].n_unique() < known.height:
            return known.unique("key", keep="first", maintain_order=True)
        return known

    def commit(self, scores: pl.DataFrame) -> None:
        """Add a chunk of scores; afterwards it survives a crash of the machine.

        Raises:
            WriteError: if it cannot be written.
        """
        buffer = io.BytesIO()
        scores.select(self._schema.names()).cast(self._schema).write_parquet(buffer)
        for tries_left in reversed(range(_TRIES)):
            try:
                self._write(buffer.getvalue())
                return
            except FileNotFoundError as error:  # another process removed the folder meanwhile
                if not tries_left:
                    raise _write_error(error) from error
            except OSError as error:
                raise _write_error(error) from error

    def _write(self, content: bytes) -> None:
        part = self.folder / f"{hashlib.sha256(content).hexdigest()}.parquet"
        staged = part.with_suffix(f".{os.getpid()}.tmp")
        self.folder.mkdir(parents=True, exist_ok=True)
        try:
            with staged.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            staged.replace(part)
        finally:
            staged.unlink(missing_ok=True)

    def has_others(self) -> bool:
        """Return whether nothing is known of this model, but something of others."""
        return not os.path.exists(self.folder) and bool(_folders(self.cache))

    def _touch(self) -> None:
        # A cache that may only be read is of use, too.
        with contextlib.suppress(OSError):
            os.utime(self.folder)

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet")) if os.path.isdir(self.folder) else []

    def _is_sound(self, part: Path) -> bool:
        try:
            with part.open("rb") as file:
                sound = hashlib.file_digest(file, "sha256").hexdigest() == part.stem
        except FileNotFoundError:  # removed meanwhile
            return False
        except OSError as error:
            logger.warning(
                "the cached scores cannot be read: %s; scoring those titles again", error
            )
            return False
        if not sound:
            logger.warning("the cached scores %s are damaged; scoring those titles again", part)
            with contextlib.suppress(OSError):  # the next run will say it again
                part.unlink()
        return sound


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredScores:
    """What a cache holds of one model.

    Attributes:
        fingerprint: identifies what the probabilities depend on.
        titles: how many scores there are.
        size: bytes on the disk.
        last_used: when a run last read or wrote them, in UTC.
    """

    fingerprint: str
    titles: int
    size: int
    last_used: str


def cache_folder(asked: Path | None) -> Path:
    """Return where scores are kept: the folder asked for, or one in the user's cache."""
    return asked or Path(platformdirs.user_cache_dir("jobbatch", appauthor=False))


def stores(cache: Path) -> list[StoredScores]:
    """Return what is in a cache folder, last used first; nothing if there is no such folder."""
    found = []
    for folder in _folders(cache):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            found.append(_stored(folder))
    return sorted(found, key=lambda store: store.last_used, reverse=True)


def remove_unused(cache: Path, since: timedelta) -> None:
    """Remove the scores of models that no run has asked for since then."""
    for folder in _folders(cache):
        with contextlib.suppress(FileNotFoundError):  # removed meanwhile
            if datetime.now(UTC) - _last_used(folder) > since:
                shutil.rmtree(folder, ignore_errors=True)


def _folders(cache: Path) -> list[Path]:
    scores = cache / "scores"
    if not os.path.isdir(scores):
        return []
    return [folder for folder in scores.glob("*") if os.path.isdir(folder)]


def _last_used(folder: Path) -> datetime:
    return datetime.fromtimestamp(folder.stat().st_mtime, UTC)


def _stored(folder: Path) -> StoredScores:
    parts = list(folder.glob("*.parquet"))
    return StoredScores(
        fingerprint=folder.name,
        titles=sum(map(_n_titles, parts)),
        size=sum(part.stat().st_size for part in parts),
        last_used=_last_used(folder).isoformat(timespec="seconds"),
    )


def _n_titles(part: Path) -> int:
    try:
        return int(pl.scan_parquet(part, glob=False).select(pl.len()).collect().item())
    except (pl.exceptions.PolarsError, OSError):
        return 0  # damaged, which the next run will say


def _write_error(error: OSError) -> WriteError:
    return WriteError(
        f"the score cache cannot be written: {error}. Free some space there, or name another "
        "folder with --cache-dir"
    )

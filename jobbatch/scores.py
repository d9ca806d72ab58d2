"""The score store: probabilities already known, kept across runs and within one.

    <cache>/scores/<model fingerprint>/<sha256 of the part>.parquet

It is the only checkpoint of a labelling run: each finished chunk becomes one part, written whole
or not at all. A part is named by its own sha256, so a damaged one is recognised and left out.
"""

from __future__ import annotations

import hashlib
import io
import logging
import os
from pathlib import Path

import polars as pl

from jobbatch.errors import WriteError

logger = logging.getLogger(__name__)

DECIMALS = 4
"""Decimals that stored probabilities are rounded to."""


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
        self.folder = folder / "scores" / fingerprint
        self._schema = schema(n_labels)

    def known(self, keys: pl.Series | None = None) -> pl.DataFrame:
        """Return the scores of `keys` that are known, or all, one row a key, in any order.

        Memory grows with the keys asked for, not with the store.
        """
        sound = [part for part in self._parts() if self._is_sound(part)]
        if not sound:
            return pl.DataFrame(schema=self._schema)
        frame = pl.scan_parquet(sound, glob=False)
        if keys is not None:
            wanted = keys.rename("key").to_frame().lazy()
            frame = frame.join(wanted, on="key", how="semi", maintain_order="left")
        known = frame.collect(engine="streaming")
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
        content = buffer.getvalue()
        part = self.folder / f"{hashlib.sha256(content).hexdigest()}.parquet"
        staged = part.with_suffix(f".{os.getpid()}.tmp")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise _write_error(error) from error
        try:
            with staged.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            staged.replace(part)
        except OSError as error:
            raise _write_error(error) from error
        finally:
            staged.unlink(missing_ok=True)

    def _parts(self) -> list[Path]:
        return sorted(self.folder.glob("*.parquet")) if self.folder.is_dir() else []

    def _is_sound(self, part: Path) -> bool:
        with part.open("rb") as file:
            sound = hashlib.file_digest(file, "sha256").hexdigest() == part.stem
        if not sound:
            logger.warning("the cached scores %s are damaged; scoring those titles again", part)
            part.unlink(missing_ok=True)
        return sound


def _write_error(error: OSError) -> WriteError:
    return WriteError(
        f"the score cache cannot be written: {error}. Free some space there, or name another "
        "folder with --cache-dir"
    )

"""What the commands that label can be told."""

from __future__ import annotations

import re
from dataclasses import dataclass
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

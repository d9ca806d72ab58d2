"""Spreadsheets that a password protects."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import IO, TYPE_CHECKING

from jobbatch.errors import InputError, PasswordError

if TYPE_CHECKING:
    from msoffcrypto.format.base import BaseOfficeFile

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")
_OF_NOBODY = "VelvetSweatshop"
"""Excel opens what has this password without asking, as it protects the structure of an .xls with it.
Source: [MS-OFFCRYPTO] 2.4.2.3.
"""


def opened(path: Path, folder: Path, password_file: Path | None) -> Path:
    """Return the spreadsheet, or a copy of it that needs no password.

    Args:
        path: the spreadsheet.
        folder: for the copy.
        password_file: holds the password in its first line.

    Raises:
        InputError: if the password file cannot be read, or the file is an .xls by another name.
        PasswordError: if a password is needed and not given, or not the right one.
    """
    with path.open("rb") as file:
        if file.read(len(_OLE)) != _OLE:
            return path
        document = _encrypted(file)
        if document is None:
            if path.suffix.lower() != ".xls":
                raise InputError(
                    f"{path} is an old .xls workbook, or damaged: rename or save it again"
                )
            return path
        from msoffcrypto.exceptions import DecryptionError  # noqa: PLC0415 - needed for few files

        passwords = [_OF_NOBODY]
        if password_file is not None:
            passwords.append(_password(password_file))
        copy = folder / f"opened{path.suffix}"
        for password in passwords:
            try:
                document.load_key(password=password)
                with copy.open("wb") as target:
                    document.decrypt(target)
            except (DecryptionError, zipfile.BadZipFile):
                continue
            except Exception as error:
                raise InputError(f"{path} cannot be opened with a password: {error}") from error
            return copy
    if password_file is None:
        raise PasswordError(needed(path))
    raise PasswordError(f"the password in {password_file} does not open {path}")


def needed(path: Path) -> str:
    """Return what to say of a file whose password is not given."""
    return (
        f"{path} is protected by a password: name a file that holds it with --password-file, or "
        "save it without one"
    )


def _password(path: Path) -> str:
    try:
        return (path.read_text(encoding="utf-8").splitlines() or [""])[0]
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the password file {path} cannot be read: {error}") from error


def _encrypted(file: IO[bytes]) -> BaseOfficeFile | None:
    """Return the document of a file if it is encrypted; None also for one that is damaged."""
    import msoffcrypto  # noqa: PLC0415 - needed for few files

    try:
        document = msoffcrypto.OfficeFile(file)
        return document if document.is_encrypted() else None
    except Exception:  # noqa: BLE001 - a damaged document raises anything
        return None

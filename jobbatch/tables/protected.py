"""Spreadsheets that a password protects."""

from __future__ import annotations

import zipfile
from pathlib import Path

from jobbatch.errors import InputError, JobbatchError, PasswordError

_OLE = bytes.fromhex("d0cf11e0a1b11ae1")


def opened(path: Path, folder: Path, password_file: Path | None) -> Path:
    """Return the spreadsheet, or a copy of it that needs no password.

    Args:
        path: the spreadsheet.
        folder: for the copy.
        password_file: holds the password in its first line.

    Raises:
        InputError: if the password file cannot be read.
        PasswordError: if a password is needed and not given, or not the right one.
    """
    with path.open("rb") as file:
        if file.read(len(_OLE)) != _OLE:
            return path
        import msoffcrypto  # noqa: PLC0415 - needed for few files
        from msoffcrypto.exceptions import DecryptionError  # noqa: PLC0415

        try:
            document = msoffcrypto.OfficeFile(file)
            if not document.is_encrypted():
                return path
        except Exception:  # noqa: BLE001 - a damaged document raises anything
            return path  # its reader will say what is wrong
        if password_file is None:
            raise PasswordError(needed(path))
        copy = folder / f"opened{path.suffix}"
        try:
            document.load_key(password=_password(password_file))
            with copy.open("wb") as target:
                document.decrypt(target)
        except JobbatchError:
            raise
        except (DecryptionError, zipfile.BadZipFile) as error:
            raise PasswordError(
                f"the password in {password_file} does not open {path} ({error})"
            ) from error
        except Exception as error:
            raise InputError(f"{path} cannot be opened with its password: {error}") from error
        return copy


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

"""Atomic publishing: a target is either its old content or all of the new, never a mixture."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jobbatch.errors import JobbatchError, WriteError

_PERMISSIONS = 0o777
_NO_SPACE = ("No space left", "os error 28", "Disk quota exceeded", "File too large")


def check_writable(target: Path) -> None:
    """Check that a file can be made beside `target`, before work is done for it.

    Raises:
        WriteError: if it cannot.
    """
    probe = _staging(target)
    try:
        probe.unlink(missing_ok=True)
        # A byte: a disk or a quota that is full still lets an empty file be made.
        probe.write_bytes(b"\0")
        probe.unlink()
    except OSError as error:
        with suppress(OSError):
            probe.unlink(missing_ok=True)
        raise _write_error(target, error) from error


def make_folder(path: Path) -> None:
    """Make a folder, and those that it is in, unless it is there.

    Raises:
        WriteError: if it cannot be made.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"the folder {path} cannot be made: {error.strerror}") from error


@contextmanager
def staged(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to; afterwards it is `target`, durably.

    If the block fails, `target` stays as it was and the staged file is removed.

    Raises:
        WriteError: if the disk is full, or writing fails.
    """
    with staging(target) as path:
        yield path
        publish(path, target)


@contextmanager
def staging(target: Path) -> Iterator[Path]:
    """Yield a path beside `target` to write to, for `publish`; what is left there is removed.

    What a killed run left is replaced: whoever publishes holds the lock of `target`.

    Raises:
        WriteError: if the disk is full, or writing fails.
    """
    path = _staging(target)
    with write_errors(target):
        try:
            path.unlink(missing_ok=True)
            yield path
        finally:
            path.unlink(missing_ok=True)


def publish(path: Path, target: Path) -> None:
    """Make `target` of a staged file, durably.

    It keeps the mode and, where this user may give files away, the owner of the file that it replaces.
    A link is replaced and not followed: whoever may write to the folder could have put it there.
    """
    _sync(path, like=target)
    path.replace(target)
    _sync(target.parent)


@contextmanager
def write_errors(target: Path) -> Iterator[None]:
    """Turn what goes wrong with a disk into a message about `target`.

    Raises:
        WriteError: if the disk is full, or writing fails.
    """
    try:
        yield
    except JobbatchError:
        raise
    except Exception as error:
        if isinstance(error, OSError) or is_full(error):
            raise _write_error(target, error) from error
        raise


def is_full(error: BaseException) -> bool:
    """Return whether an error says that a disk or a quota is full."""
    full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return full or any(sign in str(error) for sign in _NO_SPACE)


def publish_bytes(target: Path, content: bytes) -> None:
    """Publish `content` as `target`."""
    with staged(target) as path:
        path.write_bytes(content)


def _staging(target: Path) -> Path:
    # Short, because a target's name may already have the 255 bytes that a name can have.
    digest = hashlib.sha256(os.fsencode(target.name)).hexdigest()[:16]
    return target.with_name(f".jobbatch-{digest}.tmp{target.suffix}")


def _sync(path: Path, like: Path | None = None) -> None:
    """Write a file or a folder to the disk, with the mode and the owner of another, if there is one."""
    if os.name == "nt" and os.path.isdir(path):
        return  # Windows cannot open folders
    # Windows syncs only what it may write to.
    descriptor = os.open(path, os.O_RDONLY if os.path.isdir(path) else os.O_RDWR)
    try:
        if like is not None and os.name != "nt":
            _adopt(descriptor, like)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _adopt(descriptor: int, like: Path) -> None:
    try:
        wanted, own = like.lstat(), os.fstat(descriptor)
    except OSError:
        return  # nothing is replaced
    if not stat.S_ISREG(wanted.st_mode):
        return
    # Where that is not allowed, or the file system knows no modes, it is as any new file is.
    if (wanted.st_uid, wanted.st_gid) != (own.st_uid, own.st_gid):
        with suppress(OSError):
            os.fchown(descriptor, wanted.st_uid, wanted.st_gid)
    with suppress(OSError):
        os.fchmod(descriptor, wanted.st_mode & _PERMISSIONS)


def _write_error(target: Path, error: Exception) -> WriteError:
    if is_full(error):
        return WriteError(f"{target} cannot be written: the disk is full. Free some space")
    reason = getattr(error, "strerror", None) or str(error)
    return WriteError(f"{target} cannot be written: {reason}")

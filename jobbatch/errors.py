"""Every error a user can meet, each with the exit code that a script can rely on.

JobbatchError               1   never raised itself
├── UsageError              2   a wrong option, setting or job file
├── PartialError            3   finished, but some files failed
├── InputError             10   input missing, unreadable or corrupt
├── LockedError            11   another run holds the lock
├── PasswordError          12   a password is needed or wrong
├── TitleColumnError       13   no title column, or several
├── EmptyInputError        14   no data rows, and --fail-if-empty was given
├── ModelError             20   model missing, corrupt, unsafe or mismatched
├── DeviceError            21   the device asked for is not available
├── ParityError            22   an export differs from its PyTorch model
├── GateError             23   an output is not what a job's gates ask for
├── MissingExtraError      24   an optional part of jobbatch is not installed
├── OutputError            30   the output exists or is refused
├── OutputFormatError      31   the output format cannot hold the data
├── WriteError             32   disk full, or a write failed
└── ResourceError          40   out of memory, size or time
"""

from __future__ import annotations

from typing import ClassVar


class JobbatchError(Exception):
    """Base of all errors whose message is written for the user; shown without a traceback."""

    exit_code: ClassVar[int] = 1


class UsageError(JobbatchError):
    """An option, a setting or a job file is wrong."""

    exit_code = 2


class PartialError(JobbatchError):
    """The run finished, but some of its files failed."""

    exit_code = 3


class InputError(JobbatchError):
    """The input is missing, unreadable or corrupt."""

    exit_code = 10


class LockedError(JobbatchError):
    """Another run is working on the same output or job."""

    exit_code = 11


class PasswordError(JobbatchError):
    """The input is protected by a password."""

    exit_code = 12


class TitleColumnError(JobbatchError):
    """No column of the input holds job titles, or several might."""

    exit_code = 13


class EmptyInputError(JobbatchError):
    """The input has no data rows, which the user asked to be told as a failure."""

    exit_code = 14


class ModelError(JobbatchError):
    """The model folder is missing, incomplete, altered or does not fit this version."""

    exit_code = 20


class DeviceError(JobbatchError):
    """The device asked for cannot be used."""

    exit_code = 21


class ParityError(JobbatchError):
    """An exported model does not answer as its PyTorch model does."""

    exit_code = 22


class GateError(JobbatchError):
    """An output is not what the gates of its job ask for; it is not published."""

    exit_code = 23


class MissingExtraError(JobbatchError):
    """An optional part of jobbatch is needed and not installed."""

    exit_code = 24


class OutputError(JobbatchError):
    """The output exists already, or cannot be what was asked."""

    exit_code = 30


class OutputFormatError(JobbatchError):
    """The output format cannot hold the data."""

    exit_code = 31


class WriteError(JobbatchError):
    """The disk is full, or a write failed."""

    exit_code = 32


class ResourceError(JobbatchError):
    """A limit of memory, size or time was reached."""

    exit_code = 40

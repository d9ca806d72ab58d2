"""What is wrong with a path.

Whether something is there is asked of `os.path` throughout: until Python 3.14 `Path.exists()` and its like
raise where a folder may not be entered.
"""

from __future__ import annotations

import os
from pathlib import Path


def fault(path: Path) -> str:
    """Return what is wrong with a path at which there is no file to read, for a message."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return "does not exist"
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return "is a folder" if os.path.isdir(path) else "is no file"

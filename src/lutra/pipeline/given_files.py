"""Files and folders that a person names on the command line."""

from __future__ import annotations

from pathlib import Path

from lutra.core.errors import InputError, UsageError


def text_of(path: Path) -> str:
    """Read a text file.

    Raises
    ------
    InputError
        If it is not there, cannot be read, or is not UTF-8.
    """
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}", where=str(path), do="check the path") from error
    except UnicodeDecodeError as error:
        raise InputError("not a text file", where=str(path), required="UTF-8") from error


def empty_folder(path: Path) -> Path:
    """Make a folder to write into.

    Raises
    ------
    UsageError
        If something stands in it.
    """
    if path.exists() and not (path.is_dir() and not any(path.iterdir())):
        raise UsageError("something stands here", where=str(path), do="choose an empty folder")
    path.mkdir(parents=True, exist_ok=True)
    return path

"""The file a study's key is kept in: readable by its owner alone, outside the study."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from lutra.core.errors import InputError, UsageError
from lutra.ingest.deidentify.key import KEY_BYTES, PseudonymKey

FIRST_LINE = "lutra pseudonym key 1"
NOTE = (
    "Whoever has this line can tell which patient is which in the study. Keep it apart from the study, and keep a copy."
)


def default_key_path(study: Path) -> Path:
    """Return `~/.config/lutra/keys/STUDY.key`, or its place below `XDG_CONFIG_HOME`."""
    config = os.environ.get("XDG_CONFIG_HOME", "")
    base = Path(config) if config else Path.home() / ".config"
    return base / "lutra" / "keys" / f"{study.resolve().name}.key"


def require_outside(path: Path, study: Path, what: str) -> None:
    """Raise unless a file that tells who is who lies outside the study.

    Raises
    ------
    UsageError
        If it lies inside, also by way of a link.
    """
    if path.resolve().is_relative_to(study.resolve()):
        raise UsageError(
            f"the {what} lies inside the study",
            where=str(path),
            required="a place apart from the study: whoever gets the study must not get it",
            do="move it out of the study folder and name it again",
        )


def create_key(path: Path) -> PseudonymKey:
    """Draw a key and write it to a new file that only its owner can read.

    Raises
    ------
    UsageError
        If there is a file already; a key is never overwritten.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = secrets.token_bytes(KEY_BYTES)
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError("there is a key already", where=str(path), do="use it, or name another file") from None
    with os.fdopen(handle, "w", encoding="ascii") as file:
        file.write(f"{FIRST_LINE}\n{secret.hex()}\n{NOTE}\n")
    return PseudonymKey(secret)


def read_key(path: Path) -> PseudonymKey:
    """Read a key.

    Raises
    ------
    UsageError
        If there is no such file, or others can read it.
    InputError
        If it holds no key.
    """
    try:
        mode = path.stat().st_mode
        lines = path.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError as error:
        raise UsageError(
            f"the key cannot be read: {error.strerror}",
            where=str(path),
            do="bring it back, or name its file with --key",
        ) from None
    if os.name == "posix" and mode & 0o077:
        raise UsageError(
            f"others may read the key (mode {mode & 0o777:03o})",
            where=str(path),
            required="mode 600",
            do=f"chmod 600 {path}",
        )
    try:
        secret = bytes.fromhex(lines[1]) if lines[0] == FIRST_LINE else b""
    except (IndexError, ValueError):
        secret = b""
    if len(secret) != KEY_BYTES:
        raise InputError(
            "this file holds no pseudonym key",
            where=str(path),
            required=f"the line '{FIRST_LINE}' and {2 * KEY_BYTES} hexadecimal digits",
            do="name the file lutra made, or another file to have a new key made",
        )
    return PseudonymKey(secret)

"""Which program text a step can reach, as a digest.

The import contracts say what a stage may import: itself, the kits, reference, ports and core. So a step's result can change
only if one of those files changes, and a change of the report or the command line recomputes nothing.
"""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import packages_distributions, version
from pathlib import Path

import lutra

COMMON = ("core", "ports.py", "reference", "physics", "imaging")


@cache
def code_digest(module: str) -> str:
    """Digest of the source files behind a step defined in `module`. [hex]

    For a module of another distribution it is the name and version of that distribution.
    """
    package, _, rest = module.partition(".")
    if package != "lutra":
        names = packages_distributions().get(package, [package])
        return hashlib.sha256("".join(f"{name}=={version(name)}" for name in names).encode()).hexdigest()
    stage = rest.split(".")[0]
    hasher = hashlib.sha256()
    for part in (*COMMON, stage):
        hasher.update(_tree_digest(part))
    return hasher.hexdigest()


@cache
def _tree_digest(part: str) -> bytes:
    root = Path(lutra.__file__).parent
    top = root / part
    files = [top] if top.is_file() else sorted(p for p in top.rglob("*") if p.suffix in {".py", ".toml", ".npz"})
    hasher = hashlib.sha256()
    for file in files:
        hasher.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes() + b"\0")
    return hasher.digest()

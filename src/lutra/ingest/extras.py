"""Packages that only some users need."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from lutra.core.errors import MissingExtra


def need(module: str, extra: str) -> Any:
    """Import a module of an optional package.

    Raises
    ------
    MissingExtra
        If it is not installed; says how to.
    """
    try:
        return import_module(module)
    except ImportError as error:
        raise MissingExtra(
            f"{module.partition('.')[0]} is not installed", do=f"pip install 'lutra[{extra}]'"
        ) from error

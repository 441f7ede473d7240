"""Finds what is plugged into the sockets of :mod:`lutra.ports`."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import Any

from lutra.core.errors import PluginError

GROUPS = ("registrar", "segmenter", "kinetics", "dose", "response")


def available(group: str) -> dict[str, str]:
    """Qualified name, `distribution.name@version`, of every plugin of a socket, by its short name."""
    return {point.name: _qualified(point) for point in _points(group)}


def load(group: str, name: str) -> tuple[str, Any]:
    """Load a plugin by its short or qualified name.

    Returns
    -------
    tuple
        Qualified name and a fresh instance.

    Raises
    ------
    PluginError
        If there is none, several of that name, or it cannot be imported.
    """
    matches = [point for point in _points(group) if name in (point.name, _qualified(point))]
    if len(matches) != 1:
        known = ", ".join(sorted(_qualified(point) for point in _points(group))) or "none"
        raise PluginError(
            f"{len(matches)} plugins called {name!r} for lutra.{group}",
            required="exactly one",
            do=f"use one of: {known}",
        )
    try:
        return _qualified(matches[0]), matches[0].load()()
    except Exception as error:
        raise PluginError(f"{_qualified(matches[0])} cannot be loaded: {error}", do="reinstall or remove it") from error


def _points(group: str) -> tuple[EntryPoint, ...]:
    return tuple(entry_points(group=f"lutra.{group}"))


def _qualified(point: EntryPoint) -> str:
    distribution = point.dist
    name, version = (distribution.name, distribution.version) if distribution else ("unknown", "0")
    return f"{name}.{point.name}@{version}"

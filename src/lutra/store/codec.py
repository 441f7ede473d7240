"""Values to plain data and back.

Writing is :func:`lutra.core.digest.canonical`, so what is stored is exactly what was hashed. Reading is cattrs, guided by
the type name each value carries.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterable
from contextvars import ContextVar
from datetime import date, datetime
from functools import cache
from typing import Any, get_args, get_origin

import attrs
import cattrs
import numpy as np

import lutra.core
from lutra.core.digest import ARRAY_KEY, TYPE_KEY
from lutra.core.errors import StoreError
from lutra.core.frozen import FrozenMap

LoadArray = Callable[[str], np.ndarray[Any, Any]]


@cache
def core_types() -> dict[str, type]:
    """Every attrs value of :mod:`lutra.core`, by name."""
    modules = (importlib.import_module(f"lutra.core.{m.name}") for m in pkgutil.iter_modules(lutra.core.__path__))
    classes = (c for module in modules for _, c in inspect.getmembers(module, inspect.isclass) if attrs.has(c))
    return {c.__name__: c for c in classes}


_load_array: ContextVar[LoadArray] = ContextVar("load_array")
"""Reader of the arrays of the value being decoded. The converter is built once: cattrs compiles code for every type it meets."""


class Codec:
    """Reads values back from their canonical form.

    Parameters
    ----------
    extra_types
        Value types that live above core, such as the conductor's own records.
    """

    def __init__(self, extra_types: Iterable[type] = ()) -> None:
        self._types = core_types() | {t.__name__: t for t in extra_types}
        self._converter = _converter()

    def decode(self, plain: Any, load_array: LoadArray) -> Any:
        """Rebuild a value, or a tuple of values.

        Raises
        ------
        StoreError
            If the stored type is not known to this version.
        """
        token = _load_array.set(load_array)
        try:
            return self._decode(plain)
        finally:
            _load_array.reset(token)

    def _decode(self, plain: Any) -> Any:
        if isinstance(plain, list):
            return tuple(self._decode(item) for item in plain)
        if not isinstance(plain, dict):
            return plain
        name = plain.get(TYPE_KEY)
        if name not in self._types:
            raise StoreError(
                f"stored value of type {name!r} is not known to this version",
                do="open the study with the version that wrote it",
            )
        return self._converter.structure(plain, self._types[name])


@cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter()
    converter.register_structure_hook(datetime, lambda text, _: datetime.fromisoformat(text))
    converter.register_structure_hook(date, lambda text, _: date.fromisoformat(text))
    converter.register_structure_hook_func(
        lambda hint: _origin(hint) is np.ndarray, lambda plain, _: _load_array.get()(plain[ARRAY_KEY])
    )

    def frozen_map(plain: dict[str, Any], hint: Any) -> FrozenMap[str, Any]:
        value_type = get_args(hint)[1]
        return FrozenMap({key: converter.structure(item, value_type) for key, item in plain.items()})

    converter.register_structure_hook_func(lambda hint: _origin(hint) is FrozenMap, frozen_map)
    return converter


def _origin(hint: Any) -> Any:
    return get_origin(hint)

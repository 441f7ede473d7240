"""Immutable containers for values: a mapping, and read-only arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

K = TypeVar("K")
V_co = TypeVar("V_co", covariant=True)

FloatArray = npt.NDArray[np.floating[Any]]


class FrozenMap(Mapping[K, V_co]):
    """A mapping that cannot change, so that a value holding one cannot either. Hashable and picklable."""

    __slots__ = ("_items",)

    def __init__(self, items: Mapping[K, V_co] | None = None) -> None:
        self._items: dict[K, V_co] = dict(items or {})

    def __getitem__(self, key: K) -> V_co:
        return self._items[key]

    def __iter__(self) -> Iterator[K]:
        return iter(self._items)

    def __len__(self) -> int:
        return len(self._items)

    def __hash__(self) -> int:
        return hash(frozenset(self._items.items()))

    def __repr__(self) -> str:
        return f"FrozenMap({self._items!r})"


def frozen_map(items: Mapping[str, Any]) -> FrozenMap[str, Any]:
    """Freeze a mapping with text keys; the converter of every mapping field of a value."""
    return items if isinstance(items, FrozenMap) else FrozenMap(items)


def float64_each(arrays: Iterable[npt.ArrayLike]) -> tuple[npt.NDArray[np.float64], ...]:
    """Freeze several arrays."""
    return tuple(float64(array) for array in arrays)


def three_ints(numbers: Sequence[int]) -> tuple[int, int, int]:
    """Plain Python integers of a shape or index."""
    i, j, k = (int(n) for n in numbers)
    return i, j, k


def read_only(values: npt.ArrayLike, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Return `values` as a contiguous array nobody can write to; copied unless it already is one.

    Images come from files with i running fastest and stay like that: turning a CT around costs as much as reading it.
    """
    array = np.asarray(values, dtype=dtype)
    if array.flags.writeable or not array.flags.forc:
        array = np.array(array, order="K", copy=True)
        array.flags.writeable = False
    return array


def float32(values: npt.ArrayLike) -> npt.NDArray[np.float32]:
    """Read-only float32, the voxel type of every image."""
    return read_only(values, np.float32)


def float64(values: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Read-only float64, the type of geometry, curves and samples."""
    return read_only(values, np.float64)

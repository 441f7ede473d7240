"""Functions that run as machine code: plain Python on numbers and arrays, so that they can be compiled for other targets too."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

import numba

P = ParamSpec("P")
R = TypeVar("R")


def compiled(function: Callable[P, R]) -> Callable[P, R]:
    """Compile on first use and keep the machine code for the next time; other threads run meanwhile.

    No fast mathematics: what may be contracted or reordered differs between a fresh compilation and one read back from disk, and
    so would the last bit of the result.
    """
    fast: Callable[P, R] = numba.njit(nogil=True, cache=True, error_model="numpy")(function)
    return fast

"""Random numbers that depend on who asks and how often, and on nothing else.

Number n of history h of a run is a hash of (seed, h, n): the same for any number of threads, and for any order in which
histories are done. Plain functions on a small state, so that they compile for any target.

References
----------
[splitmix] Steele, Lea and Flood, OOPSLA 2014: the mixing function, applied to a counter.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.physics.compiled import compiled

State = npt.NDArray[np.uint64]
"""Key and counter of a history. (2)"""

GOLDEN = np.uint64(0x9E3779B97F4A7C15)
"""Odd increment of the counter: 2^64 over the golden ratio."""
_MIX_1, _MIX_2 = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_30, _27, _31, _11 = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(11)
_TO_UNIT = 1.0 / 9007199254740992.0  # 2^-53


@compiled
def mixed(bits: np.uint64) -> np.uint64:
    """Turn a counter into 64 random bits."""
    bits = (bits ^ (bits >> _30)) * _MIX_1
    bits = (bits ^ (bits >> _27)) * _MIX_2
    return bits ^ (bits >> _31)


@compiled
def start(state: State, seed: int, history: int) -> None:
    """Begin the sequence of one history; `state` is an array of two 64-bit words."""
    state[0] = mixed(mixed(np.uint64(seed) + GOLDEN) + np.uint64(history) * GOLDEN)
    state[1] = np.uint64(0)


@compiled
def uniform(state: State) -> float:
    """Next number, 0 <= u < 1."""
    state[1] += np.uint64(1)
    return np.float64(mixed(state[0] + state[1] * GOLDEN) >> _11) * _TO_UNIT

"""Several questions of one study: adjusted p values."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def holm(p: Sequence[float]) -> list[float]:
    """Adjust for the chance that any is wrong. [holm1979] Holm, Scand J Stat 6:65."""
    order = np.argsort(p)
    found = np.empty(len(p))
    found[order] = np.minimum(np.maximum.accumulate(np.sort(p) * (len(p) - np.arange(len(p)))), 1.0)
    return [float(x) for x in found]


def benjamini_hochberg(p: Sequence[float]) -> list[float]:
    """Adjust for the share that is wrong among those found. [bh1995] Benjamini and Hochberg, J R Stat Soc B 57:289."""
    n = len(p)
    order = np.argsort(p)[::-1]
    ranked = np.sort(p)[::-1] * n / np.arange(n, 0, -1)
    found = np.empty(n)
    found[order] = np.minimum(np.minimum.accumulate(ranked), 1.0)
    return [float(x) for x in found]

"""First-order features of the IBSI: statistics of the intensities (UHIW) and of their histogram (ZVCW).

The voxels are those of a mask: each counts as a whole. A feature that would divide by zero is left out.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from lutra.quantify.weighted import Floats


def intensity_statistics(values: Floats) -> dict[str, float]:
    """Statistics family, 18 features by tag. Variance and moments are those of the voxels, not estimates of a population.

    Parameters
    ----------
    values
        Intensities of the mask. [unit] (n,)
    """
    return {f"stat.{word}": value for word, value in _statistics(values, with_energy=True).items()}


def intensity_histogram(values: Floats, width: float, lowest: float) -> dict[str, float]:
    """Histogram family, 23 features by tag, in bins of fixed size numbered from 1.

    Parameters
    ----------
    values
        Intensities of the mask. [unit] (n,)
    width
        Width of a bin. [unit]
    lowest
        Lower edge of bin 1: of the range the mask was cut to, else of the scale (0 for SUV, -1000 for HU). What lies lower counts
        as bin 1. [unit]
    """
    bins = np.maximum(np.floor((values - lowest) / width) + 1, 1)
    found = _statistics(bins, with_energy=False)
    counts = np.bincount(bins.astype(np.int64))[1:]
    share = counts[counts > 0] / counts.sum()
    modes = np.flatnonzero(counts == counts.max()) + 1
    found["mode"] = float(modes[np.argmin(np.abs(modes - found["mean"]))])
    found["entropy"] = float(-(share * np.log2(share)).sum()) + 0.0
    found["uniformity"] = float((share**2).sum())
    if len(counts) > 1:
        found |= _gradients(counts)
    return {f"ih.{word}": value for word, value in found.items()}


def _statistics(values: Floats, *, with_energy: bool) -> dict[str, float]:
    mean = float(values.mean())
    off_mean = values - mean
    variance = float((off_mean**2).mean())
    spread = float(np.sqrt(variance))
    # numpy's default percentile is linear between the ordered voxels; the standard leaves the rule open.
    low, p10, p25, median, p75, p90, high = (float(q) for q in np.percentile(values, (0, 10, 25, 50, 75, 90, 100)))
    middle = values[(values >= p10) & (values <= p90)]
    flat = spread <= 1e-12 * max(abs(low), abs(high))  # rounding alone
    found = {
        "mean": mean,
        "var": variance,
        "skew": 0.0 if flat else float((off_mean**3).mean()) / spread**3,
        "kurt": 0.0 if flat else float((off_mean**4).mean()) / variance**2 - 3,
        "median": median,
        "min": low,
        "p10": p10,
        "p90": p90,
        "max": high,
        "iqr": p75 - p25,
        "range": high - low,
        "mad": float(np.abs(off_mean).mean()),
        "rmad": float(np.abs(middle - middle.mean()).mean()) if middle.size else 0.0,
        "medad": float(np.abs(values - median).mean()),
    }
    if mean:
        found["cov"] = spread / mean
    if p75 + p25:
        found["qcod"] = (p75 - p25) / (p75 + p25)
    if with_energy:
        found["energy"] = float((values**2).sum())
        found["rms"] = float(np.sqrt((values**2).mean()))
    return found


def _gradients(counts: npt.NDArray[np.int64]) -> dict[str, float]:
    slope = np.gradient(counts.astype(np.float64))
    top, bottom = int(slope.argmax()), int(slope.argmin())
    return {
        "max_grad": float(slope[top]),
        "max_grad_g": top + 1.0,
        "min_grad": float(slope[bottom]),
        "min_grad_g": bottom + 1.0,
    }

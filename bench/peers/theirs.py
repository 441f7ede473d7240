"""What other programs make of the inputs of `run.py`. It runs in their environment, which has no Lutra.

    python theirs.py INPUTS.npz OUTPUTS.npz

Each answer is an array, with the seconds it took as `NAME_s`; what is not installed is left out.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy import signal

ROUNDS = 3


def timed(work: Callable[[], np.ndarray]) -> tuple[np.ndarray, float]:
    """Answer, and the shortest of several runs. [s]"""
    best, answer = np.inf, np.empty(0)
    for _ in range(ROUNDS):
        start = time.perf_counter()
        answer = work()
        best = min(best, time.perf_counter() - start)
    return answer, best


def integrals_pytheranostics(given: dict[str, np.ndarray]) -> np.ndarray:
    """Mono-exponential fits by PyTheranostics, one after the other, begun near the answer as its settings want it."""
    from doodle.fits.fits import fit_tac  # noqa: PLC0415  (may not be there)

    found = []
    for activity in given["curves"].T:
        (a, k, _), _ = fit_tac(
            given["times_h"],
            activity,
            decayconst=float(given["decay_per_h"]),
            exp_order=1,
            param_init=(activity[0], 0.01),
        )
        found.append(a / k)
    return np.array(found)


def integrals_lmfit(given: dict[str, np.ndarray]) -> np.ndarray:
    """Mono-exponential fits by lmfit's own model and its guess, in the same bounds."""
    from lmfit.models import ExponentialModel  # noqa: PLC0415

    model, found = ExponentialModel(), []
    for activity in given["curves"].T:
        start = model.guess(activity, x=given["times_h"])
        start["decay"].set(min=1 / 5, max=1 / float(given["decay_per_h"]))
        best = model.fit(activity, start, x=given["times_h"]).best_values
        found.append(best["amplitude"] * best["decay"])
    return np.array(found)


def dose_pytheranostics(given: dict[str, np.ndarray]) -> np.ndarray:
    """Voxel dose by the kernel that PyTheranostics ships, convolved as its code does, which in 0.1 misses a part. [Gy]"""
    import doodle  # noqa: PLC0415

    file = Path(doodle.__file__).parent / "kernels" / "DK_softtissueICRP_mGyperMBqs.img"
    kernel = np.fromfile(file, np.float32).reshape(51, 51, 51).astype(np.float64)
    return signal.fftconvolve(given["decays"] * 1e-6, kernel, mode="same") * 1e-3


WORK: dict[str, Callable[[dict[str, np.ndarray]], np.ndarray]] = {
    "integrals PyTheranostics 0.1": integrals_pytheranostics,
    "integrals lmfit": integrals_lmfit,
    "dose PyTheranostics 0.1": dose_pytheranostics,
}


def main() -> None:
    """Answer everything that can be answered."""
    given = dict(np.load(sys.argv[1]))
    found: dict[str, np.ndarray] = {}
    for name, work in WORK.items():
        try:
            answer, seconds = timed(lambda work=work: work(given))
        except ImportError as error:
            print(f"{name}: not installed ({error})", file=sys.stderr)
            continue
        found |= {name: answer, f"{name}_s": np.array(seconds)}
    np.savez(sys.argv[2], **found)


if __name__ == "__main__":
    main()

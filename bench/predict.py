"""Mixed models of 300 lesions: ours beside statsmodels' linear one in the same run, and what a planned study costs."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np

from lutra.simulate.power import PowerSpec, operating_characteristics
from lutra.simulate.table_trial import TableTrial, simulate_tables
from lutra.stats.linear_mixed import fit_linear_mixed
from lutra.stats.random_intercept import fit_logistic, fit_ordinal


def best_of(run: Callable[[], object], times: int = 7) -> float:
    """Shortest of several runs. [s]"""
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        run()
        taken.append(time.perf_counter() - start)
    return min(taken)


def main() -> None:
    lesions = simulate_tables(TableTrial(), 1).lesions
    pat = np.unique(lesions["pat"], return_inverse=True)[1]
    x = np.column_stack([np.ones(len(pat)), *(lesions[n].astype(float) for n in ("x_dose", "x_fdg", "x_adc"))])
    y, resp, order = lesions["y"].astype(float), lesions["resp"].astype(float), lesions["ord"].astype(int)
    linear = best_of(lambda: fit_linear_mixed(x, y, [pat]))
    logistic = best_of(lambda: fit_logistic(x, resp, pat, 25), 3)
    ordinal = best_of(lambda: fit_ordinal(x[:, 1:], order, pat, 15), 3)
    print(f"{len(pat)} lesions of {pat.max() + 1} patients")
    print(f"linear mixed, REML with Satterthwaite's degrees of freedom: {1e3 * linear:.1f} ms (target 20)")
    try:
        import statsmodels.api as sm
    except ImportError:
        print("statsmodels is not installed: no comparison")
    else:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            other = best_of(lambda: sm.MixedLM(y, x, groups=pat).fit(reml=True), 3)
        print(
            f"  statsmodels.MixedLM, without degrees of freedom: {1e3 * other:.1f} ms, {other / linear:.1f} times ours"
        )
    print(f"logistic mixed, 25 nodes: {1e3 * logistic:.0f} ms (target 150)")
    print(f"ordinal mixed, 15 nodes: {1e3 * ordinal:.0f} ms")
    start = time.perf_counter()
    operating_characteristics(PowerSpec(replicates=400), 2)
    print(f"400 trials with the primary analysis, two processes: {time.perf_counter() - start:.0f} s (target 60)")


if __name__ == "__main__":
    main()

"""What priors do to the sigmoid of tumour control: whether its intervals hold, and what a study of 50 patients tells without them.

The first row draws the true values from the priors, as an interval with priors promises; the others fix them. `open` counts studies
whose interval without a prior has no end or spans more than a factor of two.

    python bench/bayes/tumour_control.py [studies]
"""

from __future__ import annotations

import sys

import numpy as np

from lutra.stats.tumour_control import LogNormalPrior, fit_tumour_control, unaided_d50_interval

PATIENTS, LESIONS, SD_PATIENT = 50, 6, 0.7
D50, GAMMA50 = LogNormalPrior(90.0, 0.5), LogNormalPrior(0.5, 0.5)


def main(studies: int) -> None:
    """Print a line per truth."""
    rng = np.random.default_rng(8)
    print(
        "truth                    with priors: D50 holds  gamma50 holds   without: holds  open  5-95 % of the middle [Gy]"
    )
    for name, fixed in (
        ("drawn from the priors", None),
        ("90 Gy, gamma50 .4", (90.0, 0.4)),
        ("90 Gy, gamma50 .1", (90.0, 0.1)),
    ):
        held, unaided, middles = [], [], []
        for _ in range(studies):
            d50, gamma = fixed or (90 * np.exp(0.5 * rng.normal()), 0.5 * np.exp(0.5 * rng.normal()))
            groups = np.repeat(np.arange(PATIENTS), LESIONS)
            dose = 80 * np.exp(0.5 * rng.normal(size=PATIENTS)[groups] + 0.5 * rng.normal(size=len(groups)))
            log_odds = 4 * gamma * np.log(dose / d50) + SD_PATIENT * rng.normal(size=PATIENTS)[groups]
            controlled = (rng.random(len(groups)) < 1 / (1 + np.exp(-log_odds))).astype(float)
            fit = fit_tumour_control(dose, controlled, groups, D50, GAMMA50)
            low, high = unaided_d50_interval(dose, controlled, groups)
            if fit.converged:
                held.append((fit.d50_95_gy[0] < d50 < fit.d50_95_gy[1], fit.gamma50_95[0] < gamma < fit.gamma50_95[1]))
            unaided.append((low < d50 < high, low == 0 or high / low > 2))
            if low > 0:
                middles.append(np.sqrt(low * high))
        d, g = 100 * np.mean(held, axis=0)
        holds, is_open = 100 * np.mean(unaided, axis=0)
        ends = "-" if not middles else "{:.0f} to {:.0f}".format(*np.quantile(middles, (0.05, 0.95)))
        print(f"{name:24} {len(held):4} of {studies}: {d:5.1f} % {g:14.1f} % {holds:15.1f} % {is_open:4.0f} %  {ends}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 400)

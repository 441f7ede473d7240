"""Doses, half-lives and SUVs of 200 kinetic patients beside published ones, and the time a patient takes.

Targets: medians within 10 % of the reference cohort, .5 s for a patient solved for both nuclides, .05 s in closed form.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from lutra.core.units import HOUR_S
from lutra.simulate.fdg import blood_suv, region_suv
from lutra.simulate.pbpk_cohort import cohort_patient
from lutra.simulate.pbpk_visit import sample_peptide_ug
from lutra.simulate.truth_dose import doses_gy
from lutra.simulate.uptake import curves

GBQ = 1e9
PUBLISHED = {  # reference medians (Gy/GBq, T_eff h, SUV) and published values; None: not compared
    "kidneys": (
        (0.49, 52, 10.3),
        ".38 +- .19, .43 +- .13, .47, .57 +- .09; label .65 +- .30",
        "51",
        "9.2, max 12.7-14.3",
    ),
    "spleen": ((0.72, 68, 23.9), ".85 +- .80, 1.17 +- .14", "67", "18.7, max 24.7"),
    "liver": ((0.21, 66, 5.7), ".27 +- .05, .30 +- .23", "67", "5.6, max 9.1"),
    "marrow": ((0.031, 45, 1.02), ".016-.067; label .035 +- .029", "-", "< 2"),
    "endocrine": ((0.26, 67, 9.8), "pituitary .058 without recovery", "-", "adrenal 6.8-13.7"),
    "lesions": ((3.2, 78, 19.4), "3.41 +- .68; .32-13.8 (301 lesions)", "77 (40-140)", "24.0 (3.6-84.4)"),
}


def main(patients: int = 200) -> None:
    """Print the tables."""
    found: dict[str, list[tuple[float, float, float]]] = {k: [] for k in PUBLISHED}
    body: list[tuple[float, ...]] = []
    seconds: dict[str, list[float]] = {"ode": [], "fast": []}
    agreement: dict[str, list[float]] = {k: [] for k in PUBLISHED}
    for seed in range(patients):
        p = cohort_patient(seed)
        both = {}
        for form in ("fast", "ode"):
            start = time.process_time()
            both[form] = [curves(p, n, 1, GBQ, sample_peptide_ug(n, seed, 1), form) for n in ("Lu-177", "Ga-68")]
            seconds[form].append(time.process_time() - start)
        lu, ga = both["ode"]
        dose = doses_gy(lu, p)
        for region in lu.parameters.names:
            kind = "lesions" if region in lu.lesions else region
            if kind in found and not (kind == "lesions" and p.lesion(region).discordant):
                found[kind].append((dose[region], lu.half_life_eff_s(region) / HOUR_S, region_suv(ga, region, p)))
                ratio = both["fast"][0].time_integrated_bq_s(region) / lu.time_integrated_bq_s(region)
                agreement[kind].append(ratio)
        whole = sum(lu.time_integrated_bq_s(r) for r in lu.regions) / GBQ / HOUR_S
        t = np.geomspace(0.02, 1000, 500) * HOUR_S
        auc = np.trapezoid(lu.blood_bq_per_ml(t), t) * 1e3 / GBQ / HOUR_S
        body.append(
            (
                whole,
                auc,
                blood_suv(ga, p),
                *lu.urine_fraction(np.array([5, 24, 48]) * HOUR_S),
                *lu.intact_fraction(np.array([24, 96]) * HOUR_S),
            )
        )

    def quantiles(values: np.ndarray) -> str:
        return "{:.3g} ({:.3g}-{:.3g})".format(*np.percentile(values, [50, 5, 95]))

    print(f"{patients} patients, cycle 1: median (5-95 %), reference median; published")
    for kind, (reference, *published) in PUBLISHED.items():
        a = np.array(found[kind])
        for column, (what, said) in enumerate(zip(("Gy/GBq", "T_eff h", "SUV"), published, strict=True)):
            off = 100 * (np.median(a[:, column]) / reference[column] - 1)
            print(f"  {kind:9s} {what:7s} {quantiles(a[:, column]):22s} {reference[column]:6g} {off:+5.1f} %   {said}")
        mean, sd, log_sd = a[:, 0].mean(), a[:, 0].std(), np.log(a[:, 0]).std()
        log_r = np.corrcoef(np.log(a[:, 0]), np.log(a[:, 2]))[0, 1]
        print(f"  {kind:9s} mean {mean:.3g} +- {sd:.2g} Gy/GBq, log-SD {log_sd:.2f}, r(ln SUV, ln Gy) {log_r:.2f}")
    b = np.array(body)
    names = (
        "whole body h, about 43",
        "blood AUC h/L, .22",
        "blood SUV, 1.3",
        "urine 5 h, .44",
        "urine 24 h, .58",
        "urine 48 h, .65",
        "intact 24 h, .23 +- .05",
        "intact 96 h, .017 +- .009",
    )
    for column, name in enumerate(names):
        print(f"  {name:26s} {quantiles(b[:, column])}")
    for kind, ratios in agreement.items():
        print(
            f"  closed form over equations, {kind:9s} integral: median {np.median(ratios):.3f}, log-SD {np.log(ratios).std():.3f}"
        )
    for form, s in seconds.items():
        print(f"  {form}: {np.median(s[1:]) * 1e3:.1f} ms per patient, both nuclides")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)

"""Make src/lutra/simulate/fast_kinetics.toml from solved patients, and print how far the closed curves are from them.

Run as `make fast-kinetics` after any change of the equations or of the population.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from lutra.core.units import HOUR_S
from lutra.simulate import fast_kinetics as fast
from lutra.simulate.pbpk import ORGANS
from lutra.simulate.pbpk_cohort import cohort_patient, typical_patient
from lutra.simulate.pbpk_population import population
from lutra.simulate.pbpk_visit import PEPTIDE_G_PER_MOL, sample_peptide_ug
from lutra.simulate.uptake import UptakeCurves, curves

PATIENTS, FIRST_SEED, SIZE_TERMS, LATE_TERMS = 600, 100_000, 20, 6
CYCLES = (1, 2, 3, 4)
TARGET = Path(__file__).parents[2] / "src/lutra/simulate/fast_kinetics.toml"
KINDS = (*ORGANS, "lesion", *fast.POOLS)
SHAPE_H = {"Lu-177": np.geomspace(1, 400, 60), "Ga-68": np.geomspace(1, 60, 50)}
LATE_H = {"Lu-177": (72.0, 168.0), "Ga-68": (30.0, 60.0)}


def read(c: UptakeCurves, name: str, hours: np.ndarray) -> np.ndarray:
    """Fraction of the dose, decay removed: in a region, or per litre of plasma."""
    t = hours * HOUR_S
    if name in c.regions:
        return c.fraction(name, t)
    plasma = c.plasma_bq_per_ml(t) * 1e3 / c.administered_bq * np.exp(c.decay_per_s * t)
    return plasma * c.intact_fraction(t) if name == "intact" else plasma


def observed(c: UptakeCurves, name: str, mass_kg: float) -> tuple[float, float]:
    """Logarithms of size and late half-life [h] of a solved curve."""
    first, last = LATE_H[c.nuclide]
    values = read(c, name, np.array([first, last, fast.VALID_FROM_H]))
    hours = np.geomspace(0.01, 1500 if c.nuclide == "Lu-177" else 30, 4000)
    integral = np.trapezoid(read(c, name, hours) * np.exp(-c.decay_per_s * HOUR_S * hours), hours)
    fall = np.log(values[0] / values[1])
    late = np.log((last - first) * np.log(2) / fall) if fall > 0 else np.nan
    return float(np.log((integral if c.nuclide == "Lu-177" else values[2]) / mass_kg)), float(late)


def shape(c: UptakeCurves, name: str, late_h: float) -> tuple[np.ndarray, np.ndarray]:
    """Weights of the early parts that fit a curve relative to itself, and its first hour relative to the end of it."""
    t = SHAPE_H[c.nuclide]
    y = read(c, name, t)
    parts = 2.0 ** (-t[:, None] / np.r_[late_h, fast.EARLY_HALF_TIMES_H])
    found = np.linalg.lstsq(parts / y[:, None], np.ones(len(t)), rcond=None)[0]
    return found[1:] / found[0], read(c, name, fast.EARLY_H) / y[0]


def choose(x: np.ndarray, y: np.ndarray, names: list[str], terms: int) -> tuple[float, dict[str, float], float]:
    """Add the term that explains most, one after the other; returns constant, coefficients and left-out spread.

    Which terms are used follows from four fifths of the patients; the spread is that of the others.
    """
    columns = {n: x[:, i] for i, n in enumerate(names) if x[:, i].std() > 1e-6}
    single = list(columns)
    for i, a in enumerate(single):
        columns |= {f"{a} * {b}": columns[a] * columns[b] for b in single[i:]}
    labels, c = list(columns), np.array(list(columns.values())).T
    train = np.arange(len(y)) % 5 != 0
    chosen: list[int] = []
    a = np.ones((len(y), 1))
    for _ in range(terms):
        q, _ = np.linalg.qr(a[train])
        rest = c[train] - q @ (q.T @ c[train])
        norm = (rest**2).sum(0)
        left = y[train] - q @ (q.T @ y[train])
        gain = np.where(norm > 1e-8 * len(y), (rest.T @ left) ** 2 / np.maximum(norm, 1e-30), 0)
        chosen.append(int(np.argmax(gain)))
        a = np.c_[a, c[:, chosen[-1]]]
    found = np.linalg.lstsq(a[train], y[train], rcond=None)[0]
    error = float(np.std(y[~train] - a[~train] @ found))
    found = np.linalg.lstsq(a, y, rcond=None)[0]
    return float(found[0]), {labels[k]: float(v) for k, v in zip(chosen, found[1:], strict=True)}, error


def listed(values: np.ndarray) -> str:
    """Numbers as an array of TOML."""
    return f"[{', '.join(f'{v:.5g}' for v in values)}]"


def main() -> None:
    """Solve, fit, write."""
    lines = ["# Made by bench/fit/fast_kinetics.py from solved patients; do not edit.", ""]
    for nuclide in ("Lu-177", "Ga-68"):
        rows: dict[str, list[tuple[dict[str, float], float, float]]] = {k: [] for k in KINDS}

        def collect(c: UptakeCurves, nmol: float, into: dict[str, list[tuple[dict[str, float], float, float]]]) -> None:
            whole, own = fast.features(c.parameters, nmol)
            for k, name in enumerate((*c.parameters.names, *fast.POOLS)):
                kind = name if name in KINDS else "lesion"
                mass = c.parameters.mass_kg[k] if kind == "lesion" else 1.0
                into[kind].append((whole | (own[k] if k < len(own) else {}), *observed(c, name, mass)))

        for n in range(PATIENTS):
            seed, cycle = FIRST_SEED + n, CYCLES[n % len(CYCLES)]
            ug = sample_peptide_ug(nuclide, seed, cycle)
            collect(curves(cohort_patient(seed), nuclide, cycle, 1e9, ug), ug / PEPTIDE_G_PER_MOL * 1e3, rows)
        ug = population()[f"study.{nuclide}"]["peptide_ug"].value
        usual = curves(typical_patient(grade=1), nuclide, 1, 1e9, ug)
        typical: dict[str, list[tuple[dict[str, float], float, float]]] = {k: [] for k in KINDS}
        collect(usual, ug / PEPTIDE_G_PER_MOL * 1e3, typical)
        for kind in KINDS:
            reference = typical[kind][0][0]
            names = list(reference)
            x = np.array([[r[0][n] - reference[n] for n in names] for r in rows[kind]])
            weights, early = shape(usual, "L1" if kind == "lesion" else kind, float(np.exp(typical[kind][0][2])))
            lines += [f"[{nuclide}.{kind}]", f"weights = {listed(weights)}", f"early = {listed(early)}", ""]
            used: set[str] = set()
            tables = []
            for what, column, terms in (("size", 1, SIZE_TERMS), ("late_h", 2, LATE_TERMS)):
                y = np.array([r[column] for r in rows[kind]])
                good = np.isfinite(y)
                constant, coefficients, error = choose(x[good], y[good], names, terms)
                used |= {n for term in coefficients for n in term.split(" * ")}
                body = ", ".join(f'"{t}" = {v:.5g}' for t, v in coefficients.items())
                tables.append(f"{what} = {{ log = {constant:.6g}, terms = {{ {body} }} }}")
                sys.stdout.write(f"{nuclide} {kind:10s} {what:7s} spread of what is left {100 * error:.1f} %\n")
            lines[-1:] = [
                *tables,
                f"reference = {{ {', '.join(f'{chr(34)}{n}{chr(34)} = {reference[n]:.8g}' for n in sorted(used))} }}",
                "",
            ]
    TARGET.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()

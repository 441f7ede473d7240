"""Dose and response of lesions as published, through Lutra's own models: figures digitised point by point, and one table.

`python bench/published_points.py FOLDER OUT` prints the tables of docs/published.md and writes its plots to OUT. FOLDER holds
pub5_ha24, pub7_jahn21 and pub9_jahn20; by default it is looked for in ../shared/data beside the repository.

[jahn2020] Jahn et al., Neuroendocrinology 110:662; [jahn2021] Jahn et al., Cancers 13:962; [ha2024] Ha et al., EJNMMI Phys 2024,
doi 10.1186/s40658-024-00620-8.
"""

from __future__ import annotations

import csv
import sys
from math import exp
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.data_table import DataTable
from lutra.core.frozen import FrozenMap
from lutra.predict import fit_models, parse_spec
from lutra.predict.result import Coefficient, ModelResult
from lutra.predict.statements import p_text

Array = npt.NDArray[np.float64]
ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data" / "clinical" / "prrt_dose_response"
DRAWS, SEED = 4000, 1
READING = 0.002
"""Standard error of reading a point, as a share of the span of its axis: what :func:`reading_errors` measures, rounded up."""
SAME_LESION_GY = 3.0
"""Two readings of a dose that are nearer than this, and nearest to each other, are of one lesion."""


@frozen
class Figure:
    """One figure.

    Parameters
    ----------
    lesions
        How many it shows; None where it is not known.
    published_r2
        As printed; None where it is not at hand.
    lesion_per_patient
        Each point is a patient. Else whose lesion a point is cannot be told, and no model of independent points is fitted.
    """

    name: str
    file: str
    shows: str
    lesions: int | None
    published_r2: float | None = None
    lesion_per_patient: bool = True


FIGURES = (
    Figure("Jahn 2021, 6A", "pub7_jahn21/Pub7_Jahn_Fig6A.csv", "pancreatic, diameter", 23, 0.37),
    Figure("Jahn 2021, 7A", "pub7_jahn21/Pub7_Jahn_Fig7A.csv", "pancreatic, volume", 23),
    Figure("Jahn 2021, 6B", "pub7_jahn21/Pub7_Jahn_Fig6B.csv", "small intestine, diameter", 25),
    Figure("Jahn 2021, 7B", "pub7_jahn21/Pub7_Jahn_Fig7B.csv", "small intestine, volume", 25),
    Figure("Ha 2024, 2A", "pub5_ha24/Pub5_Ha_Fig2A.csv", "largest voxel dose, diameter", None),
    Figure("Ha 2024, 2B", "pub5_ha24/Pub5_Ha_Fig2B.csv", "peak dose, diameter", None),
    Figure("Ha 2024, 2C", "pub5_ha24/Pub5_Ha_Fig2C.csv", "dose at 41 %, diameter", None),
    Figure(
        "Ha 2024, 3A", "pub5_ha24/Pub5_Ha_Fig3A.csv", "largest voxel dose, diameter", None, lesion_per_patient=False
    ),
    Figure("Ha 2024, 3B", "pub5_ha24/Pub5_Ha_Fig3B.csv", "peak dose, diameter", None, lesion_per_patient=False),
    Figure("Ha 2024, 3C", "pub5_ha24/Pub5_Ha_Fig3C.csv", "dose at 41 %, diameter", None, lesion_per_patient=False),
)
TABLE = "pub9_jahn20/Pub9_Jahn.csv"
FIGURE_MODELS = """
cluster = "pat"
[[model]]
name = "linear"
kind = "linear-mixed"
outcome = "shrinkage"
predictors = ["dose"]
curve = "dose"
[[model]]
name = "logarithmic"
kind = "linear-mixed"
outcome = "shrinkage"
predictors = ["log2(dose)"]
curve = "dose"
"""
TREND_MODELS = """
cluster = "pat"
[[model]]
name = "all cycles"
kind = "linear-mixed"
outcome = "log_dose"
predictors = ["cycle"]
curve = "cycle"
[[model]]
name = "cycles 1 to 3"
kind = "linear-mixed"
outcome = "log_dose"
predictors = ["cycle"]
where = { first_three = 1 }
"""
PREDICTORS = (
    ("dose of cycle 1", "log2(dose)", "cycle = 1"),
    *((f"sum of cycles 1 to {k}", "log2(cumulative)", f"cycle = {k}") for k in (2, 3, 4, 5)),
    ("sum of all cycles given", "log2(cumulative)", "last = 1"),
    ("cycle 3 over cycle 1", "log2(fall)", "cycle = 3"),
)
"""What is known of the dose after a cycle, as a term, and the rows that tell it."""
OUTCOMES = ("diameter", "volume")


# ---- reading ----
def read_rows(path: Path) -> list[list[str]]:
    """Give the cells below the header; the digitiser's headers hold bytes that are not UTF-8."""
    with path.open(newline="", encoding="latin-1") as file:
        return [row for row in list(csv.reader(file))[1:] if row]


def read_points(folder: Path, figure: Figure) -> Array:
    """Dose [Gy] and shrinkage [%] of each point. (n, 2)"""
    return np.array([[float(cell) for cell in row[:2]] for row in read_rows(folder / figure.file)])


def points_table(points: Array) -> DataTable:
    """One row per point, each a patient."""
    dose, shrinkage = points.T
    return table("points", pat=range(len(points)), dose=dose, shrinkage=shrinkage)


def cycles_table(folder: Path) -> DataTable:
    """Give one row per patient and cycle, with what was known of the dose by then and the response in the end.

    Columns: `pat`, `cycle`, `dose` and `cumulative` [Gy], `fall` over cycle 1, `log_dose`, `log_diameter` and `log_volume` (log
    ratios to baseline), `first_three` and `last` (1 or 0), `total` as printed [Gy].
    """
    rows = []
    for patient, diameter, volume, *cells in read_rows(folder / TABLE):
        doses = np.array([float(cell) for cell in cells[:-1] if cell])
        logs = [float(np.log1p(float(change) / 100)) for change in (diameter, volume)]
        for n, (dose, cumulative) in enumerate(zip(doses, doses.cumsum(), strict=True), start=1):
            flags = int(n <= 3), int(n == len(doses))
            rows.append((patient, n, dose, cumulative, dose / doses[0], np.log(dose), *logs, *flags, float(cells[-1])))
    names = ("pat", "cycle", "dose", "cumulative", "fall", "log_dose", "log_diameter", "log_volume")
    return table(
        "Jahn 2020", **dict(zip((*names, "first_three", "last", "total"), zip(*rows, strict=True), strict=True))
    )


def table(name: str, **columns: object) -> DataTable:
    """Put columns of anything into a table; numbers are kept to the last digit."""
    return DataTable(name, FrozenMap({key: tuple(str(cell) for cell in cells) for key, cells in columns.items()}))  # type: ignore[attr-defined]


# ---- models ----
def figure_models(points: Array) -> tuple[ModelResult, ...]:
    """Linear and logarithmic model of shrinkage."""
    rows = points_table(points)
    return fit_models(parse_spec(FIGURE_MODELS, "figure"), rows, rows)


def slope(result: ModelResult) -> Coefficient:
    """Give the only effect of a model."""
    (name,) = [n for n in result.coefficients if n != "(Intercept)"]
    return result.coefficients[name]


def r2_of(result: ModelResult) -> float:
    """Share of the variance that one predictor explains where each row is a patient: t² / (t² + df)."""
    effect = slope(result)
    t2 = (effect.estimate / effect.se) ** 2
    return float(t2 / (t2 + result.n - 2))


def both_r2(figure: Figure, points: Array) -> tuple[float, float]:
    """Give r² on the dose and on its logarithm; from the models where each point is a patient."""
    if figure.lesion_per_patient:
        linear, log = figure_models(points)
        return r2_of(linear), r2_of(log)
    return plain_r2(points), plain_r2(points, log=True)


def trend_models(cycles: DataTable) -> tuple[ModelResult, ...]:
    """Logarithm of the dose over the cycles, with an intercept of each patient; exploratory."""
    return fit_models(parse_spec(TREND_MODELS, "trend"), cycles, cycles)


def response_models(cycles: DataTable) -> dict[tuple[str, str], ModelResult]:
    """Give log ratio of diameter and of volume on what was known of the dose, in one family; exploratory."""
    keys = [(outcome, name) for outcome in OUTCOMES for name, _, _ in PREDICTORS]
    models = [
        f'[[model]]\nname = "{outcome}: {name}"\nkind = "linear-mixed"\noutcome = "log_{outcome}"\npredictors = ["{term}"]\n'
        f'where = {{ {where} }}\nfamily = "exploratory"\nadjust = "bh"'
        for outcome in OUTCOMES
        for name, term, where in PREDICTORS
    ]
    spec = parse_spec("\n".join(['cluster = "pat"', *models]), "response")
    return dict(zip(keys, fit_models(spec, cycles, cycles), strict=True))


# ---- digitising ----
def read_twice(one: Array, other: Array, limit: float = SAME_LESION_GY) -> Array:
    """Give values of two figures that are of one lesion: nearest to each other and within `limit`. (n, 2)"""
    apart = np.abs(one[:, None] - other[None, :])
    nearest, back = apart.argmin(axis=1), apart.argmin(axis=0)
    return np.array(
        [(one[k], other[n]) for k, n in enumerate(nearest) if back[n] == k and apart[k, n] < limit]
    ).reshape(-1, 2)


def reading_errors(points: dict[str, Array]) -> dict[str, tuple[int, float, float]]:
    """Find the standard error of one reading from lesions that were read in more than one figure.

    Returns
    -------
    dict
        By quantity: lesions, standard error in its unit, and its share of the span of the axis.
    """
    found = {}
    for one, other in (("6A", "7A"), ("6B", "7B")):
        doses = [points[f"Jahn 2021, {name}"][:, 0] for name in (one, other)]
        pairs = read_twice(*doses)
        error = float(np.diff(pairs, axis=1).std(ddof=1) / 2**0.5)
        found[f"dose [Gy], Jahn 2021, {one} and {other}"] = len(pairs), error, error / float(np.ptp(doses[0]))
    ranked = np.array([np.sort(points[f"Ha 2024, 2{letter}"][:, 1]) for letter in "ABC"])
    error = float(np.sqrt(ranked.var(axis=0, ddof=1).mean()))
    found["shrinkage [%], Ha 2024, 2A, 2B and 2C"] = ranked.shape[1], error, error / float(np.ptp(ranked))
    return found


def redrawn_r2(points: Array, share: float, *, log: bool) -> Array:
    """r² after each point is moved by a reading error of `share` of the span of each axis. (draws,)"""
    moved = points + np.random.default_rng(SEED).normal(0, share, (DRAWS, *points.shape)) * np.ptp(points, axis=0)
    dose, shrinkage = np.maximum(moved[..., 0], 1.0), moved[..., 1]
    x = np.log(dose) if log else dose
    x, y = x - x.mean(axis=1, keepdims=True), shrinkage - shrinkage.mean(axis=1, keepdims=True)
    return np.asarray((x * y).sum(axis=1) ** 2 / ((x**2).sum(axis=1) * (y**2).sum(axis=1)))


def plain_r2(points: Array, *, log: bool = False) -> float:
    """r² of points without a model."""
    return float(redrawn_r2(points, 0.0, log=log)[0])


def totals_met(doses: Array, totals: Array, within: float = 2.0) -> tuple[int, float]:
    """How many doses lie within some Gy of a total dose of the table, and how many would by chance (doses moved by 5 to 20 Gy)."""
    shifts = [s * sign for s in np.arange(5.0, 20.5, 0.5) for sign in (-1, 1)]
    met = [int((np.abs(totals[:, None] - doses[None, :] - s).min(axis=0) < within).sum()) for s in (0.0, *shifts)]
    return met[0], float(np.mean(met[1:]))


def without_one(points: Array) -> tuple[float, float]:
    """Smallest and largest r² on the dose when one point is left out."""
    each = [plain_r2(np.delete(points, n, axis=0)) for n in range(len(points))]
    return min(each), max(each)


def slopes_without_one(points: Array) -> tuple[float, float]:
    """Smallest and largest shrinkage per doubling of the dose when one point is left out. [%]"""
    x, y = np.log2(points[:, 0]), points[:, 1]
    each = [np.polyfit(np.delete(x, n), np.delete(y, n), 1)[0] for n in range(len(points))]
    return float(min(each)), float(max(each))


def response_of_totals(cycles: DataTable) -> dict[str, Array]:
    """Total dose [Gy] and shrinkage [%] of each patient of the table, as the figures show them. (n, 2) by outcome"""
    last = cycles.where({"last": "1"})
    total = last.numbers("total")
    return {name: np.column_stack([total, -100 * np.expm1(last.numbers(f"log_{name}"))]) for name in OUTCOMES}


# ---- printing ----
def percent(b: float) -> str:
    """Write a log ratio as a change."""
    return f"{100 * (exp(b) - 1):+.1f} %".replace("-", "−")


def interval(low: float, high: float, digits: int = 3) -> str:
    """Write both ends."""
    return f"{low:.{digits}f} to {high:.{digits}f}".replace("-", "−")


def changes(c: Coefficient) -> tuple[str, str]:
    """Effect and interval as percent, both with the errors that do without the variances of the model."""
    low, high = (c.robust or {"ci95": c.ci95})["ci95"]
    return percent(c.estimate), f"{percent(low)} to {percent(high)}"


def print_figures(points: dict[str, Array]) -> None:
    """Print every figure beside what was published of it."""
    print("| figure | shows | points | published r² | r², dose | r², log dose |\n|---|---|---|---|---|---|")
    for figure in FIGURES:
        each = points[figure.name]
        of = f" of {figure.lesions}" if figure.lesions and figure.lesions != len(each) else ""
        printed = f"{figure.published_r2:.2f}" if figure.published_r2 else "not at hand"
        r2 = " | ".join(f"{value:.2f}" for value in both_r2(figure, each))
        print(f"| {figure.name} | {figure.shows} | {len(each)}{of} | {printed} | {r2} |")
    print("\n| figure | shrinkage per doubling | 95 % | p | p, robust | least and most without any one point |")
    print("|---|---|---|---|---|---|")
    for figure in FIGURES:
        if figure.lesion_per_patient:
            each = points[figure.name]
            c = slope(figure_models(each)[1])
            ps = f"{c.p:.3f} | {c.robust['p']:.3f}" if c.robust else ""
            ends = interval(*slopes_without_one(each), 1)
            print(f"| {figure.name} | {c.estimate:.1f} | {interval(*c.ci95, 1)} | {ps} | {ends} |")


def print_digitising(points: dict[str, Array]) -> None:
    """Print how well points were read, and what that does to figure 6A."""
    print("\n| read more than once | lesions | standard error of a reading | of the span |\n|---|---|---|---|")
    for name, (lesions, error, share) in reading_errors(points).items():
        print(f"| {name} | {lesions} | {error:.2f} | {100 * share:.2f} % |")
    print(
        "\n| reading error, share of the span | r² of 6A, dose: 95 % | reads .37 | r² of 6A, log dose: 95 % | reads .37 |"
    )
    print("|---|---|---|---|---|")
    low, high = without_one(points["Jahn 2021, 6A"])
    outside = f"\nr² of 6A on the dose with any one point left out: {low:.2f} to {high:.2f}"
    for share in (READING, 5 * READING, 10 * READING):
        cells = []
        for log in (False, True):
            drawn = redrawn_r2(points["Jahn 2021, 6A"], share, log=log)
            reads = np.mean(np.round(drawn, 2) == 0.37)
            cells += [interval(*np.percentile(drawn, [2.5, 97.5])), f"{100 * reads:.0f} %"]
        print(f"| {100 * share:.1f} % | {' | '.join(cells)} |")
    print(outside)


def print_cycles(cycles: DataTable, points: dict[str, Array]) -> None:
    """Print the exploratory models of the table."""
    last = cycles.where({"last": "1"})
    totals = last.numbers("total")
    apart = np.abs(last.numbers("cumulative") - totals).max()
    print(f"\nlargest difference of a printed total from the sum of its cycles: {apart:.3f} Gy")
    met, chance = totals_met(points["Jahn 2021, 7B"][:, 0], totals)
    print(f"doses of Jahn 2021, 7B within 2 Gy of a total of Jahn 2020: {met} of 25; by chance {chance:.0f}")
    for outcome, change in response_of_totals(cycles).items():
        print(
            f"r² of the {outcome} on the total {plain_r2(change):.2f}, on its logarithm {plain_r2(change, log=True):.2f}"
        )
    print("\n| exploratory: dose over | patients | cycles | change per cycle | 95 % | p | sd patients | sd rest |")
    print("|---|---|---|---|---|---|---|---|")
    for result in trend_models(cycles):
        c, n = slope(result), result.numbers
        p = p_text(c.robust["p"]) if c.robust else ""
        spreads = f"{n['sd_random']:.2f} | {n['sd_residual']:.2f}"
        print(f"| {result.name} | {result.n_clusters} | {result.n} | {' | '.join(changes(c))} | {p} | {spreads} |")
    print("\n| exploratory: per doubling of | response | patients | change | 95 % | p | p, family of 14 |")
    print("|---|---|---|---|---|---|---|")
    for (outcome, name), result in response_models(cycles).items():
        c = slope(result)
        low, high = map(percent, c.ci95)
        family = f"{c.p:.2f} | {result.numbers['p_bh']:.2f}"
        print(f"| {name} | {outcome} | {result.n_clusters} | {percent(c.estimate)} | {low} to {high} | {family} |")


def main(folder: Path, out: Path) -> None:
    """Print all tables and write the plots."""
    if not folder.is_dir():
        print(f"no published points at {folder}: give their folder")
        return
    points = {figure.name: read_points(folder, figure) for figure in FIGURES}
    cycles = cycles_table(folder)
    print_figures(points)
    print_digitising(points)
    print_cycles(cycles, points)
    from published_plots import write_plots  # noqa: PLC0415  (beside this script)

    write_plots(out, points, cycles)


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:3]]
    main(given[0] if given else DATA, given[1] if len(given) > 1 else ROOT / "bench" / "results")

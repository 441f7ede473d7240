"""Lutra beside what a user would otherwise take, on the same input in one run: how fast, and how right.

    make bench-peers                                    # makes their environment, runs, writes docs/side-by-side.md
    python bench/peers/run.py PYTHON [--write FILE]     # PYTHON: of an environment with PyTheranostics and lmfit

Times are the shortest of several runs, taken in turn on one machine: only their ratios mean something. It fails on nothing; where a
ratio has fallen to less than half of the one recorded beside this file, it says so.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
import statsmodels.api as sm
from attrs import frozen
from scipy.optimize import curve_fit

from lutra.align.rigid import RigidRegistration
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.volume import Volume
from lutra.imaging.itk import image_of
from lutra.kinetics.washouts import fit_washouts
from lutra.physics.voxel_dose import body_of_density, voxel_dose
from lutra.simulate.body import regions_on, sample_body
from lutra.simulate.ct import hu_volume
from lutra.simulate.motion import Motion
from lutra.simulate.table_trial import TableTrial, simulate_tables
from lutra.stats.linear_mixed import fit_linear_mixed

RECORDED = Path(__file__).with_name("ratios.json")
THEIRS = Path(__file__).with_name("theirs.py")
TIMES_H, DECAY_PER_H, CURVES = np.array([24.0, 96.0, 168.0]), np.log(2) / 159.528, 500
N, VOXEL_MM, DENSITY = 128, 4.7952, 1.03
PAIRS, ROUNDS = 6, 3
Table = list["Row"]


@frozen
class Row:
    """One line: a task by one program."""

    task: str
    program: str
    seconds: float
    off: str


def timed(work: Callable[[], Any], rounds: int = ROUNDS) -> tuple[Any, float]:
    """Answer, and the shortest of several runs. [s]"""
    best, answer = np.inf, work()
    for _ in range(rounds):
        start = time.perf_counter()
        answer = work()
        best = min(best, time.perf_counter() - start)
    return answer, best


# ---- inputs with known answers ----
def curves() -> tuple[np.ndarray, np.ndarray]:
    """Washouts of 30 to 140 h with 10 % noise, and their integrals. (3, n), (n,)"""
    rng = np.random.default_rng(1)
    half_life_h, height = rng.uniform(30, 140, CURVES), rng.uniform(1, 10, CURVES)
    exact = height * np.exp2(-TIMES_H[:, None] / half_life_h)
    return exact * (1 + 0.1 * rng.standard_normal(exact.shape)), height * half_life_h / np.log(2)


def ball() -> tuple[np.ndarray, np.ndarray]:
    """Decays of a ball of 100 mL of even activity, and its middle, where no border blurs the dose."""
    at = (np.arange(N) - N / 2 + 0.5) * VOXEL_MM
    far = np.sqrt(at[:, None, None] ** 2 + at[:, None] ** 2 + at**2)
    radius = (100e3 * 3 / (4 * np.pi)) ** (1 / 3)
    return np.clip((radius - far) / VOXEL_MM + 0.5, 0, 1) * 1e9, far < radius / 2


# ---- tasks ----
def integrals(theirs: dict[str, np.ndarray]) -> Table:
    """Fit time-activity curves."""
    given, true = curves()

    def own() -> np.ndarray:
        fits = fit_washouts(TIMES_H, given, None, DECAY_PER_H)
        return np.asarray(fits.amplitudes / fits.rates)

    def loop() -> np.ndarray:
        def washout(t: np.ndarray, a: float, k: float) -> np.ndarray:
            return a * np.exp(-k * t)

        bounds = ([0, DECAY_PER_H], [np.inf, 5])
        return np.array(
            [a / k for a, k in (curve_fit(washout, TIMES_H, y, (y[0], 0.01), bounds=bounds)[0] for y in given.T)]
        )

    answers = {"Lutra": timed(own, 20), "scipy, a loop": timed(loop)} | found_by("integrals", theirs)
    task = f"{CURVES} washouts at 24, 96, 168 h, noise 10 %"
    rows = []
    for name, (integral, seconds) in answers.items():
        off = np.abs(integral / true - 1)
        words = f"median error {np.median(off):.1%}, {np.mean(off > 0.5):.1%} off by half"
        rows.append(Row(task, name, seconds, words))
    return rows


def doses(theirs: dict[str, np.ndarray]) -> Table:
    """Compute the dose of a ball in tissue; where tests hold Lutra's kernels to EGSnrc within .5 %, they stand for the truth."""
    decays, middle = ball()
    body = body_of_density(np.full(decays.shape, DENSITY), (VOXEL_MM,) * 3)
    own, seconds = timed(lambda: voxel_dose("fft", decays, body, "Lu-177").gy, 10)
    task, mean = f"dose of {N}³ voxels, a ball of 100 mL", own[middle].mean()
    rows = [Row(task, "Lutra", seconds, "kernels within .5 % of EGSnrc, the whole field")]
    for name, (gy, their_seconds) in found_by("dose", theirs).items():
        rows.append(
            Row(task, name, their_seconds, f"{gy[middle].mean() / mean - 1:+.1%} in the middle, kernel cut at 122 mm")
        )
    return rows


def registrations() -> Table:
    """Register two CT of a digital patient that was moved as a whole."""
    rng = np.random.default_rng(2)
    own, other = [], []
    for _ in range(PAIRS):
        fixed, moving, here, there = moved_patient(rng)
        found, seconds = timed(lambda f=fixed, m=moving: RigidRegistration().register(f, m, FrozenMap(), 1).value, 1)
        own.append((seconds, apart(found.moving_points(here), there) if found else np.inf))
        points, seconds = timed(lambda f=fixed, m=moving, h=here: by_recipe(f, m, h), 1)
        other.append((seconds, apart(points, there)))
    rows = []
    for name, results in (("Lutra", own), ("SimpleITK, its recipe", other)):
        times, errors = np.array(results).T
        words = f"median {np.median(errors):.1f} mm, worst {errors.max():.1f} mm"
        rows.append(Row(f"rigid registration of {PAIRS} pairs of CT", name, float(times.sum()), words))
    return rows


def apart(one: np.ndarray, other: np.ndarray) -> float:
    """Median distance of points. [mm]"""
    return float(np.median(np.linalg.norm(one - other, axis=1)))


def moved_patient(rng: np.random.Generator) -> tuple[Volume, Volume, np.ndarray, np.ndarray]:
    """Two scans on 4 mm voxels, up to 60 mm and 10 degrees apart, with the centres of the organs in both."""
    body, motion = sample_body(int(rng.integers(1000))), Motion(0, rng.uniform(-60, 60, 3), rng.uniform(-10, 10, 3))
    scans, centres = [], []
    still = Grid((100, 80, 90), placed(np.zeros(3)), "1")
    organs = np.array([region.centroid_lps_mm for region in regions_on(body, (), still)])
    for frame, at, kind in (("1", Motion(), "diagnostic"), ("2", motion, "low-dose")):
        grid = Grid(still.shape, placed(at.translation_mm), frame)
        regions = regions_on(body, (), grid, at)
        scans.append(hu_volume(regions, grid, body, kind, 1, table_below_mm=150 + at.translation_mm[1]))
        centres.append(at.scan_from_reference(organs))
    return scans[0], scans[1], centres[0], centres[1]


def placed(shift_mm: np.ndarray) -> np.ndarray:
    """Voxels of 4 mm about a shifted middle. (4, 4)"""
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = np.array([-200, -160, -180]) + shift_mm
    return affine


def by_recipe(fixed: Volume, moving: Volume, points: np.ndarray) -> np.ndarray:
    """Register as the library's own example does: centred geometry, mutual information of 50 bins, three levels."""
    one, other = (sitk.Cast(image_of(v), sitk.sitkFloat32) for v in (fixed, moving))
    start = sitk.CenteredTransformInitializer(
        one, other, sitk.Euler3DTransform(), sitk.CenteredTransformInitializerFilter.GEOMETRY
    )
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.01, 1)
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsGradientDescent(1.0, 100, 1e-6, 10)
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SmoothingSigmasAreSpecifiedInPhysicalUnitsOn()
    method.SetInitialTransform(start, inPlace=False)
    found = method.Execute(one, other)
    return np.array([found.TransformPoint(p.tolist()) for p in points])


def mixed_models() -> Table:
    """Fit the primary analysis of a trial of 300 lesions."""
    lesions = simulate_tables(TableTrial(), 1).lesions
    groups = np.unique(lesions["pat"], return_inverse=True)[1]
    x = np.column_stack([np.ones(len(groups)), *(lesions[n].astype(float) for n in ("x_dose", "x_fdg", "x_adc"))])
    y = lesions["y"].astype(float)
    own, seconds = timed(lambda: fit_linear_mixed(x, y, [groups]), 10)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        other, their_seconds = timed(lambda: sm.MixedLM(y, x, groups=groups).fit(reml=True))
    gap = np.abs(own.coefficients - other.fe_params).max()
    task = f"linear mixed model of {len(y)} lesions"
    rows = [Row(task, "Lutra", seconds, "with degrees of freedom by Satterthwaite")]
    return [*rows, Row(task, "statsmodels", their_seconds, f"coefficients {gap:.0e} apart")]


# ---- the run ----
def found_by(task: str, theirs: dict[str, np.ndarray]) -> dict[str, tuple[np.ndarray, float]]:
    """Answers of the others to a task, with their seconds."""
    names = [n for n in theirs if n.startswith(f"{task} ") and not n.endswith("_s")]
    return {n.removeprefix(f"{task} "): (theirs[n], float(theirs[f"{n}_s"])) for n in names}


def ask(python: str) -> dict[str, np.ndarray]:
    """Run the others on the same inputs."""
    with tempfile.TemporaryDirectory() as folder:
        given, answers = Path(folder, "given.npz"), Path(folder, "answers.npz")
        np.savez(given, times_h=TIMES_H, curves=curves()[0], decay_per_h=DECAY_PER_H, decays=ball()[0])
        subprocess.run([python, str(THEIRS), str(given), str(answers)], check=True)  # noqa: S603
        return dict(np.load(answers))


def table(rows: Table) -> str:
    """Give ratios to Lutra's time of the same task as Markdown."""
    own = {row.task: row.seconds for row in rows if row.program == "Lutra"}
    lines = ["| task | by | time over Lutra's | how right |", "|---|---|---|---|"]
    lines += [f"| {row.task} | {row.program} | {row.seconds / own[row.task]:.3g} | {row.off} |" for row in rows]
    return "\n".join(lines)


def ratios(rows: Table) -> dict[str, float]:
    """Give times over Lutra's by task and program."""
    own = {row.task: row.seconds for row in rows if row.program == "Lutra"}
    return {f"{r.task}: {r.program}": r.seconds / own[r.task] for r in rows if r.program != "Lutra"}


def fallen(now: dict[str, float]) -> list[str]:
    """Say which ratios are less than half of what was recorded."""
    before = json.loads(RECORDED.read_text()) if RECORDED.exists() else {}
    return [
        f"{name}: {before[name]:.3g} times before, {r:.3g} now"
        for name, r in now.items()
        if r < before.get(name, 0) / 2
    ]


def main() -> None:
    """Print the table."""
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("python")
    asked.add_argument("--write", type=Path)
    given = asked.parse_args()
    theirs = ask(given.python)
    rows = [*integrals(theirs), *doses(theirs), *registrations(), *mixed_models()]
    print(table(rows))
    for words in fallen(ratios(rows)):
        print(f"SLOWER THAN RECORDED: {words}")
    if given.write:
        head = given.write.read_text("utf-8").partition("| task |")[0]
        given.write.write_text(f"{head}{table(rows)}\n", "utf-8")
        RECORDED.write_text(json.dumps(ratios(rows), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()

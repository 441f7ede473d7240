"""A digital adult: size, build and organs, drawn from a seed.

Masses of kidneys, spleen and liver follow the population the kinetic model is made for: 310 g (both), 180 g and 1800 g at a
body surface of 1.85 m2, with lognormal spreads of 0.13, 0.40 and 0.18 between persons beyond their size (public whole-body
models of somatostatin and PSMA ligands after Kletting and Begum). Arms are up, outside the field of view.
"""

from __future__ import annotations

from functools import cached_property, partial
from math import sqrt

import numpy as np
from attrs import evolve, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.simulate import organs as make
from lutra.simulate.combine import HalfSpace, Intersection, Offset, Outside, Union
from lutra.simulate.paint import mean_regions, regions_on
from lutra.simulate.shapes import Ellipsoid, Shape, Tube, rotation, smooth_line
from lutra.simulate.skeleton import VERTEBRAE_MM, discs, pelvis, spinal_canal, spine_y_mm, vertebra
from lutra.simulate.tissues import TISSUES, Tissue, tissue_of
from lutra.simulate.trunk import Build, Ribs, Trunk

__all__ = ["Body", "Organ", "mean_regions", "regions_on", "sample_body"]

REFERENCE_BSA_M2 = 1.85
MEDIAN_MASS_G = {"kidneys": 310.0, "spleen": 180.0, "liver": 1800.0, "pancreas": 100.0}
MASS_LOG_SD = {"kidneys": 0.13, "spleen": 0.40, "liver": 0.18, "pancreas": 0.20}
GFR_MEAN, GFR_SD, GFR_CUT = 85.0, 18.0, (35.0, 130.0)
HEIGHT_M = {"M": (1.765, 0.068), "F": (1.635, 0.063)}
"""Mean and standard deviation of central European adults over 50; with a BMI of 25 (log-SD 0.14) the weight is 72 kg, log-SD
0.17. [m]"""
BMI_MEDIAN, BMI_LOG_SD, BMI_CUT = 25.0, 0.14, (17.0, 42.0)
TABLE_MM = 118.0
"""How far behind the middle of the body the table lies, of a body of usual depth. [mm]"""
SIDES = ("left", "right")


@frozen(eq=False)
class Organ:
    """Something that is painted.

    Parameters
    ----------
    name
        Name of its region; shapes of one name make one region.
    tissue
        What it is made of, in this person.
    """

    name: str
    shape: Shape
    tissue: Tissue

    @property
    def hu(self) -> float:
        """CT number without contrast medium. [HU]"""
        return self.tissue.hu

    @property
    def density_g_per_ml(self) -> float:
        """[g/mL]"""
        return self.tissue.density_g_per_ml

    @property
    def kinetics(self) -> str:
        """Region of the kinetic model whose concentration it has."""
        return self.tissue.kinetics


@frozen(eq=False)
class Body:
    """A digital adult.

    Parameters
    ----------
    gfr_ml_per_min
        Glomerular filtration rate, for 1.73 m2. [mL/min]
    masses_g
        Wanted mass of `kidneys` (both, cortex and medulla), `liver`, `spleen`, `pancreas`. [g]
    given, given_source
        Organs in place of those that are made for the build, in painting order, and what they are from.
    """

    seed: int
    sex: str
    age_y: float
    height_m: float
    weight_kg: float
    gfr_ml_per_min: float
    masses_g: FrozenMap[str, float]
    build: Build
    given: tuple[Organ, ...] = ()
    given_source: str = ""

    @cached_property
    def organs(self) -> tuple[Organ, ...]:
        """What is painted, in this order: the outline first, later ones over earlier ones. Made when first asked for."""
        if self.given:
            return self.given
        tissues = _tissues(_rng(self.seed, "tissue"), self.age_y)
        shapes = _organs(self.build, dict(self.masses_g), _rng(self.seed, "anatomy"))
        return tuple(Organ(shape.name, shape, tissues[tissue]) for shape, tissue in shapes)

    @property
    def bsa_m2(self) -> float:
        """Body surface [mosteller1987]. [m2]"""
        return body_surface_m2(self.height_m, self.weight_kg)

    @property
    def source(self) -> str:
        """For the record of regions."""
        return self.given_source or f"digital body, seed {self.seed}"

    @property
    def spine_centre_lps_mm(self) -> tuple[float, float, float]:
        """Point about which a patient is turned: the spine between L1 and L2. [mm]"""
        return 0.0, spine_y_mm(0) * self.build.size, 0.0

    def shapes(self, name: str) -> tuple[Shape, ...]:
        """Surfaces painted under a name, for example to put a lesion there."""
        return tuple(organ.shape for organ in self.organs if organ.name == name)

    def tissue(self, region_name: str, *, is_lesion: bool = False) -> Tissue:
        """Tissue of a region in this person; that of its name for what is no organ."""
        own = next((organ.tissue for organ in self.organs if organ.name == region_name), None)
        return own or tissue_of(region_name, is_lesion=is_lesion)


def body_surface_m2(height_m: float, weight_kg: float) -> float:
    """Body surface by Mosteller's formula [mosteller1987]. [m2]"""
    return sqrt(height_m * 100 * weight_kg / 3600)


def sample_body(
    seed: int, sex: str | None = None, height_m: float | None = None, weight_kg: float | None = None
) -> Body:
    """Draw an adult; what is given is kept, everything else stays what it would have been.

    Parameters
    ----------
    sex
        `F` or `M`; None draws it.

    Raises
    ------
    UsageError
        If the sex is another, or the BMI outside 15 to 50 kg/m2.
    """
    rng = partial(_rng, seed)
    drawn = "F" if rng("sex").random() < 0.5 else "M"
    sex = sex or drawn
    if sex not in HEIGHT_M:
        raise UsageError(f"sex {sex!r}", required="F or M")
    mean, sd = HEIGHT_M[sex]
    tall, heavy = rng("height").normal(), rng("weight").normal()
    height_m = height_m or float(mean + sd * np.clip(tall, -2.5, 2.5))
    weight_kg = weight_kg or height_m**2 * float(np.clip(BMI_MEDIAN * np.exp(BMI_LOG_SD * heavy), *BMI_CUT))
    bmi = weight_kg / height_m**2
    if not 15 <= bmi <= 50:
        raise UsageError(f"{height_m:g} m and {weight_kg:g} kg", required="a BMI from 15 to 50 kg/m2")
    age_y = float(np.clip(rng("age").normal(61, 11), 28, 86))
    gfr = float(np.clip(rng("gfr").normal(GFR_MEAN, GFR_SD), *GFR_CUT))
    surface = body_surface_m2(height_m, weight_kg) / REFERENCE_BSA_M2
    masses = {
        name: median * surface * float(np.exp(rng(f"mass {name}").normal(0, MASS_LOG_SD[name])))
        for name, median in MEDIAN_MASS_G.items()
    }
    masses["kidneys"] *= (gfr / GFR_MEAN) ** 0.25
    female = sex == "F"
    fat_mm = float(np.clip(15 * (bmi / 25) ** 1.8 * (1.25 if female else 0.85), 5, 60))
    build = Build(height_m / 1.75, (bmi / 25) ** 0.33 * (0.97 if female else 1.0), fat_mm)
    return Body(seed, sex, age_y, height_m, weight_kg, gfr, FrozenMap(masses), build)


def _rng(seed: int, purpose: str) -> np.random.Generator:
    """Random numbers of one purpose: a draw added elsewhere changes nothing here."""
    return np.random.default_rng([seed, *purpose.encode()])


def _tissues(rng: np.random.Generator, age_y: float) -> dict[str, Tissue]:
    """Tissues of one person: fat in the liver, bone that thins with age, and small differences of everything else."""
    own = dict(TISSUES)
    fatty = max(0.0, float(rng.normal(-6, 12)))
    for name, sd in {"muscle": 4, "spleen": 2, "kidney cortex": 2, "pancreas": 4, "body remainder": 6}.items():
        shift = float(rng.normal(0, sd))
        own[name] = _shifted(own[name], shift)
    own["liver"] = _shifted(own["liver"], float(rng.normal(2, 3)) - 0.8 * fatty)
    own["marrow"] = _shifted(own["marrow"], float(np.clip(-1.8 * (age_y - 61) + rng.normal(0, 18), -70, 70)))
    return own


def _shifted(tissue: Tissue, hu: float) -> Tissue:
    """Change a CT number, and the density with it by 0.6 mg/mL per HU, as between 23 and 1600 HU [schneider2000]."""
    density = tissue.density_g_per_ml + 0.0006 * hu
    return evolve(tissue, hu=tissue.hu + hu, hu_portal=tissue.hu_portal + hu, density_g_per_ml=density)


def _organs(build: Build, masses_g: dict[str, float], rng: np.random.Generator) -> list[tuple[Shape, str]]:
    """Every shape in painting order, with the key of its tissue."""
    skin, fascia, cavity = (
        Trunk("fat", build, "skin"),
        Trunk("muscle", build, "fascia"),
        Trunk("body remainder", build, "cavity"),
    )
    column, canal = discs(build.size), spinal_canal(build.size)
    heart, vessels = make.heart(build), make.vessels(build, spine_y_mm)
    kidneys = _kidneys(build, masses_g["kidneys"] / TISSUES["kidney cortex"].density_g_per_ml, rng)
    beans = tuple(kidney.bean for kidney in kidneys)
    stomach = make.stomach(build, float(np.exp(rng.normal(0, 0.12))))
    liver = make.liver(
        build, cavity, (*beans[1:], column), vessels[3], masses_g["liver"] / TISSUES["liver"].density_g_per_ml
    )
    clear = (stomach, beans[0])
    spleen = make.spleen(build, cavity, clear, masses_g["spleen"] / TISSUES["spleen"].density_g_per_ml)
    pancreas = make.pancreas(build, masses_g["pancreas"] / TISSUES["pancreas"].density_g_per_ml)
    tops = {
        side: np.array([*_mean(bean)[:2], bean.bounds_lps_mm[1, 2]])
        + np.array([-14.0 if side == "left" else 14.0, -8, -2])
        for side, bean in zip(SIDES, beans, strict=True)
    }
    painted: list[tuple[Shape, str]] = [(skin, "fat"), (fascia, "muscle"), (cavity, "body remainder")]
    painted += [(shape, "muscle") for shape in _deep_muscles(build)]
    painted += [(shape, "rib") for shape in (Ribs("ribs", cavity), _sternum(build, cavity))]
    painted += [(lung, "lung") for lung in make.lungs(build, cavity, heart, column)]
    painted += [(heart, "heart"), (column, "disc"), (_small_bowel(build, cavity, column, rng), "bowel")]
    painted += [(piece, "bowel") for piece in make.colon(build)]
    painted += [(stomach, "stomach"), *((shape, "gas") for shape in _gas(build, stomach))]
    painted += [
        (pancreas, "pancreas"),
        (liver, "liver"),
        (_gallbladder(build, liver, rng), "gallbladder"),
        (spleen, "spleen"),
    ]
    painted += [(shape, "vessel") for shape in vessels]
    painted += [(limb, "adrenals") for limb in make.adrenals(build, tops)]
    for kidney in kidneys:
        painted += [
            (kidney.bean, "kidney cortex"),
            (kidney.medulla, "kidney medulla"),
            (kidney.pelvis, "kidney pelvis"),
        ]
    painted.append((_bladder(build, rng), "bladder"))
    for label in VERTEBRAE_MM:
        bone, marrow = vertebra(label, build.size)
        painted += [(bone, "cortical bone"), (marrow, "marrow")]
    for bone, marrow in pelvis(build.size):
        painted += [(bone, "cortical bone"), (marrow, "marrow")]
    painted.append((canal, "spinal canal"))
    return painted


def _kidneys(build: Build, both_ml: float, rng: np.random.Generator) -> tuple[make.Kidney, make.Kidney]:
    left_share = 0.51 + float(np.clip(rng.normal(0, 0.015), -0.04, 0.04))
    slender = np.exp(np.clip(rng.normal(0, 0.04, 2), -0.08, 0.08))
    drop_mm = np.array([4.0, 16.0]) + np.clip(rng.normal(0, 4, 2), -8, 8)
    left = make.kidney(build, "left", both_ml * left_share, float(drop_mm[0]), float(slender[0]))
    right = make.kidney(build, "right", both_ml * (1 - left_share), float(drop_mm[1]), float(slender[1]))
    return left, right


def _mean(shape: Shape) -> np.ndarray[tuple[int, ...], np.dtype[np.float64]]:
    return np.asarray(shape.bounds_lps_mm.mean(axis=0))


def _deep_muscles(build: Build) -> tuple[Shape, ...]:
    """Psoas and the quadratus of the loins."""
    shapes: list[Shape] = []
    for sign in (1, -1):
        line = [
            (26 * sign, 44, 30),
            (33 * sign, 42, -20),
            (41 * sign, 38, -80),
            (52 * sign, 28, -150),
            (66 * sign, 2, -240),
        ]
        radii = [7, 14, 19, 20, 16]
        psoas = smooth_line(line, radii, 2)
        shapes.append(Tube("muscle", psoas[0] * build.size, psoas[1] * build.size))
        turn = rotation(z_deg=-14 * sign)
        half = np.multiply((24, 10, 62), build.size)
        shapes.append(Ellipsoid("muscle", np.multiply((62 * sign, 68, -62), build.size), half, turn))
    return tuple(shapes)


def _sternum(build: Build, cavity: Trunk) -> Shape:
    """In the front wall, as high as the ribs that reach it."""
    heights = np.linspace(125, 275, 7) * build.size
    depths = np.linspace(-150, -20, 261) * build.size
    front = []
    for z in heights:
        points = np.column_stack((np.zeros_like(depths), depths, np.full_like(depths, z)))
        front.append(float(np.interp(-7 * build.size, cavity.level_mm(points), depths)))
    halves = [Tube("", np.column_stack((np.full(7, x), front, heights)), np.full(7, 6.0)) for x in (-9.0, 0.0, 9.0)]
    return Union("ribs", tuple(halves))


def _small_bowel(build: Build, cavity: Trunk, column: Shape, rng: np.random.Generator) -> Shape:
    body = make.ellipsoid(build, (2, -34, -108), (92, 48, 100), exponent=3)
    inside = Intersection("", (body, Offset("", cavity, 6), Outside(Offset("", column, -22))), 8)
    return make.Loops("bowel", inside, 58 * build.girth, tuple(rng.uniform(0, 2 * np.pi, 6).tolist()))


def _gas(build: Build, stomach: Tube) -> tuple[Shape, ...]:
    """Gas rises to the front of a supine patient: a bubble in the stomach, one in the transverse colon."""
    _, transverse, _, _ = make.colon(build)
    front = HalfSpace(build.place(0, -56, 0), (0, -1, 0))
    return tuple(
        Intersection("gas", (front, Offset("", gut, depth)), 3) for gut, depth in ((stomach, 4.0), (transverse, 3.5))
    )


def _gallbladder(build: Build, liver: Shape, rng: np.random.Generator) -> Shape:
    """Against the lower face of the liver, wherever that is."""
    heights = np.linspace(-120, 110, 116) * build.size
    x, y, _ = build.place(-46, -44, 0)
    inside = liver.level_mm(np.column_stack((np.full_like(heights, x), np.full_like(heights, y), heights))) > 0
    face_mm = float(heights[np.argmax(inside)]) if inside.any() else 0.0
    full = float(np.exp(rng.normal(0, 0.2)))
    half = np.multiply((13 * full, 13 * full, 29), build.girth)
    return Ellipsoid("gallbladder", (x, y, face_mm - 5), half, rotation(x_deg=42, y_deg=-24), taper=0.3)


def _bladder(build: Build, rng: np.random.Generator) -> Shape:
    full = float(np.exp(rng.normal(0, 0.12)))
    half = np.multiply((44, 36, 34), build.size * full)
    return Ellipsoid("bladder", build.place(0, -8, -262), half, taper=0.1)

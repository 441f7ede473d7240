"""Digital lesions: how many, how large, where, what they take up and how they will answer; drawn from a seed."""

from __future__ import annotations

from attrs import define, evolve, field, frozen

from lutra.simulate.lesion_places import Anatomy, Site, place_beside, place_within, touching
from lutra.simulate.lesion_population import (
    GRADES,
    NEW_PER_YEAR_AFTER_PROGRESSION,
    Draws,
    LesionSettings,
    sample_disease,
    stream,
)
from lutra.simulate.lesion_size import size_of
from lutra.simulate.response import Growth
from lutra.simulate.shapes import Blob, irregular_blob

NEW_LESION_MM = 8.0
"""Longest diameter at which a new lesion is seen first. [mm]"""
LARGEST_BONE_MM = 34.0
"""A larger one has no room in a vertebral body. [mm]"""
SPLIT_SIZES = (0.76, 0.62)
"""Longest diameters of the two lobes of a lesion that can fall apart, of that of the whole. [1]"""
LOBE_OVERLAP = (0.1, 0.3)
"""How deep two lobes lie in each other, of the radius of the smaller one. [1]"""
GAP_MM = (0.5, 3.0)
"""Between neighbours that can grow together. [mm]"""
UPTAKE_CV, UPTAKE_LENGTH_MM = (0.25, 0.40), (4.0, 8.0)
"""Lognormal variation of the uptake within a lesion, and the length over which it varies [M]."""


@frozen(eq=False)
class DigitalLesion:
    """One lesion as it is on the day of the first treatment, or when it is seen first.

    Parameters
    ----------
    lesion_id
        `lesion 3`; lobes of one lesion are `lesion 3a` and `lesion 3b`. Region of kinetics and painting.
    name
        As a reader writes it: `lesion 3 liver segment 6`.
    site
        `liver`, `node`, `bone` or `other`.
    shape, core
        Outer surface, and the necrotic core without uptake, if there is one.
    grade
        1, 2 or 3, the same in all lesions of a patient.
    volume_ml, longest_axial_diameter_mm, short_axis_mm
        Of the whole lesion with its core.
    core_share
        Volume of the core, of the whole. [1]
    fdg_suv_max
        Of its living part, before any scanner has seen it. [g/mL]
    adc_mm2_per_s
        Without perfusion.
    uptake_cv, uptake_length_mm
        Texture of the uptake: coefficient of variation and correlation length.
    growth
        How it grows and dies.
    appears_day
        Day it is seen first; None if it is there from the start.
    fdg_deviation
        Of the logarithm of its FDG uptake from that of the patient's lesions, in standard deviations. [1]
    chance
        Uniform between 0 and 1: a new lesion comes if it is below the rate of that day, in units of the largest rate. [1]
    """

    lesion_id: str
    name: str
    site: str
    shape: Blob
    core: Blob | None
    grade: int
    volume_ml: float
    longest_axial_diameter_mm: float
    short_axis_mm: float
    core_share: float
    fdg_suv_max: float
    adc_mm2_per_s: float
    uptake_cv: float
    uptake_length_mm: float
    growth: Growth
    appears_day: float | None = None
    fdg_deviation: float = 0.0
    chance: float = 0.0

    @property
    def viable_fraction(self) -> float:
        """Share of the volume that is no necrotic core. [1]"""
        return 1 - self.core_share

    @property
    def stem(self) -> str:
        """Identity of the lesion it is a lobe of, or its own."""
        return self.lesion_id.rstrip("ab")


def sample_lesions(
    body: Anatomy, seed: int, settings: LesionSettings | None = None, grade: int | None = None
) -> tuple[DigitalLesion, ...]:
    """Draw the lesions a patient has at the start and put them into the body, without overlap but for lobes of one lesion.

    Parameters
    ----------
    body
        Where to put them: organs by name, `liver` and vertebrae with marrow among them.
    grade
        1, 2 or 3; None draws it.

    Returns
    -------
    tuple
        The lesions, numbered from the largest. Those of two lobes are two entries, `lesion 2a` and `lesion 2b`.

    Raises
    ------
    UsageError
        If the body has no place of a kind that is needed.
    """
    nest = _nest(body, seed, settings, grade)
    low, high = nest.draws.settings.count
    count = int(stream(seed, "lesion count").integers(low, high + 1))
    sizes = {f"lesion {n}": nest.draws.diameter_mm(f"lesion {n}") for n in range(count)}
    for number, key in enumerate(sorted(sizes, key=lambda k: -sizes[k]), start=1):
        nest.add(key, f"lesion {number}", sizes[key])
    return tuple(nest.lesions)


def sample_new_lesions(
    body: Anatomy,
    seed: int,
    lesions: tuple[DigitalLesion, ...],
    until_day: float,
    settings: LesionSettings | None = None,
) -> tuple[DigitalLesion, ...]:
    """Draw lesions that may appear until a day, at the largest rate there is; which of them do, the course decides.

    They are as small as can be seen, and grow from then on.

    Parameters
    ----------
    lesions
        Those of the start; the new ones do not overlap them.
    """
    nest = _nest(body, seed, settings, lesions[0].grade)
    nest.lesions += lesions
    rng = stream(seed, "new lesions")
    rate = max(NEW_PER_YEAR_AFTER_PROGRESSION, GRADES[lesions[0].grade].new_per_year) / 365.25
    days: list[float] = []
    while (day := (days[-1] if days else 0.0) + rng.exponential(1 / rate)) < until_day:
        days.append(day)
    first = 1 + max(int(lesion.stem.split()[-1]) for lesion in lesions)
    for n, day in enumerate(days):
        key = f"new lesion {n}"
        new = nest.lesion(key, f"lesion {first + n}", nest.draws.site(key), NEW_LESION_MM)
        chance = float(stream(seed, f"{key} chance").random())
        nest.lesions.append(evolve(new, appears_day=day, chance=chance))
    return tuple(nest.lesions[len(lesions) :])


def _nest(body: Anatomy, seed: int, settings: LesionSettings | None, grade: int | None) -> _Nest:
    settings = settings or LesionSettings()
    return _Nest(body, Draws(seed, sample_disease(seed, settings, grade), settings))


@define
class _Nest:
    """Lesions put into a body one after the other."""

    body: Anatomy
    draws: Draws
    lesions: list[DigitalLesion] = field(factory=list)

    def add(self, key: str, lesion_id: str, diameter_mm: float) -> None:
        """Add a lesion, or one of two lobes, or one close to another."""
        site, settings = self.draws.site(key), self.draws.settings
        rng = self.draws.stream(key, "kind")
        splits, has_neighbour = rng.random(2) < (settings.split_probability, settings.neighbour_probability)
        gap_mm = rng.uniform(*GAP_MM)
        if splits and site is not Site.BONE and diameter_mm * SPLIT_SIZES[1] > settings.minimum_mm:
            self.lesions += self._lobes(key, lesion_id, site, diameter_mm)
            return
        near = [le for le in self.lesions if has_neighbour and le.site == site and site is not Site.BONE]
        beside = (near[-1], gap_mm) if near else None
        self.lesions.append(self.lesion(key, lesion_id, site, diameter_mm, beside))

    def lesion(
        self,
        key: str,
        lesion_id: str,
        site: Site,
        diameter_mm: float,
        beside: tuple[DigitalLesion, float] | None = None,
    ) -> DigitalLesion:
        """Make one lesion, at a distance from the surface of another one, if wanted. [mm]"""
        draws = self.draws
        diameter_mm = min(diameter_mm, LARGEST_BONE_MM) if site is Site.BONE else diameter_mm
        rng = draws.stream(key, "shape")
        blob = irregular_blob(lesion_id, (0, 0, 0), 10.0, rng, irregularity=rng.uniform(0.05, 0.14))
        size = size_of(blob)
        blob = blob.scaled(diameter_mm / size.longest_mm)
        rng, others = draws.stream(key, "place"), [lesion.shape for lesion in self.lesions]
        if beside is None:
            placed = place_within(self.body, site, blob, others, rng)
        else:
            neighbour, gap_mm = beside[0].shape, beside[1]
            others = [shape for shape in others if shape is not neighbour]
            placed = place_beside(self.body, site, blob, neighbour, gap_mm, others, rng)
        size = size.scaled(diameter_mm / size.longest_mm * placed.shrunk)
        share = draws.core_share(key, size.longest_mm)
        texture = draws.stream(key, "texture")
        return DigitalLesion(
            lesion_id,
            f"{lesion_id} {placed.words}",
            site.value,
            placed.shape,
            evolve(placed.shape.scaled(share ** (1 / 3)), name=f"{lesion_id} core") if share else None,
            draws.disease.grade,
            size.volume_ml,
            size.longest_mm,
            size.short_mm,
            share,
            draws.fdg_suv_max(key),
            draws.adc_mm2_per_s(key),
            float(texture.uniform(*UPTAKE_CV)),
            float(texture.uniform(*UPTAKE_LENGTH_MM)),
            draws.growth(key),
            fdg_deviation=draws.fdg_deviation(key),
        )

    def _lobes(self, key: str, lesion_id: str, site: Site, diameter_mm: float) -> list[DigitalLesion]:
        """Two lobes that look like one lesion, and answer like one."""
        large, small = (share * diameter_mm for share in SPLIT_SIZES)
        depth_mm = self.draws.stream(key, "lobes").uniform(*LOBE_OVERLAP) * small / 2
        one = evolve(self.lesion(key, f"{lesion_id}a", site, large), core=None, core_share=0.0)
        two = self.lesion(f"{key} lobe", f"{lesion_id}b", site, small, (one, -depth_mm))
        if not touching(one.shape, two.shape):  # no room beside the first
            return [self.lesion(key, lesion_id, site, diameter_mm)]
        kept = ("grade", "fdg_suv_max", "fdg_deviation", "adc_mm2_per_s", "uptake_cv", "uptake_length_mm", "growth")
        alike = {name: getattr(one, name) for name in kept}
        name = one.name.replace(one.lesion_id, two.lesion_id)
        return [one, evolve(two, name=name, core=None, core_share=0.0, **alike)]

"""What lies in front of a scanner: organs and lesions of one day in the posture of one scan, and what they hold."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.simulate.body import Body
from lutra.simulate.disease import SeenLesion
from lutra.simulate.fdg import tissue_of
from lutra.simulate.motion import Motion, breathing_phases
from lutra.simulate.paint import mean_regions, regions_on
from lutra.simulate.patient import DigitalPatient, stream
from lutra.simulate.uptake import UptakeCurves

WHOLE = 0.9
"""A lesion of which less of its volume is painted lies across the edge of the field, and nobody measures it. [1]"""
MODES = 48
"""Waves that make up the texture of the uptake of a lesion."""
BLADDER_ML = 250.0
"""Of a bladder at the time of a scan; its activity is that of the kinetics. [mL]"""

TISSUE_OF_KINETICS = {"blood": "blood pool", "gut": "bowel", "endocrine": "adrenals", "bladder": "bladder"}
"""Tissue of the PET tables for regions they do not name."""
BONES = ("ribs", "sacrum", "hip bone", "vertebra", "femur")
WITHOUT_UPTAKE = ("gas",)
LESION_TISSUE_FDG_MEAN = 0.65
"""Mean over maximum of the FDG uptake of a lesion [M]. [1]"""
DISCORDANT_OVER_LIVER = 1.3
"""Least FDG uptake of a lesion that has lost its receptors, over that of the liver [M]. [1]"""

Image = npt.NDArray[np.float32]


@frozen(eq=False)
class Scene:
    """A patient on a grid.

    Parameters
    ----------
    day
        Since the first treatment. [d]
    motion
        Posture of the scan.
    regions
        By name; their shares add up to the body.
    seen
        Lesions that are there, whole within the field; the others are painted all the same.
    """

    patient: DigitalPatient
    day: float
    grid: Grid
    motion: Motion
    regions: FrozenMap[str, Region] = field(converter=frozen_map)
    seen: tuple[SeenLesion, ...]

    def painted_ml(self, name: str) -> float:
        """Volume of a region on the grid; 0 if there is none. [mL]"""
        return self.regions[name].volume_ml if name in self.regions else 0.0

    def whole(self, lesion: SeenLesion) -> Region:
        """Return the region of a lesion together with its necrotic core, under its author's name."""
        parts = [self.regions[n] for n in (lesion.lesion_id, f"{lesion.lesion_id} core") if n in self.regions]
        return united(lesion.name, parts)

    def filled(self, values: Mapping[str, float], unit: Unit, *, texture: bool = True) -> Volume:
        """Fill every region with its value; in living lesions it varies with their texture about it.

        Parameters
        ----------
        values
            By name of the region; one without a value stays empty.
        """
        image = np.zeros(self.grid.shape, np.float32)
        lesions = {lesion.lesion_id: lesion for lesion in self.seen} if texture else {}
        for name, region in self.regions.items():
            if value := values.get(name, 0.0):
                own = region.fraction * np.float32(value)
                if name in lesions:
                    own *= self.texture_in(lesions[name])
                image[region.box] += own
        return Volume(image, self.grid, unit)

    def texture_in(self, lesion: SeenLesion) -> Image:
        """Factor of mean 1 over the living part of a lesion: the same tissue takes up more in every scan."""
        region = self.regions[lesion.lesion_id]
        own = self.patient.disease.course(lesion.parts[0]).lesion
        index = np.moveaxis(np.indices(region.fraction.shape), 0, -1) + region.start_ijk
        points = self.motion.reference_from_scan(self.grid.to_lps_mm(index))
        rough = texture(points, own.uptake_length_mm, self.patient.seed, own.lesion_id)
        factor = np.exp(own.uptake_cv * rough)
        return np.asarray(factor / np.average(factor, weights=region.fraction), np.float32)


def scene_of(patient: DigitalPatient, day: float, grid: Grid, motion: Motion, phases: int = 1) -> Scene:
    """Paint a patient as he is on a day.

    Parameters
    ----------
    phases
        Moments of a breath to average over.
    """
    there = patient.disease.seen(day)
    if phases == 1:
        painted = regions_on(patient.body, there, grid, motion)
    else:
        moments = breathing_phases(motion, phases)
        painted = mean_regions([regions_on(patient.body, there, grid, moment) for moment in moments])
    regions = {region.name: region for region in painted}
    scene = Scene(patient, day, grid, motion, FrozenMap(regions), there)
    inside = tuple(lesion for lesion in there if _is_inside(scene, lesion))
    return Scene(patient, day, grid, motion, FrozenMap(regions), inside)


def coarser_scene(scene: Scene, grid: Grid, factor: int, before: tuple[int, int, int]) -> Scene:
    """Put a scene on a grid whose voxels are blocks of its own.

    Parameters
    ----------
    before
        Voxels of the new grid along each axis before the first block.
    """
    regions = {name: _coarser(region, grid, factor, before) for name, region in scene.regions.items()}
    return Scene(scene.patient, scene.day, grid, scene.motion, FrozenMap(regions), scene.seen)


def united(name: str, parts: list[Region]) -> Region:
    """Join regions of one grid that do not overlap."""
    start = np.min([part.start_ijk for part in parts], axis=0)
    stop = np.max([np.add(part.start_ijk, part.fraction.shape) for part in parts], axis=0)
    total = np.zeros(stop - start, np.float32)
    for part in parts:
        cut = tuple(
            slice(s, s + n) for s, n in zip(np.subtract(part.start_ijk, start), part.fraction.shape, strict=True)
        )
        total[cut] += part.fraction
    first = parts[0]
    i, j, k = (int(n) for n in start)
    return Region(name, first.kind, first.grid, (i, j, k), np.minimum(total, 1), None, first.origin, first.source)


def texture(points_lps_mm: npt.ArrayLike, length_mm: float, seed: int, lesion_id: str) -> npt.NDArray[np.float64]:
    """Smooth random field of mean 0 and variance 1, as a sum of waves: the same at a point whatever the grid. [1]

    Parameters
    ----------
    length_mm
        Width (FWHM) of its correlation. [mm]
    """
    rng = stream(seed, f"texture {lesion_id}")
    sigma = length_mm / 2.3548
    waves, phases = rng.normal(0, 1 / sigma, (3, MODES)), rng.uniform(0, 2 * np.pi, MODES)
    return np.asarray(np.cos(np.asarray(points_lps_mm) @ waves + phases).sum(axis=-1) * (2 / MODES) ** 0.5)


# ---- what the regions hold ----
def concentrations(scene: Scene, uptake: UptakeCurves, since_s: float) -> dict[str, float]:
    """Activity concentration of every region some time after an administration. [Bq/mL]"""
    body = scene.patient.body
    found = {}
    for name, region in scene.regions.items():
        if region.kind is not RegionKind.LESION:
            found[name] = _organ_bq_per_ml(body.tissue(name).kinetics, uptake, since_s)
    for name in WITHOUT_UPTAKE:
        found[name] = 0.0
    return found | {
        lesion.lesion_id: lesion_activity_bq(lesion, uptake, since_s) / living_ml(scene, lesion)
        for lesion in scene.patient.disease.seen(scene.day)
        if lesion.lesion_id in scene.regions
    }


def lesion_activity_bq(lesion: SeenLesion, uptake: UptakeCurves, since_s: float) -> float:
    """Activity of a lesion: that of all its parts. [Bq]"""
    return float(sum(uptake.activity_bq(part, since_s) for part in lesion.parts if part in uptake.lesions))


def living_ml(scene: Scene, lesion: SeenLesion) -> float:
    """Volume over which the activity of a lesion is spread: as painted where it is whole, so that nothing is lost. [mL]"""
    painted, core = scene.painted_ml(lesion.lesion_id), scene.painted_ml(f"{lesion.lesion_id} core")
    if painted + core > WHOLE * lesion.size.volume_ml:
        return painted
    share = core / (painted + core) if painted + core else 0.0
    return lesion.size.volume_ml * (1 - share)


def suv_of_regions(scene: Scene, tissues: Mapping[str, float], lesions: Mapping[str, float]) -> dict[str, float]:
    """SUV of every region, from those of normal tissues and of the living part of each digital lesion. [g/mL]"""
    found = _of_tissues(scene, tissues)
    for lesion in scene.patient.disease.seen(scene.day):
        if lesion.lesion_id in scene.regions:
            courses = [scene.patient.disease.course(part) for part in lesion.parts]
            volumes = [course.at(course.volume_ml, scene.day) for course in courses]
            found[lesion.lesion_id] = float(np.average([lesions[part] for part in lesion.parts], weights=volumes))
    return found


def fdg_of_lesions(patient: DigitalPatient) -> dict[str, float]:
    """Mean FDG SUV of the living part of every lesion; one that has lost its receptors takes up more than the liver. [g/mL]"""
    lost = {le.lesion_id for le in patient.kinetics.lesions if le.discordant}
    least = DISCORDANT_OVER_LIVER * patient.fdg_suv["liver"]
    drawn = {le.lesion_id: LESION_TISSUE_FDG_MEAN * le.fdg_suv_max for le in patient.disease.lesions}
    return {name: max(mean, least) if name in lost else mean for name, mean in drawn.items()}


def sstr_of_lesions(patient: DigitalPatient, since_s: float) -> dict[str, float]:
    """Mean octreotate SUV of the living part of every lesion. [g/mL]"""
    uptake, kg = patient.baseline_pet, patient.body.weight_kg
    return {name: float(uptake.suv(name, since_s, kg)) for name in uptake.lesions}


def _organ_bq_per_ml(kinetics: str, uptake: UptakeCurves, since_s: float) -> float:
    if kinetics == "blood":
        return float(uptake.blood_bq_per_ml(since_s))
    if kinetics == "bladder":
        return float(uptake.activity_bq("bladder", since_s)) / BLADDER_ML
    return float(uptake.concentration(kinetics, since_s))


def _of_tissues(scene: Scene, tissues: Mapping[str, float]) -> dict[str, float]:
    found = {}
    for name, region in scene.regions.items():
        if region.kind is not RegionKind.LESION and name not in WITHOUT_UPTAKE:
            found[name] = tissues[_tissue(scene.patient.body, name)]
    return found


def _tissue(body: Body, name: str) -> str:
    if any(bone in name for bone in BONES) and not name.startswith("marrow"):
        return "bone cortex"
    try:
        return tissue_of(name)
    except UsageError:
        return TISSUE_OF_KINETICS.get(body.tissue(name).kinetics, "body remainder")


def _is_inside(scene: Scene, lesion: SeenLesion) -> bool:
    painted = scene.painted_ml(lesion.lesion_id) + scene.painted_ml(f"{lesion.lesion_id} core")
    return painted > WHOLE * lesion.size.volume_ml


def _coarser(region: Region, grid: Grid, factor: int, before: tuple[int, int, int]) -> Region:
    start = np.array(region.start_ijk)
    first = start // factor
    lead = start - first * factor
    shape = np.array(region.fraction.shape)
    blocks = -(-(lead + shape) // factor)
    padded = np.zeros(blocks * factor, np.float32)
    padded[tuple(slice(a, a + n) for a, n in zip(lead, shape, strict=True))] = region.fraction
    a, b, c = blocks
    fraction = padded.reshape(a, factor, b, factor, c, factor).mean(axis=(1, 3, 5))
    i, j, k = (int(f + m) for f, m in zip(first, before, strict=True))
    return Region(region.name, region.kind, grid, (i, j, k), fraction, region.code, region.origin, region.source)

"""A real CT and its labels as the anatomy of a digital patient, in the frame and under the names of the digital body.

A CT shows a part of a person. Organs that reach its border are cut there: what is painted, and true, of them is the part in the
field of view; the mass that decides their kinetics is drawn from the population. Sex, age, height and weight are drawn as well,
for a CT of the trunk does not tell them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import evolve, field, frozen

from lutra.core.errors import InputError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.core.grid import Grid
from lutra.core.region import Region
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.ingest import read_label_map, read_label_names, read_nifti
from lutra.simulate.body import TABLE_MM, Body, Organ, sample_body
from lutra.simulate.combine import Offset
from lutra.simulate.labelled import body_from_labels, body_mask, own_tissue
from lutra.simulate.sizes import Field, Size
from lutra.simulate.trunk import Build

CORTEX_MM = 2.5
"""Outer layer of a vertebra that is no marrow: a voxel of a usual label map. [mm]"""
AXIAL_COSINE = 0.9
MARGIN_MM = 15.0
"""What the patient moves between scans, so that no scan looks past the end of the CT. [mm]"""
SHORTEST_MM = 100.0
"""Least height of a field of view. [mm]"""
AIR_MM = 10.0
"""Around the body in a scan. [mm]"""
BACK_HEIGHT_MM = 40.0
"""Above and below the space between L1 and L2: where the back is looked for. [mm]"""
NAMES = (
    (r"^(.*) (left|right)$", r"\2 \1"),
    (r"^(left|right) kidney$", r"\1 kidney cortex"),
    (r"^(left|right) lung .*|^(left|right) .*lung.*lobe.*", r"\1\2 lung"),
    (r"^vertebrae? (?=[CTLS]\d)", "vertebra "),
    (r"^(left|right) hip$", r"\1 hip bone"),
    (r"^(left |right )?rib.*|^costal.*", "ribs"),
    (r"^(left |right )?adrenal.*", "adrenals"),
    (r"^(small bowel|colon|duodenum)$", "bowel"),
    (r"^urinary bladder$", "bladder"),
    (r"^spinal cord$", "spinal canal"),
)
"""What a label is called in the digital body, from its name with spaces; every rule is applied in turn."""
PARTS = {"kidneys": ("left kidney cortex", "right kidney cortex"), "liver": ("liver",), "spleen": ("spleen",)}
"""Organs whose mass decides their kinetics."""


@frozen(eq=False)
class LabelledAnatomy:
    """What a labelled CT says of a body; it is the same for every seed.

    Parameters
    ----------
    organs
        In painting order, in the reference posture of the digital body.
    field_mm
        Extent of the CT there: x, y, z from and to. [mm]
    cut
        Names of the regions that reach the border of the CT.
    painted_g
        Mass of the organs whose kinetics follow from it, as far as they are in the CT. [g]
    """

    organs: tuple[Organ, ...]
    source: str
    field_mm: Field
    cut: tuple[str, ...]
    painted_g: FrozenMap[str, float] = field(converter=frozen_map)

    @property
    def cut_organs(self) -> tuple[str, ...]:
        """Organs with kinetics of their own that are not whole."""
        return tuple(name for name, parts in PARTS.items() if set(parts) & set(self.cut))

    def body(self, seed: int) -> Body:
        """Draw a person with this anatomy: masses are those of the CT, of cut organs at least what is in it."""
        drawn = sample_body(seed)
        masses = dict(drawn.masses_g)
        for name, mass in self.painted_g.items():
            masses[name] = max(masses[name], mass) if name in self.cut_organs else mass
        return evolve(drawn, masses_g=FrozenMap(masses), build=Build(), given=self.organs, given_source=self.source)

    def within(self, size: Size) -> Size:
        """Field of view that shows the whole breadth of the body, and no height that the CT does not reach.

        Raises
        ------
        InputError
            If next to nothing is left.
        """
        (x0, x1), (y0, y1), (z0, z1) = self.field_mm
        (a0, a1), (b0, b1), (c0, c1) = size.field_mm
        low, high = max(c0, z0 + MARGIN_MM), min(c1, z1 - MARGIN_MM)
        if high - low < SHORTEST_MM:
            raise InputError(
                f"a CT from {z0:.0f} to {z1:.0f} mm above the space between L1 and L2",
                required=f"{SHORTEST_MM + 2 * MARGIN_MM:g} mm of the trunk around it",
            )
        return evolve(size, field_mm=((min(a0, x0), max(a1, x1)), (min(b0, y0), max(b1, y1)), (low, high)))


def read_anatomy(ct: Path, labels: Path, names: Path | str | None = None) -> LabelledAnatomy:
    """Read a CT and its label map from NIfTI files on one grid.

    Parameters
    ----------
    names
        Table of numbers and names, or the name of a shipped one; None takes those in the file.

    Raises
    ------
    InputError
        If one of the files cannot be used.
    GridMismatch
        If they are on different grids.
    """
    table = None if names is None else read_label_names(names)
    found = read_label_map(labels, table)
    if not found.value:
        raise InputError("; ".join(f.text for f in found.findings), required="a label map")
    return anatomy_of(read_nifti(ct, Unit.HU), found.value, f"labelled CT {ct.name}")


def anatomy_of(ct: Volume, labels: Sequence[Region], source: str) -> LabelledAnatomy:
    """Bring a labelled CT into the frame of the digital body: between L1 and L2 at the origin, the back on the table.

    Raises
    ------
    InputError
        If L1, L2 or the liver are not among the labels, or the slices are not axial.
    GridMismatch
        If a label is on another grid than the CT.
    """
    for region in labels:
        region.grid.require_match(ct.grid, f"label {region.name} and the CT")
    axis = ct.grid.affine_lps_mm[:3, 2] / ct.grid.spacing_mm[2]
    if abs(axis[2]) < AXIAL_COSINE:
        raise InputError(f"slices along {axis.round(2)}", required="axial slices", do="reorient CT and labels")
    named = [evolve(region, name=painted_name(region.name)) for region in labels]
    there = {region.name for region in named}
    if missing := [name for name in ("vertebra L1", "vertebra L2", "liver") if name not in there]:
        raise InputError(
            f"the labels do not name {', '.join(missing)}",
            required="vertebrae L1 and L2, and the liver",
            do="give the table of names of this label map",
        )
    mask = body_mask(ct)
    moved = _shifted(ct.grid, _shift_mm(ct.grid, mask, named))
    ct, named = evolve(ct, grid=moved), [evolve(region, grid=moved) for region in named]
    cut = tuple(sorted({region.name for region in named if _reaches_border(region)}))
    organs = list(body_from_labels(ct, named, source).organs)
    for region in named:
        if region.name.startswith("vertebra ") and region.name not in cut:
            organs += _marrow(region, ct, organs)
    density = {organ.name: organ.density_g_per_ml for organ in organs}
    grams = {
        name: sum(region.volume_ml * density[region.name] for region in named if region.name in parts)
        for name, parts in PARTS.items()
        if set(parts) <= there
    }
    return LabelledAnatomy(tuple(organs), source, _field_mm(moved, mask), cut, FrozenMap(grams))


def painted_name(label: str) -> str:
    """Name that the digital body has for a label: `kidney_left` is `left kidney cortex`."""
    name = label.replace("_", " ")
    for pattern, replacement in NAMES:
        name = re.sub(pattern, replacement, name)
    return name


def _marrow(vertebra: Region, ct: Volume, organs: Sequence[Organ]) -> tuple[Organ, ...]:
    """Make what lies below the outer layer of a vertebra."""
    shape = next(organ.shape for organ in organs if organ.name == vertebra.name)
    name = vertebra.name.replace("vertebra", "marrow")
    return (Organ(name, Offset(name, shape, CORTEX_MM), own_tissue(evolve(vertebra, name=name), ct)),)


def _shift_mm(grid: Grid, mask: npt.NDArray[np.bool_], named: Sequence[Region]) -> npt.NDArray[np.float64]:
    """Vector that moves the body to the place of the digital one. [mm] (3,)"""
    lumbar = [region.centroid_lps_mm for region in named if region.name in ("vertebra L1", "vertebra L2")]
    x, _, z = np.mean(lumbar, axis=0)
    inside = grid.to_lps_mm(np.argwhere(mask))
    back = float(inside[np.abs(inside[:, 2] - z) < BACK_HEIGHT_MM, 1].max())
    return np.array([-x, TABLE_MM - back, -z])


def _shifted(grid: Grid, by_mm: npt.NDArray[np.float64]) -> Grid:
    affine = grid.affine_lps_mm.copy()
    affine[:3, 3] += by_mm
    return evolve(grid, affine_lps_mm=affine)


def _field_mm(grid: Grid, mask: npt.NDArray[np.bool_]) -> Field:
    """Extent of the body with air around it, and of the CT along it. [mm]"""
    inside = grid.to_lps_mm(np.argwhere(mask))
    low, high = inside.min(axis=0) - AIR_MM, inside.max(axis=0) + AIR_MM
    ends = grid.to_lps_mm(np.array([(0, 0, 0), grid.shape]) - [(0,) * 3, (1,) * 3])[:, 2]
    (x0, y0, _), (x1, y1, _) = low.tolist(), high.tolist()
    return (x0, x1), (y0, y1), (float(ends.min()), float(ends.max()))


def _reaches_border(region: Region) -> bool:
    return any(s.start == 0 or s.stop == n for s, n in zip(region.box, region.grid.shape, strict=True))

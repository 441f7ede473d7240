"""Size of one lesion in one image, and whether RECIST 1.1 would call it measurable."""

from __future__ import annotations

import numpy as np
from attrs import evolve

from lutra.core.errors import InputError, OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity, few
from lutra.core.region import Region
from lutra.core.response import DiameterPair
from lutra.imaging.diameters import diameters_by_part, longest_axial_diameter
from lutra.imaging.lines import check_lines
from lutra.imaging.orientation import axial_region, is_axial
from lutra.imaging.smooth_outline import parts_of_region

MEASURABLE_MM = 10.0
"""Least longest diameter of a measurable lesion on slices of up to 5 mm [eisenhauer2009]."""
THICK_SLICE_MM = 5.0
"""On thicker slices a measurable lesion is at least two slices long [eisenhauer2009]."""
READER_ERROR_MM = 2.0
"""Two readers differ by 1.5 to 2 mm on one lesion: a line of a person that differs by more measures something else."""


def measure_diameters(region: Region, edited: DiameterPair | None = None) -> Outcome[DiameterPair]:
    """Measure the longest axial diameter and the perpendicular short axis.

    A line that a person drew stands in place of the program's; if it cannot be a diameter in this image, neither stands. A
    lesion in several parts is measured by the longest line of one of them: whether the parts are added, as RECIST 1.1 does
    with a lesion that has split, is for who assesses the course. Regions on coronal, sagittal or oblique slices are cut into
    axial ones first.

    Validity: the outline is the author's. Readers differ by 1.5 to 2 mm on the same lesion, which no Finding can show.

    Parameters
    ----------
    edited
        Lines of a person, in patient coordinates of the image the region is on.

    References
    ----------
    [eisenhauer2009] Eisenhauer et al., Eur J Cancer 45:228.
    """
    slice_mm = region.grid.spacing_mm[2]
    evidence = {"region": region.name, "slice spacing": f"{slice_mm:.3g} mm"}
    if edited is not None:
        try:
            check_lines(edited, region.grid)
        except InputError as error:
            text = f"the line of {edited.drawn_by or 'nobody'} on “{region.name}” cannot stand: {error}"
            return Outcome(None, (Finding(Severity.ERROR, "response.line-refused", text, evidence),))
    measured = _measured(region, evidence)
    diameters = edited or measured.value
    if diameters is None:
        return measured
    findings = list(measured.findings) if edited is None else _edited(region, edited, measured.value, evidence)
    size = f"“{region.name}” measures {diameters.long_mm:.1f} mm"
    if slice_mm > THICK_SLICE_MM and diameters.long_mm < 2 * slice_mm:
        text = (
            f"{size} on slices {slice_mm:.3g} mm apart. Required on slices above {THICK_SLICE_MM:g} mm: at least "
            f"two slices, {2 * slice_mm:.3g} mm. It is not measurable by RECIST 1.1; use an image with thinner slices."
        )
        findings.append(Finding(Severity.WARNING, "response.slice-too-thick", text, evidence))
    elif diameters.long_mm < MEASURABLE_MM:
        text = f"{size}, below the {MEASURABLE_MM:g} mm from which RECIST 1.1 calls a lesion measurable."
        findings.append(Finding(Severity.INFO, "response.below-measurable", text, evidence))
    return Outcome(diameters, findings)


def _measured(region: Region, evidence: dict[str, str]) -> Outcome[DiameterPair]:
    """Measure without a person."""
    findings = []
    axial = region
    if not is_axial(region.grid):
        axial = axial_region(region)
        text = (
            f"“{region.name}” is on slices that are not axial, {region.grid.spacing_mm[2]:.3g} mm apart. It was cut into axial "
            f"slices on voxels of {' × '.join(f'{mm:.3g}' for mm in axial.grid.spacing_mm)} mm, and no end of a line is known "
            "better than these. An image with axial slices would measure it directly."
        )
        findings.append(Finding(Severity.WARNING, "response.cut-to-axial", text, evidence))
    try:
        diameters = longest_axial_diameter(axial)
        parts = diameters_by_part(axial) if len(parts_of_region(axial)) > 1 else ()
    except OutsideValidity as error:
        return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "response.no-diameter", str(error), evidence)))
    if axial is not region:
        k = round(float(region.grid.to_ijk(diameters.long_ends_lps_mm)[:, 2].mean()))
        diameters = evolve(diameters, slice_k=int(np.clip(k, 0, region.grid.shape[2] - 1)))
    if len(parts) > 1:
        sizes, total_mm = few([f"{part.long_mm:.1f}" for part in parts]), sum(part.long_mm for part in parts)
        text = (
            f"“{region.name}” is in {len(parts)} parts that touch nowhere; reported is the longest, {diameters.long_mm:.1f} mm. "
            f"RECIST 1.1 adds the parts of a lesion that has split: {sizes} mm, in all {total_mm:.1f} mm."
        )
        findings.append(Finding(Severity.INFO, "response.several-parts", text, evidence))
    return Outcome(diameters, findings)


def _edited(
    region: Region, edited: DiameterPair, measured: DiameterPair | None, evidence: dict[str, str]
) -> list[Finding]:
    """Say what a reader of the report must know of a line that a person drew."""
    findings = []
    if not is_axial(region.grid):
        text = (
            f"the line of {edited.drawn_by} on “{region.name}” lies in a slice that is not axial. RECIST 1.1 measures in axial "
            "slices; draw it on an axial image."
        )
        findings.append(Finding(Severity.WARNING, "response.line-not-axial", text, evidence))
    if measured is None:
        return findings
    compared = [
        ("longest diameter", edited.long_mm, measured.long_mm),
        ("short axis", edited.short_mm, measured.short_mm),
    ]
    different = [each for each in compared if abs(each[1] - each[2]) > READER_ERROR_MM]
    if different:
        lengths = ", ".join(f"{what} {own:.1f} mm for {program:.1f} mm" for what, own, program in different)
        text = (
            f"{edited.drawn_by} and the program differ on “{region.name}” by more than two readers do ({READER_ERROR_MM:g} mm): "
            f"{lengths}. The line of {edited.drawn_by} stands; check that it and the outline are the same lesion."
        )
        findings.append(Finding(Severity.WARNING, "response.line-differs", text, evidence))
    return findings

"""Size of one lesion in one image, and whether RECIST 1.1 would call it measurable."""

from __future__ import annotations

from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import Region
from lutra.core.response import DiameterPair
from lutra.imaging.diameters import longest_axial_diameter

MEASURABLE_MM = 10.0
"""Least longest diameter of a measurable lesion on slices of up to 5 mm [eisenhauer2009]."""
THICK_SLICE_MM = 5.0
"""On thicker slices a measurable lesion is at least two slices long [eisenhauer2009]."""


def measure_diameters(region: Region) -> Outcome[DiameterPair]:
    """Measure the longest axial diameter and the perpendicular short axis.

    Validity: the outline is the author's. Readers differ by 1.5 to 2 mm on the same lesion, which no Finding can show.

    References
    ----------
    [eisenhauer2009] Eisenhauer et al., Eur J Cancer 45:228.
    """
    slice_mm = region.grid.spacing_mm[2]
    evidence = {"region": region.name, "slice spacing": f"{slice_mm:.3g} mm"}
    try:
        diameters = longest_axial_diameter(region)
    except OutsideValidity as error:
        return Outcome(None, (Finding(Severity.UNDETERMINED, "response.no-diameter", str(error), evidence),))
    findings = []
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

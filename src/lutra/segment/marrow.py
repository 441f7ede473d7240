"""Red marrow of the lumbar spine: inside the bodies of L2 to L4, away from disease.

The image-based marrow dose of 177Lu-octreotate rests on the activity concentration in vertebral bodies without metastases
[hagmarker2019]. A vertebra has a body, which holds the marrow, and an arch of thin bone behind it. The body is the only part
thicker than twice :data:`BODY_CORE_MM`: worn down by that much the arch is gone, and what is left, grown back within the vertebra,
is the body (an opening with a ball), whatever the posture. A body that is no thicker, as one that has collapsed, is not found.

References
----------
[hagmarker2019] Hagmarker et al., J Nucl Med 60:1406 (2019), doi 10.2967/jnumed.118.225235.
"""

from __future__ import annotations

from attrs import evolve

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.region import ConceptCode, Region, RegionKind
from lutra.imaging.labels import largest_part
from lutra.reference.region_names import table
from lutra.segment.algebra import difference, dilated, eroded, intersection, union
from lutra.segment.doubts import doubt
from lutra.segment.settings import SegmentSettings

LEVELS = ("L2", "L3", "L4")
NAME = "marrow L2-L4"
BONE_MARROW = ConceptCode("14016003", "SCT", "Bone marrow")
BODY_CORE_MM = 8.0
"""Lumbar bodies are 25 to 30 mm high, 33 mm deep and 45 mm wide, pedicles, laminae and processes at most 12 mm thick. [mm]"""
EDGE_MM = 3.0
"""The core is grown back by so much more, for a ball does not reach into the edges of the body; and as deep into the arch. [mm]"""
DISEASED = 0.5
"""A level that lesions reach more of is left out as a whole: the rest may be disease that nobody drew. [1]"""


def marrow_region(regions: tuple[Region, ...], settings: SegmentSettings) -> Outcome[Region]:
    """Make the region that marrow is measured in.

    Parameters
    ----------
    regions
        Everything on one image, all on its grid: vertebrae or their bodies, known by their codes, and lesions. Best on a CT; on
        the voxels of a SPECT the thickness of an arch is hardly seen.

    Returns
    -------
    Outcome
        Marrow of the levels that can be used; none, with the reason, if there are no lumbar vertebrae or too little is left.
        A level that is missing or diseased leaves a Finding.

    Raises
    ------
    GridMismatch
        If the regions are on different grids.
    OutsideValidity
        If the axes of the grid are not at right angles.
    """
    findings: list[Finding] = []
    lesions = [region for region in regions if region.kind is RegionKind.LESION]
    disease = union("lesions", *lesions) if lesions else None
    reach = dilated("reach of lesions", disease, settings.marrow_lesion_margin_mm) if disease else None
    usable = []
    for level in LEVELS:
        marrow = _of_level(level, regions, settings, findings)
        healthy = marrow and _without(marrow, reach, level, findings)
        usable += [(level, healthy)] if healthy else []
    if not usable:
        return Outcome(None, findings)
    whole = union(NAME, *(marrow for _, marrow in usable))
    assert whole is not None  # noqa: S101  (the parts are not empty)
    if whole.volume_ml < settings.marrow_minimum_ml:
        text = (
            f"{whole.volume_ml:.3g} mL of it are left in {', '.join(level for level, _ in usable)}, less than the "
            f"{settings.marrow_minimum_ml:g} mL that a mean needs (segment.marrow_minimum_ml), so there is no region. "
            "Take the marrow dose from the blood."
        )
        findings.append(doubt(Severity.UNDETERMINED, "segment.marrow-too-small", NAME, text, {}))
        return Outcome(None, findings)
    away = f", {settings.marrow_lesion_margin_mm:g} mm away from every lesion ({len(lesions)})" if lesions else ""
    source = f"bodies of {', '.join(level for level, _ in usable)}, {settings.marrow_erosion_mm:g} mm inside{away}; {whole.source}"
    return Outcome(evolve(whole, kind=RegionKind.ORGAN, code=BONE_MARROW, source=source), findings)


def vertebral_body(vertebra: Region) -> Region | None:
    """Body of a vertebra; None if no part of it is thicker than an arch."""
    core = eroded("core", vertebra, BODY_CORE_MM)
    if core is None:
        return None
    start, fraction = largest_part(core.start_ijk, core.fraction)
    grown = dilated("grown", evolve(core, start_ijk=start, fraction=fraction), BODY_CORE_MM + EDGE_MM)
    return grown and intersection(f"body of {vertebra.name}", vertebra, grown)


def _of_level(
    level: str, regions: tuple[Region, ...], settings: SegmentSettings, findings: list[Finding]
) -> Region | None:
    """Inner part of the body of one level."""
    code = next(row.code for row in table() if row.code and row.code.meaning == f"{level} vertebra")
    drawn = [region for region in regions if region.code and region.code.value == code.value]
    if len(drawn) != 1:
        text = f"{len(drawn) or 'no'} regions of this image are {level}; it is left out. Required: one, known by its name or code."
        severity = Severity.WARNING if drawn else Severity.INFO
        findings.append(
            doubt(severity, "segment.marrow-level-missing", NAME, text, {"level": level, "code": code.value})
        )
        return None
    body = vertebral_body(drawn[0])
    inner = body and eroded(level, body, settings.marrow_erosion_mm)
    if inner is None:
        text = (
            f"{drawn[0].name} has no body thicker than {2 * BODY_CORE_MM:g} mm with marrow {settings.marrow_erosion_mm:g} mm "
            f"inside: has it collapsed, or is only part of it drawn? {level} is left out."
        )
        findings.append(doubt(Severity.WARNING, "segment.marrow-no-body", NAME, text, {"level": level}))
    return inner


def _without(marrow: Region, reach: Region | None, level: str, findings: list[Finding]) -> Region | None:
    """Leave out what lesions reach; the level as a whole if that is most of it."""
    if reach is None:
        return marrow
    healthy = difference(level, marrow, reach)
    left = (healthy.volume_ml if healthy else 0.0) / marrow.volume_ml
    if left >= 1:
        return marrow
    evidence = {"level": level, "left": f"{left:.0%}"}
    if left < 1 - DISEASED:
        text = f"lesions reach {1 - left:.0%} of {level}, so all of it is left out."
        findings.append(doubt(Severity.WARNING, "segment.marrow-replaced", NAME, text, evidence))
        return None
    text = f"lesions reach {1 - left:.0%} of {level}; the rest is used."
    findings.append(doubt(Severity.INFO, "segment.marrow-lesion", NAME, text, evidence))
    return healthy

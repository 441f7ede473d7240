"""Findings about a region, worded alike wherever it came from."""

from __future__ import annotations

from collections.abc import Mapping

from lutra.core.finding import Finding, Severity


def doubt(severity: Severity, code: str, name: str, text: str, evidence: Mapping[str, str]) -> Finding:
    """Name the region, then say what is doubtful about it."""
    return Finding(severity, code, f"Region “{name}”: {text}", {"region": name, **evidence})


def unknown_name(name: str, evidence: Mapping[str, str]) -> Finding:
    """Neither name nor code is known."""
    text = (
        "the name is in no row of the table of region names, so it counts neither as a lesion nor as an organ. If it is a "
        "lesion, add a pattern to segment.lesion_name_patterns of the protocol."
    )
    return doubt(Severity.INFO, "segment.unknown-name", name, text, evidence)


def other_frame(name: str, drawn_in: str, image_in: str, evidence: Mapping[str, str]) -> Finding:
    """Drawn in a frame of reference that is not the image's."""
    text = (
        f"it was drawn in frame of reference {drawn_in or '(none given)'} and the image is in {image_in or '(none given)'} "
        "(0020,0052). Required: one frame. Draw it on this image, or register the two images."
    )
    return doubt(Severity.UNDETERMINED, "segment.other-frame", name, text, evidence)


def unusable(code: str, name: str, why: str, evidence: Mapping[str, str]) -> Finding:
    """No region could be made; the others go on."""
    return doubt(Severity.ERROR, code, name, f"no region was made: {why}.", evidence)

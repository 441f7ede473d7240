"""What speaks against identities, and what a reader should know of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import dist

from lutra.core.finding import Finding, Severity, few
from lutra.core.lesion import Sighting
from lutra.track.by_position import Image
from lutra.track.candidates import COMMON, Candidate
from lutra.track.evidence import by_name
from lutra.track.one_image import off_by
from lutra.track.settings import TrackSettings
from lutra.track.tracks import AFTER_EDIT, BY_NAME, BY_POSITION, Found, Track


def matched(tracks: Sequence[Track]) -> list[Finding]:
    """Tell which lesions hang together by their names, and which by place and size."""
    findings = []
    named = [t for t in tracks if any(f.matched_by == BY_NAME for f in t.found.values())]
    if named:
        lesions = ", ".join(f"{_called(t)} in {len(t.found)} images" for t in named)
        unchecked = any(not _in_one_frame(*pair) for t in named for pair in pairwise(_members(t)))
        position = (
            "Their positions could not all be compared, because images have different frames of reference and are not registered."
            if unchecked
            else "Their positions were compared."
        )
        text = f"Regions were taken as one lesion because their author gave them one name: {lesions}. {position}"
        findings.append(
            Finding(Severity.INFO, "track.matched-by-name", text, {t.lesion_id or "": t.name for t in named})
        )
    placed = [t for t in tracks if any(f.matched_by in {BY_POSITION, AFTER_EDIT} for f in t.found.values())]
    if placed:
        text = f"Regions were taken as one lesion by their place and size: {few([_called(t) for t in placed], 10)}."
        findings.append(
            Finding(Severity.INFO, "track.matched-by-position", text, {t.lesion_id or "": t.name for t in placed})
        )
    return findings


def same_name_twice(image: Image) -> list[Finding]:
    """Tell of names that do not identify a region in an image that is not registered."""
    if image.space == COMMON:
        return []
    return [_twice(same) for same in by_name(image.candidates).values() if len(same) > 1]


def registration_off(image: Image) -> Finding:
    """Tell that lesions are farther off than the registration says."""
    text = (
        f"The lesions of series {image.series_uid} are off by more than the error that its registration states; lesions were "
        "matched with twice that error. Check the registration."
    )
    return Finding(Severity.WARNING, "track.registration-off", text, {"series": image.series_uid})


def of_image(tracks: Sequence[Track], image: Image, settings: TrackSettings) -> list[Finding]:
    """Tell of matches in one image that could be wrong, and of lesions that fell apart or grew together."""
    findings = []
    uid = image.series_uid
    for track in tracks:
        found, there = track.found.get(uid), track.elsewhere.get(uid)
        if found and found.confidence is not None and found.confidence < settings.uncertain_below:
            findings.append(_uncertain(track, found))
        if found and found.matched_by == BY_NAME:
            far_mm = off_by(track, found, image, settings)
            findings += [_against_position(track, found, far_mm)] if far_mm is not None else []
        if there and there.sighting is Sighting.MERGED and _is_event(track, image):
            findings.append(_merged(track, there.into, uid))
        parts = [t for t in tracks if track in t.parents and uid in t.found]
        if there and there.sighting is Sighting.SPLIT and _is_event(track, image):
            findings.append(_split(track, parts, uid))
    return findings


def of_lesions(tracks: Sequence[Track], settings: TrackSettings) -> list[Finding]:
    """Tell what speaks against successive regions being one lesion."""
    doubts = []
    for track in tracks:
        for earlier, later in pairwise(_members(track)):
            evidence = {"lesion": track.lesion_id or "", "earlier": earlier.series_uid, "later": later.series_uid}
            name = f"Lesion {track.lesion_id} “{later.region_name}”"
            sizes = sorted((earlier.volume_ml, later.volume_ml))
            if sizes[1] > settings.volume_ratio * sizes[0]:
                text = (
                    f"{name} goes from {earlier.volume_ml:.3g} mL to {later.volume_ml:.3g} mL, "
                    f"more than {settings.volume_ratio:g}-fold. Check that both contours are the same lesion; "
                    "if not, rename one of them or say so in an edit."
                )
                doubts.append(Finding(Severity.WARNING, "track.volume-jump", text, evidence))
            shift_mm = dist(earlier.centroid_lps_mm, later.centroid_lps_mm)
            one_frame = earlier.frame_of_reference == later.frame_of_reference != ""
            if one_frame and shift_mm > settings.centroid_shift_mm:
                text = (
                    f"{name} moves by {shift_mm:.1f} mm between two images of one frame of "
                    f"reference, more than {settings.centroid_shift_mm:g} mm. Check that both contours are the same lesion; "
                    "if not, rename one of them or say so in an edit."
                )
                doubts.append(Finding(Severity.WARNING, "track.centroid-jump", text, evidence))
    return doubts


def _members(track: Track) -> list[Candidate]:
    return sorted((f.candidate for f in track.found.values()), key=lambda c: c.image)


def _called(track: Track) -> str:
    return f"{track.lesion_id} “{track.name}”"


def _in_one_frame(one: Candidate, other: Candidate) -> bool:
    registered = one.position_mm is not None and other.position_mm is not None
    return registered or one.frame_of_reference == other.frame_of_reference != ""


def _is_event(track: Track, image: Image) -> bool:
    """Whether a lesion changed its state in this image, and was not so before."""
    state = track.state(image.key)
    return state is None or isinstance(state, Found)


def _uncertain(track: Track, found: Found) -> Finding:
    c = found.candidate
    if isinstance(found.rival, Track):
        rival = f"lesion {_called(found.rival)}"
    elif found.rival is not None:
        rival = f"that the lesion is “{found.rival.region_name}” ({found.rival.volume_ml:.3g} mL)"
    else:
        rival = "another lesion" if not found.matched_by else "a new lesion"
    held = f"lesion {_called(track)}" if found.matched_by else f"a new lesion, {_called(track)}"
    text = (
        f"Region “{c.region_name}” ({c.volume_ml:.3g} mL) in series {c.series_uid} was taken as {held}; by place and size "
        f"{rival} is nearly as probable. Look at both, and confirm or correct it with an edit."
    )
    evidence = {
        "lesion": track.lesion_id or "",
        "series": c.series_uid,
        "region": c.region_name,
        "confidence": f"{found.confidence:.2f}",
        "alternative": rival,
    }
    return Finding(Severity.WARNING, "track.uncertain-match", text, evidence)


def _against_position(track: Track, found: Found, far_mm: float) -> Finding:
    c = found.candidate
    text = (
        f"Region “{c.region_name}” in series {c.series_uid} has the name of lesion {_called(track)}, but lies {far_mm:.0f} mm from "
        "where that is expected, farther than the registration's error explains. The name was followed. Check the name and the "
        "registration; if it is another lesion, say so in an edit."
    )
    evidence = {"lesion": track.lesion_id or "", "series": c.series_uid, "distance": f"{far_mm:.1f} mm"}
    return Finding(Severity.WARNING, "track.name-against-position", text, evidence)


def _merged(track: Track, into: Track | None, uid: str) -> Finding:
    mass = _called(into) if into else "another lesion"
    text = (
        f"Lesion {_called(track)} has grown together with {mass} in series {uid}. The mass is counted as the latter; sizes and "
        "doses before and after are not of the same tissue."
    )
    return Finding(Severity.WARNING, "track.merged", text, {"lesion": track.lesion_id or "", "series": uid})


def _split(track: Track, parts: Sequence[Track], uid: str) -> Finding:
    named = " and ".join(_called(part) for part in parts) or "parts"
    text = (
        f"Lesion {_called(track)} has fallen apart into {named} in series {uid}. Sizes and doses before and after are not of "
        "the same tissue."
    )
    return Finding(Severity.WARNING, "track.split", text, {"lesion": track.lesion_id or "", "series": uid})


def _twice(in_series: Sequence[Candidate]) -> Finding:
    name, uid = in_series[0].region_name, in_series[0].series_uid
    return Finding(
        Severity.WARNING,
        "track.same-name-twice",
        f"“{name}” names {len(in_series)} regions of one image, so the name does not identify them. They are kept "
        "as separate lesions, the largest first, and matched over time in that order. Give each lesion a name of its own.",
        {"name": name, "series": uid, "volumes": ", ".join(f"{c.volume_ml:.3g} mL" for c in in_series)},
    )

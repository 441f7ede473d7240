"""Which frames of reference are registered with which: a tree whose root is the reference, along the scanners' own bridges."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from attrs import frozen

from lutra.core.study import Role

ANCHORS = (Role.CT, Role.THERAPY_SPECT, Role.SSTR_PET, Role.FDG_PET, Role.OTHER_PET, Role.ADC, Role.DWI, Role.OTHER_MR)
"""What is registered where a frame holds several images, best first: anatomy, then what shows most of the body."""


@frozen
class FrameImage:
    """An image as the plan sees it.

    Parameters
    ----------
    frame
        Frame of reference (0020,0052).
    study_uid
        Session: what was scanned in one is taken to be one visit.
    at_s
        When it was acquired, on any clock; images of unknown time stand last. [s]
    extent_ml
        Volume of the field of view. [mL]
    """

    series_uid: str
    frame: str
    role: Role
    study_uid: str
    at_s: float
    extent_ml: float


@frozen
class Link:
    """Two images to register: the map takes points of the fixed frame to the moving one."""

    fixed: FrameImage
    moving: FrameImage


@frozen
class Plan:
    """The reference frame, and for every other frame the link that leads one step towards it."""

    reference: str
    links: Mapping[str, Link]

    def path(self, frame: str, goal: str | None = None) -> tuple[Link, ...]:
        """Links from a frame to `goal`, or to the reference; nothing if the way does not lead there."""
        end, path = goal or self.reference, []
        while frame != end:
            if frame not in self.links:
                return ()
            path.append(self.links[frame])
            frame = path[-1].moving.frame
        return tuple(path)


def plan_links(images: Sequence[FrameImage], drawn: Collection[str], by_hand: Mapping[str, str]) -> Plan | None:
    """Choose the reference frame and one link for every other frame.

    The reference is the earliest frame that has regions and a CT; failing that, the earliest with regions, with a CT, or
    at all. A frame without a CT goes by the CT of its session. A frame without regions goes to the nearest frame in time
    that has some, so that they come from the scan most like it; a frame with regions goes to the reference.

    Parameters
    ----------
    drawn
        Frames that have regions of their own.
    by_hand
        Frame and the frame it was aligned with by a person; this comes first.

    Returns
    -------
    Plan or None
        None if no image has a frame of reference.
    """
    anchors: dict[str, FrameImage] = {}
    for image in sorted(images, key=lambda i: (ANCHORS.index(i.role), -i.extent_ml, i.at_s, i.series_uid)):
        if image.frame:
            anchors.setdefault(image.frame, image)
    if not anchors:
        return None
    has_ct = {frame for frame, image in anchors.items() if image.role is Role.CT}
    reference = min(anchors, key=lambda f: (f not in drawn, f not in has_ct, anchors[f].at_s, anchors[f].series_uid))

    def nearest(frame: str, among: Collection[str]) -> str:
        here = anchors[frame]
        return min(among, key=lambda f: (abs(anchors[f].at_s - here.at_s), anchors[f].at_s, anchors[f].series_uid))

    def goal(frame: str) -> str:
        here, others = anchors[frame], set(anchors) - {frame}
        if by_hand.get(frame) in others:
            return by_hand[frame]
        session = {f for f in others & has_ct if anchors[f].study_uid == here.study_uid}
        if frame not in has_ct and session:
            return nearest(frame, session)
        with_regions = others & set(drawn)
        if frame in drawn or not with_regions:
            return reference
        alike = {f for f in with_regions if anchors[f].role is here.role}
        return nearest(frame, alike or (with_regions & has_ct) or with_regions)

    links: dict[str, Link] = {}
    for frame in sorted(set(anchors) - {reference}, key=lambda f: (f not in by_hand, anchors[f].at_s)):
        towards = goal(frame)
        # Maps by hand may point at each other: a link that closes a ring would lead nowhere.
        if _leads_to(towards, links, frame):
            towards = reference
        links[frame] = Link(anchors[frame], anchors[towards])
    return Plan(reference, links)


def _leads_to(start: str, links: Mapping[str, Link], goal: str) -> bool:
    while start in links:
        start = links[start].moving.frame
        if start == goal:
            return True
    return start == goal

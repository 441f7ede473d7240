"""What the authors of regions say of which is which: tracking UIDs, and names."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import groupby

from lutra.track.candidates import Candidate

ALWAYS_GENERIC = frozenset(
    {
        "roi", "voi", "region", "label", "segment", "contour", "structure", "object", "blob", "cluster", "component",
        "mask", "threshold", "isocontour", "volume", "unknown", "unnamed", "new", "untitled",
    }
)  # fmt: skip
"""Words that, with or without a number, count what was drawn and not what it is."""
GENERIC_ALONE = frozenset(
    {
        "lesion", "tumour", "tumor", "target", "gtv", "met", "meta", "metastasis", "mass", "nodule", "finding",
    }
)  # fmt: skip
"""Words that name no particular lesion without a number or a place. `lesion 3` does: readers number lesions."""


def normalised(name: str) -> str:
    """Reduce a name to its words: no case, no punctuation, one space."""
    return " ".join(re.sub(r"[\W_]+", " ", name.casefold()).split())


def specific(name: str) -> bool:
    """Tell whether a name can tell one lesion from another."""
    words = [re.sub(r"\d+$", "", word) for word in normalised(name).split()]
    bare = [word for word in words if word]
    if not bare or set(bare) <= ALWAYS_GENERIC:
        return False
    return any(c.isdigit() for c in name) or not set(bare) <= GENERIC_ALONE | ALWAYS_GENERIC


def by_name(candidates: Iterable[Candidate]) -> dict[str, list[Candidate]]:
    """Candidates of one image by their names, of one name the largest first."""
    ordered = sorted(candidates, key=lambda c: (normalised(c.region_name), *of_size(c)))
    return {name: list(same) for name, same in groupby(ordered, key=lambda c: normalised(c.region_name))}


def of_size(candidate: Candidate) -> tuple[object, ...]:
    """Sort the largest first, in an order that does not depend on the input."""
    return -candidate.volume_ml, candidate.centroid_lps_mm, candidate.region_digest


def named_once(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Candidates whose name tells them apart in their image."""
    times = Counter(normalised(c.region_name) for c in candidates)
    return [c for c in candidates if times[normalised(c.region_name)] == 1 and specific(c.region_name)]

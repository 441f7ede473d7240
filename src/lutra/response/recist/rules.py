"""RECIST 1.1 as pure functions from sums and states to categories.

References
----------
[eisenhauer2009] Eisenhauer et al., Eur J Cancer 45:228.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MEASURABLE_LONG_MM, MEASURABLE_NODE_SHORT_MM, NORMAL_NODE_SHORT_MM = 10.0, 15.0, 10.0
MAX_TARGETS, MAX_PER_ORGAN = 5, 2
PR_RATIO, PD_RATIO, PD_GROWTH_MM = 0.7, 1.2, 5.0
TOO_SMALL_MM = 5.0
"""Entered for a target that is seen and too small to measure."""
SD_AFTER_D = 42
"""Least time after the baseline at which SD counts as best response; six weeks, as is usual. [d]"""
ROUNDING = 1e-9


def choose_targets(lesions: Iterable[tuple[str, str, float, bool]]) -> tuple[str, ...]:
    """Choose the largest measurable lesions, at most two per organ and five in all.

    Parameters
    ----------
    lesions
        Identity, organ, size at baseline (short axis for nodes) and whether it may be measured at all, which bone
        without a soft-tissue part may not. [mm]
    """
    chosen: list[tuple[str, str]] = []
    for lesion_id, organ, size_mm, allowed in sorted(lesions, key=lambda x: (-x[2], x[0])):
        least = MEASURABLE_NODE_SHORT_MM if organ == "node" else MEASURABLE_LONG_MM
        room = len(chosen) < MAX_TARGETS and sum(o == organ for _, o in chosen) < MAX_PER_ORGAN
        if allowed and size_mm >= least and room:
            chosen.append((lesion_id, organ))
    return tuple(lesion_id for lesion_id, _ in chosen)


def target_response(sum_mm: float, baseline_mm: float, nadir_mm: float, *, complete: bool, all_gone: bool) -> str:
    """Return CR, PR, SD, PD or NE of the targets.

    Parameters
    ----------
    sum_mm
        Of the targets that were measured. [mm]
    nadir_mm
        Smallest complete sum before, the baseline included. [mm]
    complete
        Whether all targets were measured. If not, the measured ones may still prove PD.
    all_gone
        Every target absent, every node below 10 mm; then the sum need not be 0.
    """
    if complete and all_gone:
        return "CR"
    growth = sum_mm - nadir_mm
    if growth >= max(PD_GROWTH_MM, (PD_RATIO - 1) * nadir_mm) - ROUNDING:
        return "PD"
    if not complete:
        return "NE"
    return "PR" if sum_mm <= PR_RATIO * baseline_mm + ROUNDING else "SD"


def non_target_response(states: Sequence[str]) -> str | None:
    """Return CR, non-CR/non-PD, PD or NE of the others from `absent`, `present`, `unequivocal progression`, `not evaluated`.

    None if there are none.
    """
    if not states:
        return None
    if "unequivocal progression" in states:
        return "PD"
    if "not evaluated" in states:
        return "NE"
    return "CR" if all(s == "absent" for s in states) else "non-CR/non-PD"


def overall_response(target: str | None, non_target: str | None, *, new_lesion: bool) -> str:
    """Return the response of a visit; None for a class of lesions that the patient has not."""
    if "PD" in {target, non_target} or new_lesion:
        return "PD"
    if target is None:
        return non_target or "NE"
    if target == "CR":
        return "CR" if non_target in {None, "CR"} else "PR"
    return target


def best_response(visits: Sequence[tuple[float, str]]) -> str:
    """Best response of visits (day, overall response) until progression, without confirmation."""
    until_pd: list[tuple[float, str]] = []
    for day, response in visits:
        until_pd.append((day, response))
        if response == "PD":
            break
    for best in ("CR", "PR"):
        if any(r == best for _, r in until_pd):
            return best
    for stable in ("SD", "non-CR/non-PD"):
        counts = {stable, "CR", "PR"}
        if any(r in counts and day >= SD_AFTER_D for day, r in until_pd):
            return stable
    return "PD" if any(r == "PD" for _, r in until_pd) else "NE"

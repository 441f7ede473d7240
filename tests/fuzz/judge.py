"""Whether a number came out in silence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from .case import HONEST, REFUSED, SAME, TOLD, Case, Mutation
from .honest import honest
from .reading import Reading, concerns, nameless

DERIVED = {
    "total": {"image", "affine", "acquired_at", "decay_at", "suv"},
    "quantified": {"image", "affine", "acquired_at", "decay_at", "suv", "unit", "b_values"},
    "region_ml": {"contours", "affine"},
    "volumes": {"shape"},
}
"""Numbers worked out of others: judged where nothing they rest on has changed."""
TOLERANCE = 3e-6
"""Values are float32 and sums are of thousands of them."""

EXACT = 1e-12
"""Points of contours are read as they are written."""


@frozen
class Verdict:
    """What became of a case: the gravest fate of its numbers, and every fault."""

    fate: str
    faults: tuple[str, ...]


def judge(case: Case, mutation: Mutation, before: Reading, originals: Path, after: Reading, folder: Path) -> Verdict:
    """Compare the numbers before and after a mutation."""
    new = after.texts(folder) - before.texts(originals)
    told = {number for code, _ in new for number in concerns(code)}
    plain: dict[str, dict[str, Any]] | None = None
    fates, faults = [], [f"a refusal names no place: {text[:160]}" for text in nameless(after.findings)]
    pairs = _pairs(before, after)
    moved = any(not close(was.get("affine"), now.get("affine")) for _, was, now in pairs if was.get("affine"))
    for uid, was, now in pairs:
        changed: set[str] = {"affine"} if moved else set()
        for name in sorted(was.keys() | now.keys(), key=lambda n: (n in DERIVED, n)):
            old, value = was.get(name), now.get(name)
            if (old is None and value is None) or (DERIVED.get(name, set()) & changed):
                continue
            if value is None:
                reason = name in told or (name == "suv" and after.suv_reasons.get(uid))
                fate = REFUSED if reason else "gone without a reason"
            elif close(old, value, EXACT if name == "contours" else TOLERANCE):
                fate = SAME
            elif name in told:
                fate = TOLD
            else:
                plain = honest(folder) if plain is None else plain
                fate = HONEST if _same_planes(name, plain.get(uid, {}).get(name), value, now) else "silent"
            if fate != SAME:
                changed.add(name)
            fates.append(fate)
            faults += _faults(case, mutation, name, TOLD if fate == SAME and name in told else fate, old, value)
    order = [SAME, HONEST, TOLD, REFUSED]
    return Verdict(max((f for f in fates if f in order), key=order.index, default=SAME), tuple(faults))


def _same_planes(name: str, honest_value: Any, value: Any, now: dict[str, Any]) -> bool:
    """Equal; the planes of several volumes in any order, since only the volumes' marks tell it."""
    if name == "image" and isinstance(honest_value, list) and (now.get("volumes") or 1) > 1:
        return close(sorted(honest_value), sorted(value))
    return close(honest_value, value)


def _pairs(before: Reading, after: Reading) -> list[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Numbers of each series before and after; a series that came under another identifier is still that series."""
    gone, come = (sorted(a.numbers.keys() - b.numbers.keys()) for a, b in ((before, after), (after, before)))
    renamed = dict(zip(come, gone, strict=True)) if len(gone) == len(come) == 1 else {}
    uids = sorted((before.numbers.keys() | after.numbers.keys()) - set(renamed.values()))
    return [(uid, before.numbers.get(renamed.get(uid, uid), {}), after.numbers.get(uid, {})) for uid in uids]


def _faults(case: Case, mutation: Mutation, name: str, fate: str, old: Any, value: Any) -> list[str]:
    what = f"{name}: {_short(old)} became {_short(value)}"
    if name in case.expected and old is not None:
        wanted = case.expected[name](old)
        return [] if close(wanted, value) else [f"{what}, expected {_short(wanted)} ({fate})"]
    if fate in {"silent", "gone without a reason"}:
        return [f"{what}: {fate}"]
    must = mutation.must_refuse | ({"segments"} if "image" in mutation.must_refuse else set())
    if name in must and old is not None and fate not in {REFUSED, TOLD}:
        return [f"{what}: {fate}, must be refused or told"]
    if not close(old, value) and fate not in mutation.allowed and name not in case.expected:
        return [f"{what}: {fate}, allowed {sorted(mutation.allowed)}"]
    return []


def _short(value: Any) -> str:
    return str(value)[:90]


def close(a: Any, b: Any, tolerance: float = TOLERANCE) -> bool:
    """Equal, numbers within the rounding of sums."""
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        return a.keys() == b.keys() and all(close(a[k], b[k], tolerance) for k in a)
    if isinstance(a, str) or isinstance(b, str) or a is None or b is None:
        return bool(a == b)
    if isinstance(a, Sequence) and isinstance(b, Sequence):
        if len(a) != len(b):
            return False
        if any(isinstance(x, str) for x in (*a, *b)):
            return list(a) == list(b)
        size = max((abs(float(x)) for x in (*a, *b)), default=0.0)
        if not math.isfinite(size):
            return False
        return all(abs(float(x) - float(y)) <= tolerance * size for x, y in zip(a, b, strict=True))
    return math.isclose(a, b, rel_tol=tolerance, abs_tol=0)

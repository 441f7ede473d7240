"""Identities of a digital patient's lesions over treatment, against the events of its disease."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.simulate.course import LesionCourse
from lutra.simulate.disease import DiseaseCourse
from lutra.simulate.lesions import DigitalLesion
from lutra.simulate.response import Growth
from lutra.simulate.shapes import Blob
from lutra.track import Candidate

from .scans import found

DAYS = np.arange(0.0, 401.0)
VISITS = (0, 100, 200, 300, 400)


def course(
    n: int, place: tuple[float, float, float], radius_mm: float, per_day: float, from_day: int = 0
) -> LesionCourse:
    """A ball in the liver that grows or shrinks at one rate; nothing before it appears."""
    volume = 4 / 3 * np.pi * radius_mm**3 / 1000
    lesion = DigitalLesion(
        f"lesion {n}", f"lesion {n}", "liver", Blob(f"lesion {n}", place, radius_mm), None, 1, volume, 2 * radius_mm,
        2 * radius_mm, 0.0, 3.0, 1.2e-3, 0.3, 5.0, Growth(0.02, 0.03, 60.0, 0.0),
    )  # fmt: skip
    live = volume * np.exp(per_day * (DAYS - from_day)) * (from_day <= DAYS)
    return LesionCourse(lesion, DAYS, live, np.zeros_like(DAYS), np.zeros_like(DAYS))


@pytest.mark.parametrize("seed", range(4))
def test_a_digital_patient(seed: int) -> None:
    """Two grow together, one vanishes, one is new; the registration is off by 4 mm along each axis, names say nothing."""
    rng = np.random.default_rng(seed)
    places = ((0, 0, 0), (27, 0, 0), (60, 40, 10), (-50, 30, 60), (-20, -60, 30), (70, -40, -60), (-60, -30, -40))
    rates = (0.004, 0.003, -0.02, 0.001, -0.002, 0.0, 0.002)
    radii = (10, 9, 8, 12, 15, 7, 9)
    starts = (0, 0, 0, 0, 0, 0, 150)
    disease = DiseaseCourse(
        tuple(course(n, p, r, g, s) for n, (p, r, g, s) in enumerate(zip(places, radii, rates, starts, strict=True))),
        DAYS,
        None,
    )
    candidates, truth = [], {}
    for order, day in enumerate(VISITS):
        off = np.zeros(3) if order == 0 else rng.normal(0, 4, 3)
        for seen in disease.seen(day):
            parts = [places[int(name.split()[-1])] for name in seen.parts]
            weights = [disease.course(name).at(disease.course(name).volume_ml, day) for name in seen.parts]
            x, y, z = (float(mm) for mm in np.average(parts, axis=0, weights=weights) + off + rng.normal(0, 0.7, 3))
            digest = f"{order} {seen.lesion_id}"
            truth[digest] = seen.parts
            candidates.append(
                Candidate(
                    f"series {order}", order, digest, "ROI", float(sum(weights)), (x, y, z), f"frame {order}", (x, y, z),
                    0.0 if order == 0 else 4 * 3**0.5,
                )
            )  # fmt: skip
    assert {len(parts) for parts in truth.values()} == {1, 2}
    lesions = found(*candidates)
    whose = {o.region: le.lesion_id for le in lesions for o in le.observations if o.region}
    mass = {whose[digest] for digest, parts in truth.items() if len(parts) == 2}
    assert mass == {whose["0 lesion 0"]}
    for digest, parts in truth.items():
        first = next(d for d, p in truth.items() if parts[0] in p)
        assert whose[digest] == whose[first]
    assert len(lesions) == 7
    merged = next(le for le in lesions if le.lesion_id == whose["0 lesion 1"])
    assert [o.merged_into for o in merged.observations if o.merged_into] == [whose["0 lesion 0"]] * sum(
        len(p) == 2 for p in truth.values()
    )

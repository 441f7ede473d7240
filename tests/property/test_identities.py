"""Laws of lesion identities, on patients drawn at random whose regions have no names."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.core.grid import Grid
from lutra.core.lesion import Lesion, Lock, Sighting
from lutra.track import Candidate, ImageField, TrackSettings, identify

Patient = tuple[list[Candidate], list[ImageField]]
EXAMPLES = 25


@st.composite
def patients(draw: st.DrawFn) -> Patient:
    """Up to twelve lesions, crowded, in three to five images; some are missing in some, all are off by a few mm."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    scans, count = draw(st.integers(3, 5)), draw(st.integers(1, 12))
    places, volumes = rng.uniform(-60, 60, (count, 3)), rng.lognormal(1, 1, count)
    error_mm = draw(st.sampled_from([0.0, 3.0, 9.0]))
    candidates = []
    for n in range(scans):
        off = rng.normal(0, 1 + error_mm / 3**0.5, 3)
        for i in range(count):
            if rng.random() < 0.8:
                x, y, z = (float(mm) for mm in places[i] + off + rng.normal(0, 1, 3))
                volume = float(volumes[i] * rng.lognormal(0, 0.3))
                candidates.append(
                    Candidate(
                        f"s{n}",
                        n,
                        f"{n} {i}",
                        f"ROI {len(candidates)}",
                        volume,
                        (x, y, z),
                        f"f{n}",
                        (x, y, z),
                        error_mm,
                    )
                )
    affine = np.diag([4.0, 4, 4, 1])
    affine[:3, 3] = -100
    grid = Grid((50, 50, 50), affine)
    return candidates, [ImageField(f"s{n}", n, grid, np.eye(4), error_mm) for n in range(scans)]


def found(
    candidates: list[Candidate], images: list[ImageField], known: tuple[Lesion, ...] = (), locks: tuple[Lock, ...] = ()
) -> tuple[Lesion, ...]:
    lesions = identify(tuple(candidates), known, TrackSettings(), tuple(images), locks).value
    assert lesions is not None
    return lesions


def owners(lesions: tuple[Lesion, ...]) -> dict[str, str]:
    return {o.region: le.lesion_id for le in lesions for o in le.observations if o.region}


@settings(max_examples=EXAMPLES, deadline=None)
@given(patients(), st.randoms(use_true_random=False))
def test_the_order_of_the_input_does_not_matter(patient: Patient, random) -> None:  # type: ignore[no-untyped-def]
    candidates, images = patient
    shuffled, images_too = list(candidates), list(images)
    random.shuffle(shuffled)
    random.shuffle(images_too)
    one = identify(tuple(candidates), (), TrackSettings(), tuple(images))
    assert identify(tuple(shuffled), (), TrackSettings(), tuple(images_too)) == one


@settings(max_examples=EXAMPLES, deadline=None)
@given(patients())
def test_every_region_is_one_lesion_and_every_lesion_has_one_region_in_an_image(patient: Patient) -> None:
    candidates, images = patient
    lesions = found(candidates, images)
    seen = [o.region for le in lesions for o in le.observations if o.sighting is Sighting.SEEN]
    assert sorted(seen, key=str) == sorted(c.region_digest for c in candidates)
    assert all([o.series_uid for o in le.observations] == [f"s{n}" for n in range(len(images))] for le in lesions)


@settings(max_examples=EXAMPLES, deadline=None)
@given(patients())
def test_identifying_again_changes_nothing(patient: Patient) -> None:
    lesions = found(*patient)
    assert found(*patient, known=lesions) == lesions


@settings(max_examples=EXAMPLES, deadline=None)
@given(patients(), st.data())
def test_images_added_later_change_no_identity(patient: Patient, data: st.DataObject) -> None:
    """In any order, also before and between those there are."""
    candidates, images = patient
    order = data.draw(st.permutations(range(len(images))))
    known: tuple[Lesion, ...] = ()
    for count in range(1, len(order) + 1):
        there = set(order[:count])
        before = known
        known = found([c for c in candidates if c.acquired_order in there], [images[n] for n in there], before)
        assert owners(before).items() <= owners(known).items()
        assert [le.lesion_id for le in known][: len(before)] == [le.lesion_id for le in before]


@settings(max_examples=EXAMPLES, deadline=None)
@given(patients(), st.data())
def test_an_edit_taken_back_leaves_no_trace(patient: Patient, data: st.DataObject) -> None:
    candidates, images = patient
    free = found(candidates, images)
    if not candidates:
        return
    region = data.draw(st.sampled_from(candidates))
    lesion = data.draw(st.sampled_from([None, *(le.lesion_id for le in free)]))
    lock = Lock(region.series_uid, region.region_name, lesion, same=lesion is None or data.draw(st.booleans()))
    edited = found(candidates, images, locks=(lock,))
    own = owners(edited)[region.region_digest]
    if lesion is None:
        assert not any(
            o.region
            for le in edited
            if le.lesion_id == own
            for o in le.observations
            if o.series_uid < region.series_uid
        )
    else:
        assert (own == lesion) is lock.same
    assert found(candidates, images) == free
    assert owners(found(candidates, images, edited)) == owners(free)

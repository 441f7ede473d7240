"""Reads against the vectors of RECIST 1.1 and the stated reader error."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import UsageError
from lutra.response.recist.rules import (
    best_response,
    choose_targets,
    non_target_response,
    overall_response,
    target_response,
)
from lutra.simulate.progression import progression_free, sample_death, sample_mds, true_progression
from lutra.simulate.reads import TRUTH, ReadCourse, Reader, ReadLesion, VisitRead, read_course

DAYS = np.array([-30.0, 0, 100, 200, 300])


def lesion(name: str, *mm: float, organ: str = "liver", measurable: bool = True) -> ReadLesion:
    """Sizes on the days -30, 0, 100, 200, 300; nodes are as broad as long."""
    sizes = np.array([mm[0], *mm])
    return ReadLesion(name, organ, DAYS[: sizes.size], sizes, sizes if organ == "node" else 0.7 * sizes, measurable)


def read(*lesions: ReadLesion, reader: Reader = TRUTH, seed: int = 0) -> ReadCourse:
    n = max(x.days.size for x in lesions) - 1
    return read_course(lesions, [0, 100, 200, 300][:n], [reader], seed)


@pytest.mark.parametrize(
    ("now", "baseline", "nadir", "response"),
    [
        (63, 165, 165, "PR"),
        (65, 165, 63, "PR"),
        (23, 20, 20, "SD"),  # 15 %
        (13, 10, 10, "SD"),  # 30 %, but 3 mm
        (73, 100, 60, "PD"),  # below baseline, 22 % above the nadir
        (36, 100, 30, "PD"),  # PD is tested before PR
        (70, 100, 100, "PR"),
        (70.1, 100, 100, "SD"),
    ],
)
def test_target_vectors(now: float, baseline: float, nadir: float, response: str) -> None:
    assert target_response(now, baseline, nadir, complete=True, all_gone=False) == response


def test_two_nodes_of_nine_millimetres_are_complete_response() -> None:
    """The sum is 18 mm and not 0."""
    found = read(lesion("1", 20, 9, organ="node"), lesion("2", 18, 9, organ="node"))
    assert found.visits[1].sum_mm == 18
    assert found.visits[1].target == "CR"
    assert found.best == "CR"


def test_incomplete_targets_are_not_evaluable_unless_they_prove_progression() -> None:
    assert target_response(40, 100, 100, complete=False, all_gone=False) == "NE"
    assert target_response(121, 100, 100, complete=False, all_gone=False) == "PD"


@pytest.mark.parametrize(
    ("target", "non_target", "new", "overall"),
    [
        ("CR", "CR", False, "CR"),
        ("CR", None, False, "CR"),
        ("CR", "non-CR/non-PD", False, "PR"),
        ("CR", "NE", False, "PR"),
        ("PR", "NE", False, "PR"),
        ("SD", "non-CR/non-PD", False, "SD"),
        ("NE", "non-CR/non-PD", False, "NE"),
        ("PD", "CR", False, "PD"),
        ("PR", "PD", False, "PD"),
        ("CR", "CR", True, "PD"),
        (None, "CR", False, "CR"),
        (None, "non-CR/non-PD", False, "non-CR/non-PD"),
        (None, None, False, "NE"),
    ],
)
def test_overall_table(target: str | None, non_target: str | None, new: bool, overall: str) -> None:
    assert overall_response(target, non_target, new_lesion=new) == overall


def test_non_target_states() -> None:
    assert non_target_response([]) is None
    assert non_target_response(["absent", "absent"]) == "CR"
    assert non_target_response(["absent", "present"]) == "non-CR/non-PD"
    assert non_target_response(["present", "not evaluated"]) == "NE"
    assert non_target_response(["not evaluated", "unequivocal progression"]) == "PD"


def test_best_response_ends_with_progression_and_needs_time() -> None:
    assert best_response([(84, "SD"), (168, "PD"), (252, "PR")]) == "SD"
    assert best_response([(28, "SD"), (84, "PD")]) == "PD"
    assert best_response([(84, "NE")]) == "NE"


def test_targets_are_the_largest_two_per_organ_five_in_all() -> None:
    rows = [(f"liver {n}", "liver", 50.0 - n, True) for n in range(4)]
    rows += [
        ("node a", "node", 16.0, True),
        ("node b", "node", 14.9, True),
        ("bone", "bone", 45.0, False),
        ("lung", "lung", 10.0, True),
    ]
    assert choose_targets(rows) == ("liver 0", "liver 1", "node a", "lung")
    assert len(choose_targets([(o, o, 20.0, True) for o in "abcdefg"])) == 5


def test_nodes_count_by_short_axis() -> None:
    node = ReadLesion("n", "node", [0, 100], [30, 30], [16, 8])
    found = read_course([node], [0, 100], [TRUTH], 0)
    assert [v.sum_mm for v in found.visits] == [16, 8]
    assert found.visits[1].target == "CR"


def test_too_small_is_five_and_absent_is_zero() -> None:
    found = read(lesion("1", 20, 4, 1))
    assert [v.sum_mm for v in found.visits] == [20, 5, 0]
    assert [v.readings[0].state for v in found.visits] == ["measured", "too small", "absent"]
    assert found.visits[2].overall == "CR"


def test_nadir_is_the_smallest_sum_and_not_the_baseline() -> None:
    assert [v.overall for v in read(lesion("1", 100, 60, 73)).visits] == ["baseline", "PR", "PD"]


def test_new_lesion_is_progression_from_the_visit_it_is_seen() -> None:
    new = ReadLesion("new", "bone", [0, 99, 100, 200], [0, 0, 7, 9], [0, 0, 5, 7])
    found = read_course([lesion("1", 50, 40, 30), new], [0, 100, 200], [TRUTH], 0)
    assert [v.overall for v in found.visits] == ["baseline", "SD", "PD"]
    assert found.visits[2].new_lesion
    assert "new" not in found.targets


def test_unequivocal_growth_of_the_rest() -> None:
    """The third liver lesion is no target; from 30 to 42 mm is +40 % and more than 10 mm."""
    rest = (lesion("1", 60, 60), lesion("2", 55, 55))
    assert read(*rest, lesion("3", 30, 42)).visits[1].non_target == "PD"
    assert read(*rest, lesion("3", 30, 35)).visits[1].non_target == "non-CR/non-PD"


def test_lost_visits_and_lesions() -> None:
    """A lost visit is not there; a target that could not be judged makes the visit NE, and does not lower the nadir."""
    two = (lesion("1", 40, 40, 40), lesion("2", 40, 40, 40))
    found = read_course(two, [0, 100, 200], [TRUTH], 0, lost=[1])
    assert [v.visit for v in found.visits] == [0, 2]
    found = read_course(two, [0, 100, 200], [TRUTH], 0, not_evaluated=[(1, "2")])
    assert [v.overall for v in found.visits] == ["baseline", "NE", "SD"]
    assert found.visits[1].sum_mm is None
    assert found.change_at(1) is None
    assert found.change_at(2) == 0
    with pytest.raises(UsageError, match="baseline"):
        read_course(two, [0, 100], [TRUTH], 0, lost=[0])


def sizes(reader: str, seeds: range, visit: int = 0, **error: float) -> np.ndarray:
    """Readings of a lesion of 40 mm at two visits."""
    one = lesion("1", 40, 40)
    rows = [read_course([one], [0, 100], [Reader(reader, **error)], s).visits[visit].readings[0].long_mm for s in seeds]
    return np.array(rows, float)


def test_error_of_one_reader_and_of_two() -> None:
    """At 40 mm: two readings of one reader differ by sqrt(2) hypot(1.2, 1.6) = 2.83 mm; all readers err by hypot(1.2, 2.8) mm."""
    n = range(1500)
    same = sizes("A", n, 0) - sizes("A", n, 1)
    assert same.mean() == pytest.approx(0, abs=3.5 * 2.83 / np.sqrt(1500))
    assert same.std() == pytest.approx(np.sqrt(2) * np.hypot(1.2, 0.04 * 40), rel=0.06)
    assert (sizes("A", n) - 40).std() == pytest.approx(np.hypot(1.2, 0.07 * 40), rel=0.06)
    two = (sizes("A", n) - sizes("B", n)).std()
    assert two == pytest.approx(np.sqrt(2) * np.hypot(1.2, 0.07 * 40), rel=0.06)


def test_a_later_visit_changes_no_earlier_read() -> None:
    one, r = lesion("1", 40, 35, 30), Reader("A")
    assert read_course([one], [0, 100], [r], 3).visits == read_course([one], [0, 100, 200], [r], 3).visits[:2]


def test_readers_may_change_between_visits() -> None:
    found = read_course([lesion("1", 40, 40)], [0, 100], [Reader("A"), Reader("B")], 1)
    assert [v.reader for v in found.visits] == ["A", "B"]
    with pytest.raises(UsageError, match="3 readers for 2 visits"):
        read_course([lesion("1", 40, 40)], [0, 100], [TRUTH] * 3, 1)


def test_true_progression_is_the_day_the_sum_has_grown_by_a_fifth() -> None:
    """From 50 mm, +.1 mm a day: 60 mm after 100 days; scans are weekly, so day 105 at the latest."""
    growing = ReadLesion("1", "liver", [-30, 0, 300], [50, 50, 80], [40, 40, 60])
    found = true_progression([growing], 300)
    assert found is not None
    assert 100 <= found.day <= 105
    assert found.cause == "target growth"
    assert true_progression([lesion("1", 40, 40, 40)], 200) is None


def course(*responses: tuple[int, str]) -> ReadCourse:
    visits = [VisitRead(0, 0, "A", (), 50, "baseline")]
    visits += [VisitRead(day // 84, day, "A", (), 50, overall, target=overall) for day, overall in responses]
    return ReadCourse(("1",), tuple(visits))


PLANNED = [0, 84, 168, 252, 336]


@pytest.mark.parametrize(
    ("responses", "death", "until", "day", "event", "cause"),
    [
        (((84, "SD"), (168, "PD")), None, 999, 168, True, "target growth"),
        (((84, "SD"), (168, "SD")), 200.0, 999, 200, True, "death"),
        (((84, "SD"), (168, "PD")), 100.0, 999, 100, True, "death"),
        (((84, "SD"), (168, "SD")), None, 999, 168, False, "last evaluable scan"),
        (((84, "SD"), (168, "NE")), None, 999, 84, False, "last evaluable scan"),
        (((84, "SD"), (168, "PD")), None, 100, 84, False, "last evaluable scan"),
        (((84, "SD"), (336, "PD")), None, 999, 84, False, "target growth after 2 missed visits"),
        (((168, "PD"),), None, 999, 168, True, "target growth"),
        ((), None, 999, 0, False, "last evaluable scan"),
    ],
)
def test_progression_free_survival(
    responses: tuple[tuple[int, str], ...], death: float | None, until: float, day: float, event: bool, cause: str
) -> None:
    found = progression_free(course(*responses), PLANNED, death, until)
    assert (found.day, found.event, found.cause) == (day, event, cause)


def test_death_comes_late_unless_the_disease_progresses() -> None:
    """Two years after progression half are dead: binomial error 5 % with 400; without it 7 % in two years (.3 % a month)."""
    days = np.array([sample_death(100.0, s) for s in range(400)])
    assert np.mean(days < 100 + 730.5) == pytest.approx(0.5, abs=0.1)
    never = np.array([sample_death(None, s) for s in range(400)])
    assert np.mean(never < 730.5) == pytest.approx(0.07, abs=0.04)


def test_myelodysplasia_is_rare_and_late() -> None:
    days = [d for s in range(2000) if (d := sample_mds(s)) is not None]
    assert len(days) / 2000 == pytest.approx(0.02, abs=0.01)
    assert min(days) >= 270

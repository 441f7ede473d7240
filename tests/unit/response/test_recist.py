"""RECIST 1.1 case by case: each row of the tables and each special rule, by name."""

from __future__ import annotations

from datetime import date, timedelta
from itertools import permutations

import pytest
from attrs import evolve

from lutra.core.errors import InputError
from lutra.core.tumour import RecistTimepoint, TumourCourse, TumourLesion, TumourReading, TumourVisit
from lutra.response.recist import (
    EndpointSettings,
    Known,
    adjudicated,
    assess_course,
    check_baseline,
    disagreements,
    endpoints,
)

START = date(2026, 1, 1)
Sizes = dict[str, float | str]
"""Lesion and its size in mm, or its state."""


def course(*visits: Sizes) -> TumourCourse:
    """T: target, N: nodal target, X: non-target, Z: new. The first visit is the baseline."""
    names = [n for n in dict.fromkeys(name for visit in visits for name in visit) if n.isalnum() and n.upper() == n]
    kinds = {"T": "target", "N": "target", "X": "non-target", "Z": "new"}
    lesions = tuple(TumourLesion(n, kinds[n[0]], "", "N" in n) for n in names)
    done = []
    for number, visit in enumerate(visits):
        readings = tuple(
            TumourReading(n, state=size)
            if isinstance(size, str)
            else TumourReading(n, 2 * size if "N" in n else size, size if "N" in n else size / 2)
            for n, size in visit.items()
        )
        done.append(TumourVisit(number, f"visit {number}", START + timedelta(days=60 * number), readings))
    return TumourCourse("S", "R", lesions, tuple(done))


def assessed(*visits: Sizes) -> tuple[RecistTimepoint, ...]:
    value = assess_course(course(*visits)).value
    assert value is not None
    return value


X_THERE: Sizes = {"X1": "present"}
CASES: dict[str, tuple[list[Sizes], str]] = {
    # ---- targets alone ----
    "all targets gone": ([{"T1": 30, "T2": 20}, {"T1": "absent", "T2": "absent"}], "CR"),
    "a size of 0 is gone": ([{"T1": 30}, {"T1": 0}], "CR"),
    "nodes below 10 mm are gone with a sum above 0": ([{"N1": 20, "N2": 18}, {"N1": 9, "N2": 9}], "CR"),
    "a node of 10 mm is not gone": ([{"N1": 15, "T1": 30}, {"N1": 10, "T1": "absent"}], "PR"),
    "a node shrunk to normal and a lesion that stays": ([{"N1": 20, "T1": 20}, {"N1": 9, "T1": 20}], "SD"),
    "minus 30 % is PR": ([{"T1": 100}, {"T1": 70}], "PR"),
    "minus 29 % is SD": ([{"T1": 100}, {"T1": 71}], "SD"),
    "plus 20 % and 5 mm is PD": ([{"T1": 25}, {"T1": 30}], "PD"),
    "plus 20 % of less than 5 mm is SD": ([{"T1": 20}, {"T1": 24}], "SD"),
    "20 to 23 mm": ([{"T1": 20}, {"T1": 23}], "SD"),
    "10 to 13 mm: 30 % and 3 mm": ([{"T1": 10}, {"T1": 13}], "SD"),
    "plus 5 mm of less than 20 % is SD": ([{"T1": 100}, {"T1": 106}], "SD"),
    "unchanged": ([{"T1": 50}, {"T1": 50}], "SD"),
    "a small increase": ([{"T1": 50}, {"T1": 59}], "SD"),
    "two lesions that go apart": ([{"T1": 50, "T2": 50}, {"T1": 30, "T2": 70}], "SD"),
    "nodes count by their short axis": ([{"N1": 20}, {"N1": 13}], "PR"),
    # ---- nadir ----
    "PD is from the nadir": ([{"T1": 100}, {"T1": 60}, {"T1": 73}], "PD"),
    "PR goes on while the nadir is near": ([{"T1": 165}, {"T1": 63}, {"T1": 65}], "PR"),
    "36 mm after a nadir of 30": ([{"T1": 50}, {"T1": 30}, {"T1": 36}], "PD"),
    "PD is tested before PR": ([{"T1": 100}, {"T1": 20}, {"T1": 40}], "PD"),
    "the baseline can be the nadir": ([{"T1": 50}, {"T1": 55}, {"T1": 60}], "PD"),
    "a nadir of 0: a lesion that returns": ([{"T1": 30}, {"T1": "absent"}, {"T1": 6}], "PD"),
    "a nadir of 0 and less than 5 mm": ([{"T1": 30}, {"T1": "absent"}, {"T1": 4}], "PR"),
    "an incomplete sum is no nadir": ([{"T1": 50, "T2": 50}, {"T1": 20}, {"T1": 48, "T2": 48}], "SD"),
    # ---- too small, missing ----
    "too small counts 5 mm": ([{"T1": 20, "T2": 10}, {"T1": "too small", "T2": 10}], "PR"),
    "a single lesion too small": ([{"T1": 20}, {"T1": "too small"}], "PR"),
    "a target missing": ([{"T1": 50, "T2": 50}, {"T1": 30}], "NE"),
    "a target not evaluated": ([{"T1": 50, "T2": 50}, {"T1": 30, "T2": "not evaluated"}], "NE"),
    "the measured ones alone make PD": ([{"T1": 50, "T2": 50}, {"T1": 125}], "PD"),
    "all missing": ([{"T1": 50}, {"T1": "not evaluated"}], "NE"),
    "missing hides no new lesion": ([{"T1": 50, "T2": 50}, {"T1": 30, "Z1": "unequivocal"}], "PD"),
    "missing hides no progression of others": ([{"T1": 50, **X_THERE}, {"X1": "unequivocal progression"}], "PD"),
    # ---- split and merged ----
    "the parts of a lesion that split are added": ([{"T1": 50}, {"T1.1": 30, "T1.2": 31}], "PD"),
    "parts by letters": ([{"T1": 50}, {"T1a": 15, "T1b": 15}], "PR"),
    "a part too small counts 5 mm": ([{"T1": 50}, {"T1.1": 30, "T1.2": "too small"}], "PR"),
    "parts that are all gone": ([{"T1": 50}, {"T1.1": "absent", "T1.2": "absent"}], "CR"),
    "a part that is not evaluated": ([{"T1": 50}, {"T1.1": 20, "T1.2": "not evaluated"}], "NE"),
    "a part is no new lesion": ([{"T1": 50}, {"T1.1": 25, "T1.2": 25}], "SD"),
    "merged lesions count by the mass": ([{"T1": 30, "T2": 30}, {"T1/T2": 45}], "SD"),
    "a merged mass that shrank": ([{"T1": 30, "T2": 30}, {"T1/T2": 40}], "PR"),
    "a merged mass is not gone": ([{"T1": 30, "T2": 30, "T3": 20}, {"T1/T2": 5, "T3": "absent"}], "PR"),
    # ---- new nodes ----
    "a new node below 10 mm is none": ([{"T1": 50}, {"T1": 50, "ZN1": 9}], "SD"),
    "a new node of 10 mm is one": ([{"T1": 50}, {"T1": 50, "ZN1": 10}], "PD"),
    # ---- target and non-target ----
    "CR and others gone": ([{"T1": 30, **X_THERE}, {"T1": 0, "X1": "absent"}], "CR"),
    "CR and others still there": ([{"T1": 30, **X_THERE}, {"T1": 0, "X1": "present"}], "PR"),
    "CR and others not evaluated": ([{"T1": 30, **X_THERE}, {"T1": 0, "X1": "not evaluated"}], "PR"),
    "CR and others missing": ([{"T1": 30, **X_THERE}, {"T1": 0}], "PR"),
    "CR and others progressing": ([{"T1": 30, **X_THERE}, {"T1": 0, "X1": "unequivocal progression"}], "PD"),
    "PR and others there": ([{"T1": 30, **X_THERE}, {"T1": 20, "X1": "present"}], "PR"),
    "PR and others gone": ([{"T1": 30, **X_THERE}, {"T1": 20, "X1": "absent"}], "PR"),
    "PR and others not evaluated": ([{"T1": 30, **X_THERE}, {"T1": 20, "X1": "not evaluated"}], "PR"),
    "PR and others progressing": ([{"T1": 30, **X_THERE}, {"T1": 20, "X1": "unequivocal progression"}], "PD"),
    "SD and others there": ([{"T1": 30, **X_THERE}, {"T1": 30, "X1": "present"}], "SD"),
    "SD and others gone": ([{"T1": 30, **X_THERE}, {"T1": 30, "X1": "absent"}], "SD"),
    "SD and others not evaluated": ([{"T1": 30, **X_THERE}, {"T1": 30, "X1": "not evaluated"}], "SD"),
    "SD and others progressing": ([{"T1": 30, **X_THERE}, {"T1": 30, "X1": "unequivocal progression"}], "PD"),
    "NE and others gone": ([{"T1": 30, **X_THERE}, {"X1": "absent"}], "NE"),
    "PD and others gone": ([{"T1": 30, **X_THERE}, {"T1": 40, "X1": "absent"}], "PD"),
    "one other gone, one there": (
        [{"T1": 30, "X1": "present", "X2": "present"}, {"T1": 0, "X1": "absent", "X2": "present"}],
        "PR",
    ),
    # ---- non-targets alone ----
    "others alone, all gone": ([X_THERE, {"X1": "absent"}], "CR"),
    "others alone, there": ([X_THERE, {"X1": "present"}], "non-CR/non-PD"),
    "others alone, progressing": ([X_THERE, {"X1": "unequivocal progression"}], "PD"),
    "others alone, not evaluated": ([X_THERE, {"X1": "not evaluated"}], "NE"),
    "others alone, one missing": ([{"X1": "present", "X2": "present"}, {"X1": "absent"}], "NE"),
    # ---- new lesions ----
    "a new lesion with CR": ([{"T1": 30}, {"T1": 0, "Z1": "unequivocal"}], "PD"),
    "a new lesion with PR": ([{"T1": 30}, {"T1": 20, "Z1": "unequivocal"}], "PD"),
    "a new lesion with SD": ([{"T1": 30}, {"T1": 30, "Z1": 8}], "PD"),
    "a new lesion that is equivocal": ([{"T1": 30}, {"T1": 30, "Z1": "equivocal"}], "SD"),
    "a new lesion that is gone again": (
        [{"T1": 30}, {"T1": 30, "Z1": "unequivocal"}, {"T1": 30, "Z1": "absent"}],
        "SD",
    ),
    "a new lesion and others gone": ([X_THERE, {"X1": "absent", "Z1": "present"}], "PD"),
    "nothing was followed": ([{"T1": 30}, {}], "NE"),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name: str) -> None:
    visits, expected = CASES[name]
    assert assessed(*visits)[-1].overall == expected


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 60


def test_the_rule_names_what_it_saw() -> None:
    (_, last) = assessed({"T1": 100}, {"T1": 60}, {"T1": 73})
    assert last.rule == ("targets PD: sum 73.0 mm, -27.0% from baseline 100.0 mm, +13.0 mm (+21.7%) from nadir 60.0 mm")
    assert (last.sum_mm, last.nadir_mm) == (73.0, 60.0)


def test_without_a_baseline_there_is_no_response() -> None:
    outcome = assess_course(course({"T1": 30, "T2": "not evaluated"}, {"T1": 30, "T2": 20}))
    assert outcome.value is None
    assert [f.code for f in outcome.findings] == ["response.no-baseline-sum"]


# ---- what may not matter ----
def test_the_order_of_lesions_does_not_matter() -> None:
    for order in permutations(("T1", "T2", "N1")):
        sizes = {"T1": (50.0, 30.0), "T2": (40.0, 30.0), "N1": (20.0, 12.0)}
        first, second = ({n: sizes[n][i] for n in order} for i in (0, 1))
        assert assessed(first, second)[0].overall == "PR"


ORDER = ("CR", "PR", "SD", "non-CR/non-PD", "NE", "PD")


@pytest.mark.parametrize("name", CASES)
def test_another_lesion_that_is_not_evaluated_improves_no_response(name: str) -> None:
    """And where there was progression there still is."""
    visits, expected = CASES[name]
    found = assessed(*({**v, "X9": "not evaluated" if n else "present"} for n, v in enumerate(visits)))[-1].overall
    assert found == "PD" if expected == "PD" else ORDER.index(found) >= ORDER.index(expected)


@pytest.mark.parametrize("name", CASES)
def test_another_target_that_is_not_measured_improves_no_response(name: str) -> None:
    """Progression of the targets may no longer be proven, since nobody knows the sum; it then is not evaluable, never better."""
    visits, expected = CASES[name]
    found = assessed(*({**v, "T9": "not evaluated" if n else 20.0} for n, v in enumerate(visits)))[-1].overall
    assert found in {"PD", "NE"} if expected in {"PD", "non-CR/non-PD"} else ORDER.index(found) >= ORDER.index(expected)


# ---- endpoints ----
def visits(*responses: str, every: int = 30) -> list[tuple[date, str]]:
    return [(START + timedelta(days=every * (n + 1)), r) for n, r in enumerate(responses)]


BEST = {
    "a response that is confirmed": (("PR", "PR"), "PR", "PR"),
    "a response that nothing follows": (("SD", "PR"), "PR", "SD"),
    "a response confirmed over one NE": (("PR", "NE", "PR"), "PR", "PR"),
    "a response not confirmed over two NE": (("SD", "PR", "NE", "NE", "PR"), "PR", "SD"),
    "CR confirmed": (("PR", "CR", "CR"), "CR", "CR"),
    "PR confirmed by CR": (("PR", "CR"), "CR", "PR"),
    "SD too early is NE": (("SD",), "NE", "NE"),
    "SD late enough": (("SD", "SD"), "SD", "SD"),
    "PD at once": (("PD",), "PD", "PD"),
    "SD before PD": (("SD", "SD", "PD"), "SD", "SD"),
    "early SD before PD is PD": (("SD", "PD"), "PD", "PD"),
    "what comes after PD does not count": (("PD", "CR", "CR"), "PD", "PD"),
    "only others": (("NON-CR/NON-PD", "NON-CR/NON-PD"), "NON-CR/NON-PD", "NON-CR/NON-PD"),
    "nothing evaluable": (("NE", "NE"), "NE", "NE"),
    "no visit": ((), "MISSING", "MISSING"),
}


@pytest.mark.parametrize("name", BEST)
def test_best_response(name: str) -> None:
    responses, bor, confirmed = BEST[name]
    found = endpoints("S", "R", visits(*responses), Known(START), EndpointSettings())
    assert (found.bor, found.confirmed_bor) == (bor, confirmed)


def test_survival_counts_the_start_as_day_one() -> None:
    def pfs(*responses: str, death: int | None = None, **settings: object) -> tuple[int | None, bool | None]:
        died = None if death is None else START + timedelta(days=death)
        options = evolve(EndpointSettings(), **settings)  # type: ignore[arg-type]
        found = endpoints("S", "R", visits(*responses), Known(START, died), options)
        return found.pfs_days, found.pfs_event

    assert pfs("SD", "PD") == (61, True)
    assert pfs("SD", "SD") == (61, False)
    assert pfs("SD", "NE") == (31, False)
    assert pfs("SD", death=50) == (51, True)
    assert pfs("PD", death=50) == (31, True)
    assert pfs() == (1, False)
    assert pfs("SD", death=200, missed_visit_d=70) == (31, False)
    assert pfs("SD", death=200, missed_visit_d=70, censoring="EMA") == (201, True)
    undated = endpoints("S", "R", visits("SD", "SD"), Known(), EndpointSettings())
    assert (undated.bor, undated.pfs_days) == ("NE", None)


def day(n: int) -> date:
    return START + timedelta(days=n)


def test_another_therapy_ends_what_counts_under_fda_only() -> None:
    """PD on day 90 comes after another therapy on day 70: FDA censors at the last assessment before it, on day 60."""
    known = Known(START, therapy=day(70))
    fda = endpoints("S", "R", visits("SD", "SD", "PD"), known, EndpointSettings())
    ema = endpoints("S", "R", visits("SD", "SD", "PD"), known, EndpointSettings(censoring="EMA"))
    assert (fda.pfs_days, fda.pfs_event) == (61, False)
    assert (ema.pfs_days, ema.pfs_event) == (91, True)


def test_a_response_after_another_therapy_is_none_under_fda() -> None:
    known = Known(START, therapy=day(45))
    assert endpoints("S", "R", visits("SD", "PR"), known, EndpointSettings()).bor == "NE"
    assert endpoints("S", "R", visits("SD", "PR"), known, EndpointSettings(censoring="EMA")).bor == "PR"


def test_death_after_another_therapy_is_no_event_under_fda() -> None:
    known = Known(START, death=day(80), therapy=day(70))
    assert endpoints("S", "R", visits("SD", "SD"), known, EndpointSettings()).pfs_event is False
    assert endpoints("S", "R", visits("SD", "SD"), known, EndpointSettings(censoring="EMA")).pfs_event is True


def test_death_is_no_progression() -> None:
    found = endpoints("S", "R", visits("SD"), Known(START, death=day(50)), EndpointSettings())
    assert (found.pfs_days, found.pfs_event) == (51, True)
    assert (found.ttp_days, found.ttp_event) == (31, False)


def test_overall_survival_needs_a_death_or_a_day_alive() -> None:
    def survival(**known: date) -> tuple[int | None, bool | None]:
        found = endpoints("S", "R", visits("SD"), Known(START, **known), EndpointSettings())
        return found.os_days, found.os_event

    assert survival() == (None, None)
    assert survival(alive=day(400)) == (401, False)
    assert survival(death=day(300), alive=day(290)) == (301, True)


# ---- equivocal lesions ----
def test_an_equivocal_lesion_waits() -> None:
    (first,) = assessed({"T1": 50}, {"T1": 50, "Z1": "equivocal"})
    assert first.overall == "SD"
    assert "equivocal: Z1" in first.rule


def test_an_equivocal_lesion_that_becomes_sure_is_progression_from_when_it_was_first_seen() -> None:
    first, second, third = assessed(
        {"T1": 50}, {"T1": 50, "Z1": "equivocal"}, {"T1": 40, "Z1": "equivocal"}, {"T1": 40, "Z1": 12}
    )
    assert [t.overall for t in (first, second, third)] == ["PD", "PD", "PD"]
    assert first.new_lesion
    assert "back-dated: Z1 was equivocal here and is sure at visit 3" in first.rule
    kept = assess_course(course({"T1": 50}, {"T1": 50, "Z1": "equivocal"}, {"T1": 40, "Z1": 12}), back_date=False).value
    assert kept is not None
    assert [t.overall for t in kept] == ["SD", "PD"]


def test_an_equivocal_lesion_that_goes_away_was_none() -> None:
    assert [t.overall for t in assessed({"T1": 50}, {"T1": 50, "Z1": "equivocal"}, {"T1": 50, "Z1": "absent"})] == [
        "SD",
        "SD",
    ]


# ---- choice of targets ----
def doubts(*lesions: TumourLesion, sizes: tuple[float, ...], slice_mm: float | None = None) -> list[str]:
    readings = tuple(TumourReading(le.lesion, s, s) for le, s in zip(lesions, sizes, strict=True))
    visit = TumourVisit(0, "baseline", START, readings, slice_mm=slice_mm)
    return [f.code.removeprefix("response.") for f in check_baseline(TumourCourse("S", "R", lesions, (visit,)))]


def target(n: int, place: str = "liver", *, node: bool = False) -> TumourLesion:
    return TumourLesion(f"T{n}", "target", place, node)


def test_the_choice_of_targets() -> None:
    assert doubts(target(1), target(2), sizes=(30, 12)) == []
    assert doubts(target(1), sizes=(9.9,)) == ["target-not-measurable"]
    assert doubts(target(1, "LYMPH NODE", node=True), sizes=(14.9,)) == ["target-not-measurable"]
    assert doubts(target(1, "LYMPH NODE", node=True), sizes=(15,)) == []
    assert doubts(*(target(n) for n in (1, 2, 3)), sizes=(30, 30, 30)) == ["too-many-targets"]
    six = tuple(
        target(n, place) for n, place in enumerate(("liver", "lung", "spleen", "kidney", "pancreas", "skin"), 1)
    )
    assert doubts(*six, sizes=(30,) * 6) == ["too-many-targets"]
    assert doubts(target(1, "VERTEBRA"), sizes=(30,)) == ["bone-target"]
    assert doubts(target(1, "CYST OF LIVER"), sizes=(30,)) == ["cystic-target"]


def test_nodes_of_all_places_are_one_organ() -> None:
    nodes = tuple(target(n, place, node=True) for n, place in enumerate(("NODE, NECK", "NODE, LUNG", "NODE, AORTA"), 1))
    assert doubts(*nodes, sizes=(20, 20, 20)) == ["too-many-targets"]


def test_a_thick_slice_asks_for_two_of_them() -> None:
    assert doubts(target(1), sizes=(14,), slice_mm=5.0) == []
    assert doubts(target(1), sizes=(14,), slice_mm=8.0) == ["target-not-measurable"]
    assert doubts(target(1), sizes=(16,), slice_mm=8.0) == []


# ---- readers ----
def test_readers_who_differ_need_an_adjudicator() -> None:
    known, settings = Known(START), EndpointSettings()
    one = endpoints("S1", "A", visits("SD", "PR", "PR"), known, settings)
    other = endpoints("S1", "B", visits("SD", "SD", "PD"), known, settings)
    agreed = [endpoints("S2", r, visits("SD", "SD", "PD"), known, settings) for r in "AB"]
    ends = [one, other, *agreed]
    (finding,) = disagreements(ends)
    assert "S1: readers differ (A: PR, censored on day 91; B: SD, progression or death on day 91)" in finding.text
    with pytest.raises(InputError, match="nobody chose"):
        adjudicated(ends, {})
    with pytest.raises(InputError, match="'C' did not read"):
        adjudicated(ends, {"S1": "C"})
    assert adjudicated(ends, {"S1": "B"}) == (other, agreed[0])


def test_names_of_lesions_with_hyphens_are_not_taken_for_parts() -> None:
    lesions = (TumourLesion("INV-T01", "target"), TumourLesion("INV-T02", "target"))
    days = [
        TumourVisit(n, f"visit {n}", day(60 * n), tuple(TumourReading(le.lesion, size, size) for le in lesions))
        for n, size in enumerate((30.0, 15.0))
    ]
    (found,) = assess_course(TumourCourse("S", "R", lesions, tuple(days))).value or ()
    assert (found.overall, found.sum_mm) == ("PR", 30.0)

"""Headers in the manner of each maker, with the factor by hand; and that no rule of the table is left without one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import log
from typing import Any

import numpy as np
import pytest
from attrs import evolve

from lutra.core.finding import Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.study import DecayCorrection, Radiopharmaceutical, SeriesHeader, VolumeKey
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import decay_reference, suv_bw_factor, to_suv
from lutra.quantify.suv_cases import CASES

GIVEN = datetime(2026, 1, 12, 9, 0, tzinfo=UTC)
SCAN = GIVEN + timedelta(hours=1)
HALF_LIFE_S = 6586.2
AGENT = Radiopharmaceutical("F-18", "FDG", 3e8, GIVEN, HALF_LIFE_S)
BEDS = tuple(SCAN + timedelta(seconds=180 * n) for n in range(3))
MEAN_OF_120_S = 59.936854672596
"""Decay-weighted middle of a 120 s frame of 18F, as a Siemens scanner wrote it in (0054,1300). [s]"""
MEAN_SHARE_OF_1500_S = (1 - 2 ** (-1500 / HALF_LIFE_S)) / (1500 / HALF_LIFE_S * log(2))
"""Mean activity of 18F over 1500 s, relative to that at the start. [1]"""
LATER = SCAN + timedelta(hours=3)


def pet(**changes: Any) -> SeriesHeader:
    """70 kg, 300 MBq of 18F one hour before a scan whose series time is that of the scan."""
    identity: dict[str, Any] = dict.fromkeys(
        ("series_uid", "study_uid", "subject_id", "sop_class_uid", "description", "manufacturer", "model"), "1"
    )
    header = SeriesHeader(
        **identity,
        modality="PT",
        image_type=(),
        frame_of_reference="1",
        instances=(),
        stored_unit="BQML",
        decay_correction=DecayCorrection.START,
        corrected_image=("DECY", "ATTN"),
        series_started_at=SCAN,
        acquired_at=SCAN,
        slice_acquired_at=(SCAN,) * 3,
        frame_duration_s=120.0,
        radiopharmaceutical=AGENT,
        patient_weight_kg=70.0,
    )
    return evolve(header, **changes)


def by_hand(elapsed_s: float, activity_bq: float = 3e8) -> float:
    return 70_000 / (activity_bq * 2 ** (-elapsed_s / HALF_LIFE_S))


def residual(bq: float, at: datetime | None) -> Radiopharmaceutical:
    return evolve(AGENT, residual_activity_bq=bq, residual_measured_at=at)


def counts(**factors: float) -> dict[str, Any]:
    return {"stored_unit": "CNTS", "vendor_factors": FrozenMap(factors)}


NONE = {"decay_correction": DecayCorrection.NONE}
DETERMINED: dict[str, tuple[dict[str, Any], float, tuple[str, ...]]] = {
    "Siemens, one bed": ({"manufacturer": "SIEMENS"}, by_hand(3600), ("BQML", "start, series time")),
    "Siemens, several beds": (
        {"slice_acquired_at": BEDS[::-1], "series_started_at": SCAN - timedelta(seconds=2)},
        by_hand(3598),
        ("BQML", "start, series time"),
    ),
    "Canon, series time later": (
        {"manufacturer": "CANON_MEC", "series_started_at": LATER, "slice_acquired_at": BEDS},
        by_hand(3600),
        ("BQML", "start, acquisition time"),
    ),
    "Toshiba, no series time": (
        {"manufacturer": "TOSHIBA", "series_started_at": None},
        by_hand(3600),
        ("BQML", "start, acquisition time"),
    ),
    "UIH, made again": (
        {
            "manufacturer": "UIH",
            "series_started_at": LATER,
            "slice_acquired_at": BEDS,
            "slice_frame_reference_s": tuple(180.0 * n + MEAN_OF_120_S for n in range(3)),
            "slice_frame_duration_s": (120.0,) * 3,
        },
        by_hand(3600),
        ("BQML", "start, from frame reference time"),
    ),
    "GE, made again, frames counted to their start": (
        {
            "manufacturer": "GE MEDICAL SYSTEMS",
            "series_started_at": LATER,
            "acquired_at": BEDS[1],
            "slice_acquired_at": BEDS[1:],
            "slice_frame_reference_s": (180.0, 360.0),
            "slice_frame_duration_s": (120.0, 120.0),
        },
        by_hand(3600),
        ("BQML", "start, from frame reference time"),
    ),
    "GE, made again, one time for all beds": (
        {
            "manufacturer": "GE MEDICAL SYSTEMS",
            "series_started_at": LATER,
            "slice_frame_reference_s": (0.0, 180.0, 360.0),
            "slice_frame_duration_s": (120.0,) * 3,
        },
        by_hand(3600),
        ("BQML", "start, acquisition time"),
    ),
    "GE, made again, private scan time": (
        {"series_started_at": LATER, "scan_reference_at": SCAN - timedelta(seconds=30)},
        by_hand(3570),
        ("BQML", "start, private scan time"),
    ),
    "stated for the administration": (
        {"decay_correction": DecayCorrection.ADMIN},
        70_000 / 3e8,
        ("BQML", "admin"),
    ),
    "not decay corrected": (NONE, by_hand(3600 + MEAN_OF_120_S), ("BQML", "none")),
    "not decay corrected, unknown duration": (
        {**NONE, "frame_duration_s": None},
        by_hand(3600),
        ("BQML", "none, start of the frame"),
    ),
    "SPECT of 25 min in Bq/mL, not decay corrected": (
        {**NONE, "modality": "NM", "acquisition_duration_s": 1500.0, "frame_duration_s": 15.0},
        70_000 / (3e8 * MEAN_SHARE_OF_1500_S * 2 ** (-3600 / HALF_LIFE_S)),
        ("BQML", "none"),
    ),
    "Philips, SUV factor": (
        {**counts(philips_suv=7.28e-4), "radiopharmaceutical": None},
        7.28e-4,
        ("CNTS, SUV factor",),
    ),
    "Philips, activity factor": (
        counts(philips_activity=1.6),
        1.6 * by_hand(3600),
        ("CNTS, activity factor", "start, series time"),
    ),
    "Philips, activity factor beside a zero": (
        counts(philips_suv=0.0, philips_activity=1.6),
        1.6 * by_hand(3600),
        ("CNTS, activity factor", "start, series time"),
    ),
    "Philips, not decay corrected": (
        {**counts(philips_suv=7.28e-4, philips_activity=1.6), **NONE},
        1.6 * by_hand(3600 + MEAN_OF_120_S),
        ("CNTS, activity factor", "none"),
    ),
    "stored SUV": ({"stored_unit": "GML", "patient_weight_kg": None}, 1.0, ("GML",)),
    "stored SUV by body weight": ({"stored_unit": "GML", "suv_type": "BW"}, 1.0, ("GML",)),
    "residual in the syringe": (
        {"radiopharmaceutical": residual(10e6, GIVEN + timedelta(seconds=HALF_LIFE_S))},
        by_hand(3600, 3e8 - 20e6),  # one half-life after the administration it had halved
        ("BQML", "start, series time", "less residual"),
    ),
    "residual of unknown time": (
        {"radiopharmaceutical": residual(10e6, None)},
        by_hand(3600, 290e6),
        ("BQML", "start, series time", "less undated residual"),
    ),
}
BY_SLICE: dict[str, dict[str, Any]] = {
    "none, slice by slice": {**NONE, "slice_acquired_at": BEDS},
}
SPECT_COUNTS: dict[str, dict[str, Any]] = {
    "none, counts": {**NONE, "modality": "NM", "stored_unit": "CNTS", "acquisition_duration_s": 1500.0},
}
REFUSED: dict[str, tuple[dict[str, Any], str, str]] = {
    "PROPCPS": ({"stored_unit": "PROPCPS"}, "PROPCPS", "refused, other unit"),
    "surface": ({"stored_unit": "CM2ML"}, "CM2ML", "refused, other unit"),
    "no unit": ({"stored_unit": None}, "(0054,1001)", "refused, other unit"),
    "GE counts": ({"stored_unit": "CNTS", "manufacturer": "GE"}, "(7053,1009)", "refused, counts without a factor"),
    "Philips, both zero": (
        counts(philips_suv=0.0, philips_activity=0.0),
        "(7053,1000)",
        "refused, counts without a factor",
    ),
    "Philips, one factor for uncorrected beds": (
        {**counts(philips_suv=7e-4), **NONE, "slice_acquired_at": BEDS},
        "not decay corrected",
        "refused, counts without a factor",
    ),
    **{
        f"stored SUV, {kind}": (
            {"stored_unit": "GML", "suv_type": kind},
            kind,
            "refused, SUV of another type",
        )
        for kind in ("LBM", "LBMJAMES128", "LBMJANMA", "IBW", "BSA", "BW and LBM")
    },
    "decay correction": ({"decay_correction": None}, "(0054,1102)", "refused"),
    "acquisition": ({"acquired_at": None, "slice_acquired_at": ()}, "(0008,0032)", "refused"),
    "weight": ({"patient_weight_kg": None}, "(0010,1030)", "refused"),
    "weight in g": ({"patient_weight_kg": 70_000.0}, "(0010,1030) 70000 kg", "refused"),
    "weight zero": ({"patient_weight_kg": 0.0}, "(0010,1030)", "refused"),
    "activity": ({"radiopharmaceutical": evolve(AGENT, activity_bq=None)}, "(0018,1074)", "refused"),
    "half-life": ({"radiopharmaceutical": evolve(AGENT, half_life_s=None)}, "(0018,1075)", "refused"),
    "administration": ({"radiopharmaceutical": evolve(AGENT, administered_at=None)}, "(0018,1078)", "refused"),
    "series before the administration": (
        {"series_started_at": GIVEN - timedelta(minutes=5)},
        "before the administration",
        "refused",
    ),
    "administered the month before": (
        {"radiopharmaceutical": evolve(AGENT, administered_at=GIVEN - timedelta(days=30))},
        "half-lives",
        "refused",
    ),
    "series the month before": ({"series_started_at": SCAN - timedelta(days=30)}, "half-lives", "refused"),
    "not attenuation corrected": ({"corrected_image": ("DECY", "SCAT")}, "attenuation", "refused"),
    "residual above the activity": (
        {"radiopharmaceutical": residual(4e8, SCAN)},
        "4e+08",
        "refused, impossible residual",
    ),
    "residual before the administration": (
        {"radiopharmaceutical": residual(1e6, GIVEN - timedelta(hours=1))},
        "residual",
        "refused, impossible residual",
    ),
    "uncorrected frames in time": (
        {**NONE, "slice_acquired_at": BEDS, "volumes": (VolumeKey(time_slot=1), VolumeKey(time_slot=2))},
        "several volumes",
        "refused",
    ),
    "uncorrected beds of unknown duration": (
        {**NONE, "slice_acquired_at": BEDS, "frame_duration_s": None},
        "(0018,1242)",
        "refused",
    ),
}


@pytest.mark.parametrize("name", DETERMINED)
def test_factor_by_hand(name: str) -> None:
    changes, expected, cases = DETERMINED[name]
    factor = suv_bw_factor(pet(**changes))
    assert factor.value == pytest.approx(expected, rel=1e-9), factor.reason
    assert factor.case == ", ".join(cases)


@pytest.mark.parametrize("name", REFUSED)
def test_refused_by_name(name: str) -> None:
    changes, words, case = REFUSED[name]
    factor = suv_bw_factor(pet(**changes))
    assert (factor.value, factor.slice_values) == (None, ())
    assert words in factor.reason
    assert factor.case == case
    image = Volume(np.ones((2, 2, 3)), Grid((2, 2, 3), np.eye(4), "1"), Unit.STORED)
    outcome = to_suv(pet(**changes), image)
    assert outcome.value is None
    assert outcome.findings[-1].code == "quantify.no-suv"


def test_beds_without_decay_correction_have_a_factor_each() -> None:
    """Bed n starts 180 n s after the first; its mean activity is that of 59.94 s later."""
    factor = suv_bw_factor(pet(**BY_SLICE["none, slice by slice"]))
    assert factor.value is None
    assert factor.slice_values == pytest.approx([by_hand(3600 + 180 * n + MEAN_OF_120_S) for n in range(3)], rel=1e-9)
    assert factor.case == "BQML, none, slice by slice"
    grid = Grid((2, 2, 3), np.eye(4), "1")
    volume = to_suv(
        pet(**BY_SLICE["none, slice by slice"]), Volume(np.full((2, 2, 3), 1000.0), grid, Unit.STORED)
    ).value
    assert volume is not None
    assert volume.values[0, 1] == pytest.approx(np.array(factor.slice_values) * 1000, rel=1e-6)
    assert volume.decay_referenced_to is None
    assert decay_reference(pet(**BY_SLICE["none, slice by slice"])).value is None  # one instant does not exist


def test_counts_are_stated_for_the_start_of_counting() -> None:
    """Their conversion takes the decay while counting into account, once."""
    ((case, changes),) = SPECT_COUNTS.items()
    outcome = decay_reference(pet(**changes))
    assert outcome.value is not None
    assert (outcome.value.at, outcome.value.case) == (SCAN, case)
    assert outcome.findings == ()


def test_a_moving_bed_has_frames_of_different_length() -> None:
    durations = (60.0, 120.0, 180.0)
    factor = suv_bw_factor(pet(**NONE, slice_frame_duration_s=durations))
    assert factor.case == "BQML, none, slice by slice"
    assert factor.slice_values[1] == pytest.approx(by_hand(3600 + MEAN_OF_120_S), rel=1e-9)
    assert factor.slice_values[0] < factor.slice_values[1] < factor.slice_values[2]


def test_every_rule_of_the_table_has_a_header_here() -> None:
    seen = {case for _, _, cases in DETERMINED.values() for case in cases} | set(BY_SLICE) | set(SPECT_COUNTS)
    seen |= {case for _, _, case in REFUSED.values()} | {"as stated"}  # said by silence: no residual is named
    reasons = {"decay correction": "refused, decay correction unknown", "acquisition": "refused, no acquisition time"}
    seen |= {case for name, case in reasons.items() if name in REFUSED}
    assert {case.name for case in CASES} - seen == set()
    assert len({case.name for case in CASES}) == len(CASES)


def test_the_finding_names_the_rule() -> None:
    image = Volume(np.ones((2, 2, 3)), Grid((2, 2, 3), np.eye(4), "1"), Unit.STORED)
    outcome = to_suv(pet(), image)
    (rule,) = [f for f in outcome.findings if f.code == "quantify.suv-rule"]
    assert "'BQML, start, series time'" in rule.text


def test_a_value_out_of_range_is_no_number() -> None:
    image = Volume(np.full((2, 2, 3), 3e38), Grid((2, 2, 3), np.eye(4), "1"), Unit.STORED)
    assert to_suv(pet(**counts(philips_suv=1e10)), image).value is None


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        # 200 s of 18F: exp(ln 2 x 200 / 6586.2) - 1 = 2.1 %
        ({"scan_reference_at": SCAN + timedelta(seconds=200)}, "2.1%"),
        # the first bed's frame was 420 s after the start: 4.5 %
        (
            {
                "slice_acquired_at": BEDS,
                "slice_frame_reference_s": tuple(420 + 180.0 * n + MEAN_OF_120_S for n in range(3)),
                "slice_frame_duration_s": (120.0,) * 3,
            },
            "4.5%",
        ),
    ],
)
def test_another_witness_of_the_start_is_heard(changes: dict[str, Any], size: str) -> None:
    (doubt,) = suv_bw_factor(pet(**changes)).findings
    assert doubt.code == "quantify.decay-reference-contradiction"
    assert doubt.severity is Severity.WARNING
    assert size in doubt.text


def test_witnesses_that_agree_are_silent() -> None:
    changes = DETERMINED["UIH, made again"][0]
    assert suv_bw_factor(pet(**{**changes, "series_started_at": SCAN, "scan_reference_at": SCAN})).findings == ()


def test_two_factors_of_philips_that_contradict_each_other_are_a_doubt() -> None:
    agreeing = counts(philips_suv=by_hand(3600) * 1.6, philips_activity=1.6)
    assert suv_bw_factor(pet(**agreeing)).findings == ()
    factor = suv_bw_factor(pet(**counts(philips_suv=by_hand(3600) * 1.7, philips_activity=1.6)))
    assert [f.code for f in factor.findings] == ["quantify.suv-factors-disagree"]

"""Counts to activity by hand, which calibration applies, and whose error it carries."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import exp, hypot, log
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from lutra.core.calibration import (
    Calibration,
    CalibrationFile,
    CameraFactor,
    DeadTime,
    DoseCalibrator,
    RecoveryCurve,
)
from lutra.core.finding import Outcome, Severity
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind, RegionOrigin
from lutra.core.study import (
    Camera,
    DecayCorrection,
    EnergyWindow,
    Radiopharmaceutical,
    Role,
    SeriesHeader,
    VolumeKey,
)
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import (
    QuantifySettings,
    choose_calibration,
    choose_window,
    measure,
    role_of,
    scatter_share,
    summarise,
    to_activity,
)
from lutra.quantify.recovery import recovery_for

AT = datetime(2026, 2, 10, 9, 0, tzinfo=UTC)
HALF_LIFE_S = 574300.0
GRID = Grid((10, 10, 10), np.diag([4.0, 4, 4, 1]), "1")
PEAK, LOW, HIGH = EnergyWindow("208", 187.2, 228.8), EnergyWindow("low", 166.4, 187.2), EnergyWindow("up", 228.8, 249.6)
CAMERA = Camera("GE MEDICAL SYSTEMS", "Discovery NM/CT 670", "12345", "NM1", "MEGP")
FACTOR = CameraFactor(5.67, 0.09, "cps/MBq", "sphere")
CURVE = RecoveryCurve("hill", 4.0, 0.6, (0.16, 0.0009, 0.003), 0.02, 4, "sphere", 0.52, 26.5)


def header(**changes: Any) -> SeriesHeader:
    base = SeriesHeader(
        series_uid="1",
        study_uid="1",
        subject_id="x",
        modality="NM",
        sop_class_uid="",
        description="",
        manufacturer=CAMERA.manufacturer,
        model=CAMERA.model,
        image_type=(),
        frame_of_reference="1",
        instances=(),
        stored_unit="CNTS",
        decay_correction=DecayCorrection.START,
        corrected_image=("ATTN", "SCAT", "DECY"),
        acquired_at=AT,
        radiopharmaceutical=Radiopharmaceutical("Lu-177", None, 7.4e9, AT - timedelta(days=1), None),
        energy_windows=(PEAK,),
        camera=CAMERA,
        acquisition_duration_s=1800.0,
    )
    return evolve(base, **changes)


def file(name: str = "a.toml", day: int = 5, **changes: Any) -> CalibrationFile:
    base = CalibrationFile(
        name=name,
        sha256="00",
        measured_at=datetime(2026, 2, day, tzinfo=UTC),
        nuclide="Lu-177",
        camera=Camera(model=CAMERA.model),
        camera_factor=FACTOR,
    )
    return evolve(base, **changes)


def counts(total: float) -> Volume:
    return Volume(np.full(GRID.shape, total / 1000), GRID, Unit.STORED, AT)


def chosen(*files: CalibrationFile, of: SeriesHeader | None = None, **settings: Any) -> Outcome[Calibration]:
    return choose_calibration(of or header(), files, QuantifySettings(**settings))


def activity_mbq(of: SeriesHeader, total: float, calibration: Calibration) -> float:
    outcome = to_activity(of, counts(total), calibration)
    assert outcome.value is not None, outcome.findings
    assert outcome.value.unit is Unit.BQ_PER_ML
    return outcome.value.integral() / 1e6


# ---- counts to activity ----
def test_camera_factor_by_hand() -> None:
    """204 120 counts in 1800 s at 5.67 cps/MBq (GE Discovery, Santoro 2018) are 20.0 MBq."""
    assert activity_mbq(header(), 204_120, Calibration(FACTOR)) == pytest.approx(20.0, rel=1e-6)
    per_s = header(stored_unit="CPS", acquisition_duration_s=None)
    assert activity_mbq(per_s, 204_120 / 1800, Calibration(FACTOR)) == pytest.approx(20.0, rel=1e-6)


def test_dose_calibrator_by_hand() -> None:
    both = Calibration(FACTOR, DoseCalibrator(1.02, 0.01))
    assert activity_mbq(header(), 204_120, both) == pytest.approx(20.4, rel=1e-6)


def test_counts_that_nobody_corrected_for_decay_are_a_mean_over_the_scan() -> None:
    """A start activity of 20 MBq decays during 1800 s: the mean rate is 20 (1 - exp(-x))/x with x = 1800 ln2/T."""
    x = 1800 * log(2) / HALF_LIFE_S
    seen = 204_120 * (1 - exp(-x)) / x
    raw = header(decay_correction=DecayCorrection.NONE, corrected_image=("ATTN", "SCAT"))
    agent = evolve(raw.radiopharmaceutical, half_life_s=HALF_LIFE_S)  # type: ignore[arg-type]
    assert activity_mbq(evolve(raw, radiopharmaceutical=agent), seen, Calibration(FACTOR)) == pytest.approx(
        20, rel=1e-6
    )


def test_half_life_of_an_nm_image_is_that_of_its_nuclide() -> None:
    """NM headers have none. ADMIN, one day after the administration: exp(-0.00434499 x 24) = 0.900973."""
    admin = header(decay_correction=DecayCorrection.ADMIN)
    assert activity_mbq(admin, 204_120, Calibration(FACTOR)) == pytest.approx(20 * exp(-0.00434499 * 24), rel=1e-5)


def test_lost_counts_come_back() -> None:
    """True 4000 MBq at 60 cps/MBq and 0.5 us: n tau = 0.12, the image shows 4000 exp(-0.12) MBq."""
    dead = DeadTime(0.5e-6, 0.05e-6, 60.0, 3.0)
    seen = 4000 * exp(-0.12) * 5.67 * 1800
    assert activity_mbq(header(), seen, Calibration(FACTOR, dead_time=dead)) == pytest.approx(4000, rel=1e-6)
    too_many = to_activity(header(), counts(40 * seen), Calibration(FACTOR, dead_time=dead))
    assert too_many.value is None
    assert too_many.findings[-1].code == "quantify.dead-time-saturated"


@given(scale=st.floats(1e-3, 1e3))
def test_activity_is_proportional_to_counts(scale: float) -> None:
    assert activity_mbq(header(), 2e5 * scale, Calibration(FACTOR)) == pytest.approx(
        scale * activity_mbq(header(), 2e5, Calibration(FACTOR)), rel=1e-5
    )


@given(activity=st.floats(1, 20_000), tau_us=st.floats(0.05, 0.7))
def test_correction_is_the_inverse_of_the_loss(activity: float, tau_us: float) -> None:
    dead = DeadTime(tau_us * 1e-6, 0, 60.0, 0)
    busy = activity * 60 * tau_us * 1e-6  # at most 0.84
    seen = activity * exp(-busy) * 5.67 * 1800
    assert activity_mbq(header(), seen, Calibration(FACTOR, dead_time=dead)) == pytest.approx(activity, rel=1e-5)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"acquisition_duration_s": None}, "(0054,0053)"),
        ({"stored_unit": None}, "(0054,1001)"),
        ({"modality": "PT"}, "counts in an NM image"),
        ({"decay_correction": None}, "(0054,1102)"),
    ],
)
def test_counts_without_what_they_need_are_refused_by_name(changes: dict[str, Any], words: str) -> None:
    outcome = to_activity(header(**changes), counts(1), Calibration(FACTOR))
    assert outcome.value is None
    assert words in outcome.findings[-1].text


def test_counts_without_a_calibration_are_refused() -> None:
    assert to_activity(header(), counts(1)).value is None


def test_a_site_may_say_what_its_camera_corrects_to() -> None:
    silent = header(decay_correction=None)
    assert activity_mbq(silent, 204_120, Calibration(FACTOR, decay_correction=DecayCorrection.START)) == pytest.approx(
        20
    )


def test_images_in_bq_per_ml_need_no_file_and_may_have_one() -> None:
    """Imaged over true 0.97: 97 Bq/mL are 100."""
    image = Volume(np.full(GRID.shape, 97.0), GRID, Unit.STORED, AT)
    plain = to_activity(header(stored_unit="BQML"), image).value
    checked = to_activity(
        header(stored_unit="BQML"), image, Calibration(CameraFactor(0.97, 0.02, "1", "cylinder"))
    ).value
    assert plain is not None
    assert checked is not None
    assert (float(plain.values[0, 0, 0]), float(checked.values[0, 0, 0])) == pytest.approx((97, 100), rel=1e-6)


# ---- which file ----
def test_the_latest_file_that_is_not_after_the_scan() -> None:
    found = chosen(file("old.toml", 1), file("new.toml", 8), file("later.toml", 11)).value
    assert found is not None
    assert found.file_of("camera factor") == "new.toml"


def test_parts_come_from_their_own_latest_files() -> None:
    dead = file("dead.toml", 2, camera_factor=None, dead_time=DeadTime(1e-6, 0, 60, 0))
    outcome = chosen(dead, file("factor.toml", 8))
    assert outcome.value is not None
    assert [part[:2] for part in outcome.value.files] == [("camera factor", "factor.toml"), ("dead time", "dead.toml")]
    used = [f for f in outcome.findings if f.code == "quantify.calibration-used"]
    assert {f.evidence["file"]: f.evidence["sha256"] for f in used} == {"factor.toml": "00", "dead.toml": "00"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nuclide": "Tc-99m"}, "is of Tc-99m"),
        ({"camera": Camera(model="Symbia")}, "model 'Symbia'"),
        ({"camera": Camera(model=CAMERA.model, serial_number="1")}, "serial number '1'"),
        ({"camera": Camera(model=CAMERA.model, collimator="LEHR")}, "collimator 'LEHR'"),
        ({"energy_window": EnergyWindow("113", 101.7, 124.3)}, "101.7 to 124.3 keV"),
        ({"measured_at": AT + timedelta(minutes=1)}, "after the scan"),
        ({"camera_factor": CameraFactor(1, 0, "1", "sphere")}, "gives no camera factor for this unit"),
    ],
)
def test_a_file_of_something_else_does_not_apply_and_says_why(changes: dict[str, Any], words: str) -> None:
    outcome = chosen(file(**changes))
    assert outcome.value is None
    assert outcome.findings[0].severity is Severity.UNDETERMINED
    assert words in outcome.findings[0].text


def test_names_are_compared_without_case_and_spaces_and_windows_within_a_kilovolt() -> None:
    here = file(camera=Camera("ge  medical systems ", "DISCOVERY NM/CT 670"), energy_window=EnergyWindow("x", 187, 229))
    assert chosen(here).value is not None


def test_two_files_of_one_date_are_refused() -> None:
    outcome = chosen(file("a.toml"), file("b.toml"))
    assert outcome.value is None
    assert "a.toml and b.toml" in outcome.findings[0].text


def test_an_old_file_is_used_with_a_doubt() -> None:
    outcome = chosen(file(day=1), calibration_max_age_days=7)
    assert outcome.value is not None
    assert "quantify.calibration-old" in [f.code for f in outcome.findings]
    assert "quantify.calibration-old" not in [f.code for f in chosen(file(day=1)).findings]


def test_moved_dates_choose_no_calibration() -> None:
    """De-identified by years: the file of later would seem to be of before, or the right one of after the scan."""
    moved = header(dates_moved=True, acquired_at=AT - timedelta(days=2000))
    one = chosen(file("right.toml", 8), of=moved)
    assert one.value is not None
    assert one.value.file_of("camera factor") == "right.toml"
    assert "quantify.calibration-undated" in [f.code for f in one.findings if f.severity is Severity.WARNING]
    several = chosen(file("old.toml", 1), file("right.toml", 8), of=moved)
    assert several.value is None
    assert [f.code for f in several.findings] == ["quantify.calibration-undated"]
    assert "old.toml, right.toml" in several.findings[0].text


def test_bq_per_ml_without_a_file_is_as_its_maker_says() -> None:
    outcome = chosen(of=header(stored_unit="BQML"))
    assert outcome == Outcome(Calibration())


def test_dead_time_is_not_corrected_twice() -> None:
    dead = file(dead_time=DeadTime(1e-6, 0, 60, 0))
    corrected = chosen(dead, of=header(corrected_image=("ATTN", "DTIM", "DECY")))
    assert corrected.value is not None
    assert corrected.value.dead_time is None
    assert corrected.value.not_evaluated == ("dose calibrator",)
    missing = chosen(file())
    assert missing.value is not None
    assert missing.value.not_evaluated == ("dose calibrator", "dead time")
    assert "quantify.no-dead-time" in [f.code for f in missing.findings]


def test_the_volume_of_the_calibrated_window_is_taken() -> None:
    keys = tuple(VolumeKey(energy_window=n) for n in range(3))
    several = header(volumes=keys, energy_windows=(LOW, PEAK, HIGH))
    assert choose_window(several, Calibration(FACTOR, energy_window=PEAK)).value == 1
    for calibration in (Calibration(FACTOR), Calibration(FACTOR, energy_window=EnergyWindow("", 1, 2))):
        assert choose_window(several, calibration).value is None
    detectors = header(volumes=(VolumeKey(detector=1), VolumeKey(detector=2)))
    assert choose_window(detectors, Calibration(FACTOR, energy_window=PEAK)).value is None
    assert choose_window(header(), Calibration(FACTOR)).value == 0


# ---- whose error ----
def test_sources_carry_the_name_of_their_file_and_an_error_of_the_factor_is_amplified() -> None:
    """n tau = 0.12: 1/(1 - 0.12) = 1.13636. Checked against activities with the factor, or the dead time, one sd off."""
    dead = DeadTime(0.5e-6, 0.05e-6, 60.0, 3.0)
    outcome = chosen(file("q.toml", dose_calibrator=DoseCalibrator(1.0, 0.01), dead_time=dead))
    calibration = outcome.value
    assert calibration is not None
    seen = 4000 * exp(-0.12) * 5.67 * 1800
    volume = to_activity(header(), counts(seen), calibration).value
    assert volume is not None
    total = summarise(volume, "1", QuantifySettings(), calibration).value.values["total_activity"]  # type: ignore[union-attr]
    relative = total.relative()
    assert relative == pytest.approx(
        {
            "camera calibration: q.toml": 0.09 / 5.67 / 0.88,
            "dose calibrator: q.toml": 0.01 / 0.88,
            "dead time: q.toml": 0.12 / 0.88 * hypot(0.1, 0.05),
        },
        rel=1e-4,
    )
    step = 1e-4
    lower = evolve(calibration, camera_factor=evolve(FACTOR, value=5.67 * (1 - step)))
    assert log(activity_mbq(header(), seen, lower) / 4000) / step == pytest.approx(1 / 0.88, rel=2e-2)
    longer = evolve(calibration, dead_time=evolve(dead, tau_s=0.5e-6 * (1 + step)))
    assert log(activity_mbq(header(), seen, longer) / 4000) / step == pytest.approx(0.12 / 0.88, rel=2e-2)


def test_scans_that_share_a_file_do_not_average_its_error_out() -> None:
    calibration = chosen(
        file(dose_calibrator=DoseCalibrator(1, 0.01)), of=header(corrected_image=("DTIM", "DECY"))
    ).value
    assert calibration is not None
    volume = Volume(np.full(GRID.shape, 1e4), GRID, Unit.BQ_PER_ML)
    one, other = (
        summarise(volume, uid, QuantifySettings(), calibration).value.values["total_activity"]  # type: ignore[union-attr]
        for uid in "12"
    )
    assert (one + other).sd == pytest.approx(2 * one.sd)  # type: ignore[operator]


# ---- recovery ----
def test_measured_curve_with_its_prediction_uncertainty() -> None:
    """R(4 mL) = 1 - 1/(1 + 1) = 0.5; by scale -0.3/8 per mL, by power 0 there: hypot(0.4 x 0.0375, 0.02) = 0.025."""
    settings = QuantifySettings(partial_volume="curve")
    found = recovery_for(4.0, "L01", settings, Calibration(FACTOR, recovery=CURVE)).value
    assert found == pytest.approx((0.5, 0.025 / 0.5), rel=1e-9)


@pytest.mark.parametrize(
    ("calibration", "volume_ml", "code"),
    [
        (Calibration(FACTOR), 4.0, "quantify.no-recovery"),
        (None, 4.0, "quantify.no-recovery"),
        (Calibration(evolve(FACTOR, geometry="cylinder"), recovery=CURVE), 4.0, "quantify.recovery-geometry"),
        (Calibration(recovery=CURVE), 4.0, "quantify.recovery-geometry"),
        (Calibration(FACTOR, recovery=CURVE), 0.4, "quantify.recovery-outside-curve"),
    ],
)
def test_a_curve_that_does_not_belong_is_refused(calibration: Calibration | None, volume_ml: float, code: str) -> None:
    outcome = recovery_for(
        volume_ml, "L01", QuantifySettings(partial_volume="curve", minimum_volume_ml=0.1), calibration
    )
    assert outcome.value is None
    assert [(f.severity, f.code) for f in outcome.findings] == [(Severity.UNDETERMINED, code)]


def test_beyond_the_largest_sphere_there_is_a_value_and_a_doubt() -> None:
    outcome = recovery_for(100, "liver", QuantifySettings(partial_volume="curve"), Calibration(FACTOR, recovery=CURVE))
    assert outcome.value is not None
    assert [f.code for f in outcome.findings] == ["quantify.recovery-outside-curve"]


def test_activity_of_a_region_is_divided_by_the_curve_and_knows_its_volume_error() -> None:
    """64 voxels of 0.064 mL are 4.096 mL. d ln A/d ln V by moving the curve: p - q with p = (1 + q)/2."""
    region = Region("r", RegionKind.LESION, GRID, (3, 3, 3), np.ones((4, 4, 4)), None, RegionOrigin.DRAWN, "test")
    volume = Volume(np.full(GRID.shape, 500.0), GRID, Unit.BQ_PER_ML)
    settings = QuantifySettings(partial_volume="curve", delineation_fwhm_mm=3)
    values = measure(volume, region, "L01", "1", settings, calibration=Calibration(FACTOR, recovery=CURVE)).value.values  # type: ignore[union-attr]
    x = (4.096 / 4) ** 0.6
    recovery = x / (1 + x)
    assert values["activity"].value == pytest.approx(500 * 4.096 / recovery, rel=1e-6)
    q = 0.6 * (1 - recovery)
    relative = {name: values[name].relative()["volume: L01"] for name in ("activity", "concentration", "volume")}
    assert relative["activity"] == pytest.approx((1 - q) / 2 * relative["volume"])  # type: ignore[operator]
    assert relative["activity"] - relative["concentration"] == pytest.approx(relative["volume"])  # type: ignore[operator]


# ---- what else a header says ----
def test_share_of_scatter_from_the_side_windows() -> None:
    """Widths 41.6, 20.8, 20.8 keV: (300 + 50)/20.8 x 20.8 = 350 of 1000; without SCAT that is a doubt."""
    keys = tuple(VolumeKey(energy_window=n) for n in range(3))
    volumes = tuple(counts(n) for n in (300, 1000, 50))
    several = header(volumes=keys, energy_windows=(LOW, PEAK, HIGH))
    outcome = scatter_share(several, volumes, 1)
    assert outcome.value == pytest.approx(0.35, rel=1e-5)
    assert outcome.findings[0].severity is Severity.INFO
    assert scatter_share(evolve(several, corrected_image=()), volumes, 1).findings[0].severity is Severity.WARNING
    assert scatter_share(evolve(several, volumes=keys[:2]), volumes[:2], 1).value == pytest.approx(0.30, rel=1e-5)
    assert scatter_share(several, volumes, 0).value is None  # nothing below the lower window


def test_an_nm_image_is_never_taken_for_177lu_by_its_window() -> None:
    assert role_of(header()).value is Role.THERAPY_SPECT
    unknown = role_of(header(radiopharmaceutical=None))
    assert unknown.value is None
    assert "177Lu" in unknown.findings[0].text
    other = role_of(header(radiopharmaceutical=None, energy_windows=(EnergyWindow("140", 126, 154),)))
    assert "177Lu" not in other.findings[0].text

"""Sampled patients: seeds, visits, cycles, and what the parameters must do to the uptake."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import UsageError
from lutra.simulate.fdg import region_suv
from lutra.simulate.pbpk import ORGANS
from lutra.simulate.pbpk_cohort import cohort_patient, typical_patient
from lutra.simulate.pbpk_population import KineticSettings, LesionKineticInput, population, sample_kinetics
from lutra.simulate.pbpk_visit import parameters_at
from lutra.simulate.uptake import curves

LESIONS = [LesionKineticInput("A", 20.0, 1, "liver"), LesionKineticInput("B", 8.0, 2, "bone", 0.7)]
STEADY = KineticSettings(visit_spread=0.0)


def patient(lesions: list[LesionKineticInput] = LESIONS, seed: int = 4, settings: KineticSettings | None = None):  # type: ignore[no-untyped-def]
    return sample_kinetics(85.0, 70.0, 1.8, "F", lesions, seed, settings)


def test_the_seed_decides_and_nothing_else() -> None:
    assert patient() == patient()
    assert patient() != patient(seed=5)


def test_a_further_lesion_changes_no_other_and_no_organ() -> None:
    more = patient([LesionKineticInput("C", 300.0, 3, "node"), *LESIONS])
    few = patient()
    assert more.lesion("A") == few.lesion("A")
    assert more.organs == few.organs
    assert more.numbers == few.numbers


def test_visits_differ_and_repeat() -> None:
    one, again, two = (parameters_at(patient(), "Lu-177", c) for c in (1, 1, 2))
    np.testing.assert_array_equal(one.receptor_nmol, again.receptor_nmol)
    assert (one.receptor_nmol != two.receptor_nmol).all()
    pet = parameters_at(patient(), "Ga-68", 1)
    assert (one.receptor_nmol != pet.receptor_nmol).all()


def test_receptors_of_a_lesion_fall_by_its_own_factor_per_cycle() -> None:
    """Cycle 4 has three therapies behind it; organs but the kidney stay."""
    p = patient(settings=STEADY)
    first, fourth = (parameters_at(p, "Lu-177", c).receptor_nmol for c in (1, 4))
    fall = [p.lesion(i).receptor_per_cycle ** 3 for i in ("A", "B")]
    np.testing.assert_allclose(fourth[len(ORGANS) :] / first[len(ORGANS) :], fall)
    np.testing.assert_allclose(fourth[1 : len(ORGANS)], first[1 : len(ORGANS)])
    trend = population()["whole_body"]["kidney_trend_per_cycle"].value
    assert fourth[0] / first[0] == pytest.approx(trend**3)


def test_amino_acids_touch_the_tubules_of_a_therapy_alone() -> None:
    without = patient(settings=KineticSettings(visit_spread=0.0, amino_acids=False))
    usual = patient(settings=STEADY)
    therapy, plain = (parameters_at(p, "Lu-177", 1).reabsorbed for p in (usual, without))
    assert therapy == pytest.approx(plain * (1 - usual.numbers["amino_acid_effect"]))
    assert parameters_at(usual, "Ga-68", 1).reabsorbed == pytest.approx(plain)


def test_a_cold_analogue_takes_its_share_of_every_receptor() -> None:
    blocked = patient(settings=KineticSettings(ssa_occupancy=0.3))
    np.testing.assert_allclose(
        parameters_at(blocked, "Lu-177", 1).receptor_nmol, 0.7 * parameters_at(patient(), "Lu-177", 1).receptor_nmol
    )


def test_masses_close_the_weight_and_follow_an_anatomy() -> None:
    p = sample_kinetics(85.0, 70.0, 1.8, "M", LESIONS, 4, organ_mass_kg={"liver": 1.4, "kidneys": 0.28})
    at = parameters_at(p, "Lu-177", 1)
    assert at.mass_kg.sum() == pytest.approx(70.0)
    assert at.mass_kg[at.names.index("liver")] == 1.4
    assert at.mass_kg[at.names.index("B")] == pytest.approx(8e-3 * 0.7 * 1.04)


def test_a_lesion_that_is_not_there_yet_takes_nothing() -> None:
    at = parameters_at(patient(), "Lu-177", 1, {"B": 0.0, "A": 40.0})
    assert at.names == (*ORGANS, "A")
    assert at.mass_kg[-1] == pytest.approx(0.0416)


def test_without_spread_everybody_is_typical() -> None:
    p = typical_patient()
    assert {le.receptor_nmol_per_l for le in p.lesions} == {72.0}
    assert p.numbers["haematocrit"] == pytest.approx(0.415)
    assert not any(le.discordant for le in p.lesions)


def test_discordant_lesions_by_grade() -> None:
    """2, 8 and 25 % of the lesions of grade 1, 2 and 3; binomial error of 600 lesions."""
    for grade, share in ((1, 0.02), (2, 0.08), (3, 0.25)):
        given = [LesionKineticInput(f"L{n}", 5.0, grade, "liver") for n in range(600)]
        found = np.mean([le.discordant for le in patient(given).lesions])
        assert found == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / 600))


def test_every_number_has_a_mark_and_a_source() -> None:
    rows = [row for table in population().values() for row in table.values()]
    assert {r.mark for r in rows} == {"V", "M", "T"}
    assert all(r.source for r in rows)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"gfr": 0.0}, "GFR 0"),
        ({"sex": "X"}, "'X'"),
        ({"lesions": [LesionKineticInput("A", 1.0, 4, "liver")]}, "grade 4"),
        ({"lesions": [LesionKineticInput("liver", 1.0, 1, "liver")]}, "lesions called liver"),
        ({"organ_mass_kg": {"heart": 0.3}}, "no organ heart"),
    ],
)
def test_what_cannot_be_is_refused(change: dict[str, object], match: str) -> None:
    given = {"gfr": 85.0, "weight_kg": 70.0, "bsa_m2": 1.8, "sex": "F", "lesions": LESIONS, "seed": 1} | change
    with pytest.raises(UsageError, match=match):
        sample_kinetics(**given)  # type: ignore[arg-type]


def test_cohort_is_that_of_the_publications() -> None:
    """Three to eight lesions; GFR within 35-130 mL/min; a third of the patients with bone disease (V: 34 %)."""
    cohort = [cohort_patient(s) for s in range(300)]
    assert {len(p.lesions) for p in cohort} == {3, 4, 5, 6, 7, 8}
    assert np.median([p.gfr_ml_min for p in cohort]) == pytest.approx(85, abs=4)
    bone = np.mean([any(le.site == "bone" for le in p.lesions) for p in cohort])
    assert bone == pytest.approx(0.34, abs=0.11)


def test_fdg_runs_against_octreotate_within_patients() -> None:
    """Correlation of ln FDG and ln SUV of 68Ga about each patient's mean: -.3, within twice the error of some 900 pairs."""
    fdg, sstr = [], []
    for seed in range(150):
        deviations = np.random.default_rng([seed, 5]).normal(size=6)
        given = [LesionKineticInput(f"L{n}", 15.0, 1, "liver", 1.0, z) for n, z in enumerate(deviations)]
        patient = sample_kinetics(85.0, 72.0, 1.85, "M", given, seed)
        uptake = curves(patient, "Ga-68", 1, 1.5e8, 20.0, "fast")
        kept = [n for n, lesion in enumerate(patient.lesions) if not lesion.discordant]
        logs = np.log([region_suv(uptake, f"L{n}", patient) for n in kept])
        sstr += list(logs - logs.mean())
        fdg += list(deviations[kept] - deviations[kept].mean())
    assert np.corrcoef(fdg, sstr)[0, 1] == pytest.approx(-0.3, abs=0.065)
    assert np.std(sstr) == pytest.approx(0.4, rel=0.1)  # the spread between lesions stays what it was


def test_discordant_lesions_take_up_less_octreotate_than_the_liver() -> None:
    """Grade 3, where a quarter is discordant: nine in ten of them."""
    below = []
    for seed in range(40):
        given = [LesionKineticInput(f"L{n}", 15.0, 3, "liver") for n in range(6)]
        patient = sample_kinetics(85.0, 72.0, 1.85, "M", given, seed)
        uptake = curves(patient, "Ga-68", 1, 1.5e8, 20.0, "fast")
        liver = region_suv(uptake, "liver", patient)
        below += [region_suv(uptake, le.lesion_id, patient) < liver for le in patient.lesions if le.discordant]
    assert len(below) > 30
    assert np.mean(below) > 0.9

"""The equations against laws they must keep, and against a solution that does not come from the same solver."""

from __future__ import annotations

import numpy as np
import pytest
from attrs import evolve
from scipy.linalg import expm

from lutra.core.errors import OutsideValidity
from lutra.simulate.pbpk import ORGANS, Places, linear_part, nodes_of, region_shares, solve
from lutra.simulate.pbpk_cohort import cohort_patient, typical_patient
from lutra.simulate.pbpk_visit import parameters_at


@pytest.mark.parametrize(("seed", "nuclide", "nmol", "minutes"), [(1, "Lu-177", 140.0, 30.0), (2, "Ga-68", 14.0, 1.0)])
def test_no_label_is_made_or_lost(seed: int, nuclide: str, nmol: float, minutes: float) -> None:
    """What has been infused is in the body or in the urine, at every time, to 1e-10 of the dose."""
    solution = solve(parameters_at(cohort_patient(seed), nuclide, 1), nmol, minutes)
    infused = np.minimum(solution.times_min / minutes, 1)
    assert np.abs(solution.state.sum(0) - infused).max() < 1e-10
    assert solution.state.min() > -1e-7


def test_every_amount_leaves_one_place_for_another_and_belongs_to_one_region() -> None:
    p = parameters_at(cohort_patient(3), "Lu-177", 1)
    matrix = linear_part(p)
    assert np.abs(matrix.sum(0)).max() < 1e-12
    assert (matrix - np.diag(np.diag(matrix))).min() == 0
    assert np.abs(region_shares(p).sum(0) - 1).max() < 1e-12
    assert region_shares(p).min() >= 0


def test_without_peptide_it_is_the_matrix_exponential() -> None:
    """The limit is linear: dy/dt = M y + b is solved exactly, 2 h and 50 h after the start of a 30 min infusion."""
    p = parameters_at(typical_patient(), "Lu-177", 1)
    solution = solve(p, 0.0, 30.0)
    m = linear_part(p)
    n = len(m)
    augmented = np.zeros((n + 1, n + 1))
    augmented[:n, :n] = m
    augmented[0, n] = 1 / 30
    at_end = (expm(augmented * 30.0) @ np.r_[np.zeros(n), 1.0])[:n]
    for k in (np.searchsorted(solution.times_min, 120.0), np.searchsorted(solution.times_min, 3000.0)):
        exact = expm(m * (solution.times_min[k] - 30.0)) @ at_end
        np.testing.assert_allclose(solution.state[:, k], exact, rtol=1e-3, atol=1e-7)


def test_little_peptide_is_no_peptide() -> None:
    p = parameters_at(typical_patient(), "Ga-68", 1)
    none, little = (nodes_of(solve(p, nmol, 1.0)).fraction for nmol in (0.0, 1e-3))
    np.testing.assert_allclose(little, none, rtol=2e-3, atol=1e-6)


def test_receptors_fill_and_never_overflow() -> None:
    """With 100 times the peptide of a therapy the spleen's receptors are nearly all taken, and none is taken twice."""
    p = parameters_at(typical_patient(), "Lu-177", 1)
    nmol = 14e3
    bound = solve(p, nmol, 30.0).state[Places(len(p.names)).part(2)] * nmol
    filled = bound.max(1) / p.receptor_nmol
    assert filled.max() < 1 + 1e-6
    assert filled[ORGANS.index("spleen")] > 0.97


def test_slopes_are_the_derivatives_of_the_values() -> None:
    """Their mean over a step gives the change over it, as closely as a trapezium does on these steps."""
    s = solve(parameters_at(typical_patient(), "Lu-177", 1), 140.0, 30.0)
    change = np.diff(s.state, axis=1)
    from_slopes = (s.slope[:, 1:] + s.slope[:, :-1]) / 2 * np.diff(s.times_min)
    late = s.times_min[1:] > 60
    np.testing.assert_allclose(from_slopes[:, late], change[:, late], rtol=0.01, atol=1e-5)


def test_an_impossible_dose_is_refused() -> None:
    p = parameters_at(typical_patient(), "Lu-177", 1)
    with pytest.raises(OutsideValidity, match="-1 nmol"):
        solve(p, -1.0, 30.0)
    with pytest.raises(OutsideValidity, match="0 min"):
        solve(p, 1.0, 0.0)


def test_without_kidneys_filtering_no_peptide_leaves_intact() -> None:
    """GFR 0: all label leaves as metabolite, so that much less of it is out at 4 h."""
    p = parameters_at(typical_patient(), "Lu-177", 1)
    k = np.searchsorted(solve(p, 140.0, 30.0).times_min, 240.0)
    urine = Places(len(p.names)).metabolite + 2
    normal, none = (solve(evolve(p, gfr_l_per_min=g), 140.0, 30.0).state[urine, k] for g in (p.gfr_l_per_min, 0.0))
    assert none < 0.25 * normal

"""Missing items against the mechanism that is said to make them."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.errors import UsageError
from lutra.core.frozen import FrozenMap
from lutra.simulate.missing import REASONS, WHEN_ILL, Mechanism, MissingRule, MissingSettings, missing

PATIENTS, ITEMS = 600, 8


def lost(mechanism: Mechanism, probability: float = 0.2) -> tuple[np.ndarray, np.ndarray]:
    """Which items are missing (patients, items), and the outcome score of each patient."""
    settings = MissingSettings(FrozenMap({"ct": MissingRule(probability, mechanism)}))
    scores = np.random.default_rng(1).normal(size=PATIENTS)
    rows = [
        [missing("ct", f"visit {n}", seed, settings, outcome_score=z) is not None for n in range(ITEMS)]
        for seed, z in enumerate(scores)
    ]
    return np.array(rows), scores


@pytest.mark.parametrize("mechanism", Mechanism)
def test_the_share_is_the_stated_one_whatever_the_mechanism(mechanism: Mechanism) -> None:
    found, _ = lost(mechanism)
    error = found.mean(axis=1).std() / np.sqrt(PATIENTS)
    assert found.mean() == pytest.approx(0.2, abs=3 * error)


def test_by_patient_it_clusters() -> None:
    """With independent items the variance of a patient's share is p (1 - p) / 8; by patient it is much more."""
    alone, _ = lost(Mechanism.AT_RANDOM)
    together, _ = lost(Mechanism.BY_PATIENT)
    expected = 0.2 * 0.8 / ITEMS
    assert alone.mean(axis=1).var() == pytest.approx(expected, rel=0.2)
    assert together.mean(axis=1).var() > 2 * expected


def test_only_dependence_on_outcome_depends_on_outcome() -> None:
    for mechanism in Mechanism:
        found, scores = lost(mechanism)
        correlation = np.corrcoef(found.mean(axis=1), scores)[0, 1]
        if mechanism is Mechanism.BY_OUTCOME:
            assert correlation > 0.3
        else:
            assert abs(correlation) < 3.5 / np.sqrt(PATIENTS)


def test_every_missing_item_has_a_reason() -> None:
    settings = MissingSettings(FrozenMap({k: MissingRule(0.5, Mechanism.BY_OUTCOME) for k in REASONS}))
    for kind in REASONS:
        reasons = {m.reason for s in range(60) if (m := missing(kind, "1", s, settings, outcome_score=-1)) is not None}
        assert reasons
        assert reasons <= set(REASONS[kind])
        ill = {m.reason for s in range(60) if (m := missing(kind, "1", s, settings, outcome_score=1)) is not None}
        assert ill == {WHEN_ILL}


def test_nothing_is_missing_where_no_rule_is() -> None:
    assert all(missing("sstr", "baseline", s) is None for s in range(200))


def test_wrong_requests_are_refused() -> None:
    with pytest.raises(UsageError, match="kind 'xray'"):
        missing("xray", "1", 0)
    with pytest.raises(UsageError, match="probability"):
        MissingRule(1.0)

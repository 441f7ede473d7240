"""Laws of the ADC: scale, order of b-values, exactness without noise, and the trace whatever the directions."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader, VolumeKey
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify import QuantifySettings, fit_diffusion
from lutra.quantify.shells import trace_weights

GRID = Grid((3, 2, 1), np.diag([2.0, 2, 5, 1]), "1")
B = (0.0, 100.0, 300.0, 500.0, 800.0, 1000.0)
coefficients = st.lists(st.floats(1e-4, 4e-3), min_size=6, max_size=6)


def header(keys: tuple[VolumeKey, ...]) -> SeriesHeader:
    names = ("series_uid", "study_uid", "subject_id", "sop_class_uid", "description", "manufacturer", "model")
    return SeriesHeader(
        **dict.fromkeys(names, "1"),
        modality="MR",
        image_type=(),
        frame_of_reference="1",
        instances=(),
        grid=GRID,
        volumes=keys,
    )


def adc(
    keys: tuple[VolumeKey, ...], signals: list[npt.NDArray[np.float64]], **changes: object
) -> npt.NDArray[np.float64]:
    volumes = tuple(Volume(s.reshape(GRID.shape), GRID, Unit.STORED) for s in signals)
    outcome = fit_diffusion(header(keys), volumes, QuantifySettings(**changes))  # type: ignore[arg-type]
    assert outcome.value is not None, outcome.findings
    return outcome.value.volume.values.ravel().astype(float)


def decays(d: list[float], s0: float = 1000.0) -> list[npt.NDArray[np.float64]]:
    return [s0 * np.exp(-b * np.array(d)) for b in B]


KEYS = tuple(VolumeKey(b) for b in B)


@given(d=coefficients)
def test_signals_without_noise_give_the_exact_coefficient(d: list[float]) -> None:
    """Up to the float32 of the stored signals: 6e-8 of a signal over b = 900 s/mm2."""
    np.testing.assert_allclose(adc(KEYS, decays(d)), d, rtol=2e-6, atol=2e-9)


@given(d=coefficients, scale=st.floats(1e-3, 1e3))
def test_the_scale_of_the_signal_does_not_matter(d: list[float], scale: float) -> None:
    np.testing.assert_allclose(adc(KEYS, decays(d, 1000 * scale)), adc(KEYS, decays(d)), rtol=4e-6, atol=4e-9)


@given(d=coefficients, order=st.permutations(range(len(B))), seed=st.integers(0, 99))
def test_the_order_of_the_volumes_does_not_matter(d: list[float], order: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    noisy = [np.abs(s + rng.normal(0, 20, s.shape)) for s in decays(d)]
    shuffled = adc(tuple(KEYS[n] for n in order), [noisy[n] for n in order])
    np.testing.assert_allclose(shuffled, adc(KEYS, noisy), rtol=1e-9, atol=1e-12)


unit_vectors = st.tuples(st.floats(-1, 1), st.floats(-1, 1), st.floats(-1, 1)).filter(lambda v: np.linalg.norm(v) > 0.2)


@settings(deadline=None)
@given(vectors=st.lists(unit_vectors, min_size=6, max_size=20), seed=st.integers(0, 99))
def test_the_mean_over_directions_is_the_trace_of_any_tensor(
    vectors: list[tuple[float, float, float]], seed: int
) -> None:
    """Directions that determine a tensor give its mean diffusivity, however uneven; others are not called a trace."""
    g = np.array(vectors) / np.linalg.norm(vectors, axis=1)[:, None]
    weights, is_trace = trace_weights(g)
    assert weights.sum() == pytest.approx(1)
    assert np.abs(weights).max() <= 1 + 0.03  # no direction's noise is blown up; 0.03: the sum is put to 1
    a = np.random.default_rng(seed).normal(size=(3, 3))
    tensor = a @ a.T * 1e-3
    if is_trace:
        found = weights @ np.einsum("ni,ij,nj->n", g, tensor, g)
        assert found == pytest.approx(np.trace(tensor) / 3, abs=0.1 * np.abs(tensor).max())  # 9 elements within 0.01


def test_three_orthogonal_directions_are_their_geometric_mean() -> None:
    """The directions of a usual body protocol: D = (0.5, 1, 3)e-3 along the axes, mean 1.5e-3, in one b-value and b = 0."""
    axes = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    keys = (VolumeKey(0.0), *(VolumeKey(800.0, g) for g in axes))
    signals = [np.full(6, 1000.0), *(1000 * np.exp(-800 * d) * np.ones(6) for d in (0.5e-3, 1e-3, 3e-3))]
    np.testing.assert_allclose(adc(keys, signals), 1.5e-3, rtol=1e-6)


@given(d=st.lists(st.floats(2e-4, 3e-3), min_size=6, max_size=6))
def test_the_rician_fit_agrees_where_there_is_hardly_any_noise(d: list[float]) -> None:
    found = adc(KEYS, decays(d), adc_method="rician", adc_noise_sd=0.5)
    np.testing.assert_allclose(found, d, rtol=1e-4, atol=1e-7)

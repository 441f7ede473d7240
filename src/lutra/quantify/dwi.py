"""From the volumes of a diffusion series to maps of the apparent diffusion coefficient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from lutra.core.diffusion import DiffusionMaps
from lutra.core.errors import OutsideValidity
from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import SeriesHeader, VolumeKey
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.quantify.adc_fit import AdcFit, fit_log_linear
from lutra.quantify.ivim import fit_ivim
from lutra.quantify.rician import LARGEST_MM2_PER_S, fit_rician, noise_sd_from_air
from lutra.quantify.settings import QuantifySettings
from lutra.quantify.shells import Direction, Shell, directions_of, log_signal, shells_of, trace_weights

Floats = npt.NDArray[np.float64]

NOISE_FLOOR = 3.0
"""Signals below this many noise standard deviations are lifted by more than 5 % [gudbjartsson1995]."""
TISSUE = 5.0
"""A voxel counts as tissue if its signal at the lowest b-value is this many noise standard deviations."""
NOISE_FLOOR_SHARE = 0.01


def fit_diffusion(
    header: SeriesHeader, volumes: tuple[Volume, ...], settings: QuantifySettings
) -> Outcome[DiffusionMaps]:
    """Fit the protocol's diffusion model to every voxel of a series.

    The map the study measures rests on the b-values from `settings.adc_minimum_b` on, where perfusion no longer shows, if there
    are two of them; the one of all b-values is kept beside it.

    Parameters
    ----------
    header
        Names the b-value and direction of each volume.
    volumes
        Signals, all on one scale.

    Returns
    -------
    Outcome
        Maps in mm2/s; none if the series has fewer than two b-values, or not what the method needs.
    """
    keys = header.volumes
    if any(key.b_value_s_per_mm2 is None for key in keys) or len(keys) != len(volumes):
        return _none(header, "its volumes have no b-values")
    shells = shells_of(keys)
    if len(shells) < 2:
        return _none(
            header, f"it has one b-value, {shells[0].b_s_per_mm2:g} s/mm2; required: two or more in one series"
        )
    findings = _shell_doubts(header, shells)
    signals = [v.values.ravel() for v in volumes]
    noise_sd = settings.adc_noise_sd or noise_sd_from_air(volumes[shells[-1].directions[-1].volumes[0]].values)
    fits: dict[str, tuple[AdcFit, Sequence[Shell]]] = {}
    insensitive = [s for s in shells if s.b_s_per_mm2 >= settings.adc_minimum_b]
    maps: dict[str, Volume] = {}
    try:
        if len(insensitive) >= 2:
            fits["adc"] = _fit(insensitive, signals, keys, noise_sd, settings), insensitive
        else:
            findings.append(_perfusion_included(header, shells, settings))
        if len(insensitive) < len(shells):
            fits["adc_all_b"] = _fit(shells, signals, keys, noise_sd, settings), shells
        if settings.adc_method == "ivim":
            maps |= _ivim(shells, signals, volumes[0], settings)
    except OutsideValidity as error:
        return _none(header, str(error), findings)
    primary, (fit, used) = next(iter(fits.items()))
    maps |= {name: _map(f.adc_mm2_per_s, volumes[0]) for name, (f, _) in fits.items()}
    if fit.adc_sd_mm2_per_s is not None:
        maps["adc_sd"] = _map(fit.adc_sd_mm2_per_s, volumes[0])
    findings.append(_how(header, primary, fit, used, noise_sd, settings))
    if settings.adc_method != "rician":
        findings += _noise_floor(header, used, signals, noise_sd)
    b_values = tuple(s.b_s_per_mm2 for s in used)
    return Outcome(DiffusionMaps(primary, FrozenMap(maps), b_values), findings)


def primary_map(maps: DiffusionMaps) -> Outcome[Volume]:
    """Take the map the study measures."""
    return Outcome(maps.volume)


def _fit(
    shells: Sequence[Shell],
    signals: Sequence[npt.NDArray[np.floating]],
    keys: Sequence[VolumeKey],
    noise_sd: float | None,
    settings: QuantifySettings,
) -> AdcFit:
    if settings.adc_method == "rician":
        if noise_sd is None:
            raise OutsideValidity(
                "the noise cannot be estimated: the corners of the image do not look like air seen by one channel",
                required="the noise of one measurement for adc_method = 'rician'",
                do="give quantify.adc_noise_sd, or use 'log-linear'",
            )
        return _fit_rician(shells, signals, keys, noise_sd)
    pairs = [log_signal(shell, signals) for shell in shells]
    b = [shell.b_s_per_mm2 for shell in shells]
    return fit_log_linear(b, [y for y, _ in pairs], [w for _, w in pairs], noise_sd)


def _fit_rician(
    shells: Sequence[Shell], signals: Sequence[npt.NDArray[np.floating]], keys: Sequence[VolumeKey], noise_sd: float
) -> AdcFit:
    """Fit each direction by itself, as a mean over directions is no longer Rician, and average the diffusivities."""
    fits, gradients = [], []
    for gradient, groups in directions_of(shells, keys):
        b = [level for level, _ in groups]
        if len(set(b)) < 2:
            continue
        alone = [Shell(level, (Direction(1.0, None, volumes),)) for level, volumes in groups]
        pairs = [log_signal(shell, signals) for shell in alone]
        start = fit_log_linear(b, [y for y, _ in pairs], [w for _, w in pairs], noise_sd)
        means = [np.stack([signals[n] for n in volumes]).mean(axis=0, dtype=np.float64) for _, volumes in groups]
        fits.append(fit_rician(b, means, [len(volumes) for _, volumes in groups], start, noise_sd))
        gradients.append(gradient)
    if not fits:
        raise OutsideValidity("no direction has two b-values", required="two b-values in each direction")
    known = [g for g in gradients if g is not None]
    weights = trace_weights(known)[0] if len(known) == len(fits) else np.full(len(fits), 1 / len(fits))
    fitted = np.logical_and.reduce([f.fitted for f in fits])
    adc = sum(w * f.adc_mm2_per_s for w, f in zip(weights, fits, strict=True))
    s0 = sum(w * f.s0 for w, f in zip(weights, fits, strict=True))
    variance = sum((w * _known(f.adc_sd_mm2_per_s)) ** 2 for w, f in zip(weights, fits, strict=True))
    return AdcFit(np.where(fitted, adc, 0.0), np.where(fitted, s0, 0.0), np.sqrt(variance), fitted)


def _known(sd: Floats | None) -> Floats:
    assert sd is not None  # noqa: S101  (a Rician fit knows its noise)
    return sd


def _ivim(
    shells: Sequence[Shell], signals: Sequence[npt.NDArray[np.floating]], like: Volume, settings: QuantifySettings
) -> dict[str, Volume]:
    pairs = [log_signal(shell, signals) for shell in shells]
    b = [shell.b_s_per_mm2 for shell in shells]
    fit = fit_ivim(b, [y for y, _ in pairs], [w for _, w in pairs], settings.ivim_split_b)
    return {
        "ivim_d": _map(fit.d_mm2_per_s, like),
        "ivim_d_star": _map(fit.d_star_mm2_per_s, like),
        "ivim_f": _map(fit.f, like, Unit.ONE),
    }


def _map(values: Floats, like: Volume, unit: Unit = Unit.MM2_PER_S) -> Volume:
    finite = np.where(np.isfinite(values), values, 0.0)
    return Volume(finite.reshape(like.grid.shape), like.grid, unit, like.acquired_at)


def _none(header: SeriesHeader, why: str, findings: Sequence[Finding] = ()) -> Outcome[DiffusionMaps]:
    text = f"series {header.series_uid} has no ADC: {why}"
    return Outcome(None, (*findings, Finding(Severity.UNDETERMINED, "quantify.no-adc", text)))


def _perfusion_included(header: SeriesHeader, shells: Sequence[Shell], settings: QuantifySettings) -> Finding:
    text = (
        f"series {header.series_uid}: b-values {_listed(shells)} s/mm2, fewer than two from quantify.adc_minimum_b = "
        f"{settings.adc_minimum_b:g} on; the ADC is that of all b-values and includes perfusion. Do not compare it with one "
        "that does not"
    )
    return Finding(Severity.WARNING, "quantify.adc-includes-perfusion", text)


def _shell_doubts(header: SeriesHeader, shells: Sequence[Shell]) -> list[Finding]:
    doubts = []
    uneven = [s for s in shells if not s.is_trace]
    if uneven:
        text = (
            f"series {header.series_uid}: the {len(uneven[0].directions)} gradient directions at b = {uneven[0].b_s_per_mm2:g} "
            "s/mm2 cannot be averaged to the trace of the diffusion tensor; the ADC depends on how tissue is turned"
        )
        doubts.append(Finding(Severity.WARNING, "quantify.adc-not-trace", text))
    unused = sum(len(s.left_out) for s in shells)
    if unused:
        text = (
            f"series {header.series_uid}: {unused} volumes without direction beside volumes with directions of the same b-value "
            "are trace images of those; they are not counted twice"
        )
        doubts.append(Finding(Severity.INFO, "quantify.trace-left-out", text))
    return doubts


def _how(
    header: SeriesHeader,
    primary: str,
    fit: AdcFit,
    used: Sequence[Shell],
    noise_sd: float | None,
    settings: QuantifySettings,
) -> Finding:
    method = {"log-linear": "weighted log-linear", "rician": "Rician maximum likelihood", "ivim": "weighted log-linear"}
    unfitted, negative = int((~fit.fitted).sum()), int((fit.adc_mm2_per_s < 0).sum())
    large = int((fit.adc_mm2_per_s >= LARGEST_MM2_PER_S).sum())
    text = (
        f"series {header.series_uid}: {primary} by {method[settings.adc_method]} fit over b = {_listed(used)} s/mm2, "
        f"{max(len(s.directions) for s in used)} directions; {unfitted} of {fit.fitted.size} voxels have fewer than two positive "
        f"signals and are 0, {negative} are negative, {large} at or above {LARGEST_MM2_PER_S * 1e3:g} · 10⁻³ mm²/s; noise "
        + (f"{noise_sd:.3g} (signal units)" if noise_sd else "not known, uncertainty from the residuals")
    )
    return Finding(Severity.INFO, "quantify.adc-fit", text)


def _noise_floor(
    header: SeriesHeader,
    used: Sequence[Shell],
    signals: Sequence[npt.NDArray[np.floating]],
    noise_sd: float | None,
) -> list[Finding]:
    if noise_sd is None:
        return []
    tissue = signals[used[0].directions[0].volumes[0]] > TISSUE * noise_sd
    last = used[-1].directions
    low = np.logical_or.reduce([signals[d.volumes[0]] < NOISE_FLOOR * noise_sd for d in last]) & tissue
    share = float(low.sum()) / max(int(tissue.sum()), 1)
    if share <= NOISE_FLOOR_SHARE:
        return []
    text = (
        f"series {header.series_uid}: in {share:.1%} of the tissue the signal at b = {used[-1].b_s_per_mm2:g} s/mm2 is below "
        f"{NOISE_FLOOR:g} times the noise; there the log-linear ADC is too low. To do: quantify.adc_method = 'rician'"
    )
    return [Finding(Severity.WARNING, "quantify.adc-noise-floor", text)]


def _listed(shells: Sequence[Shell]) -> str:
    return ", ".join(f"{s.b_s_per_mm2:.6g}" for s in shells)

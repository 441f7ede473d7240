"""How much of a SPECT is scatter, where the series has the narrow windows beside its peak."""

from __future__ import annotations

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import EnergyWindow, SeriesHeader
from lutra.core.volume import Volume
from lutra.physics.energy_windows import scatter_from_windows
from lutra.quantify.camera import window_of

NEIGHBOUR_KEV = 5.0
"""Side windows adjoin the peak or leave a small gap; one further away says nothing about scatter under the peak."""


def scatter_share(header: SeriesHeader, volumes: tuple[Volume, ...], peak: int) -> Outcome[float]:
    """Estimate the share of scattered counts in the peak window of a reconstruction, over the whole image. [1]

    Whether the image was corrected for scatter is the reconstruction's business: this only says how much there was to correct,
    and that nobody did where Corrected Image (0028,0051) does not list SCAT.

    Parameters
    ----------
    peak
        Index of the volume of the peak window.

    Returns
    -------
    Outcome
        The share; none if there is no window just below the peak, or the peak is empty.
    """
    windows = [window_of(header, key.energy_window) for key in header.volumes]
    middle = windows[peak]
    below, above = (None, None) if middle is None else _beside(windows, middle)
    totals = [max(float(v.values.sum(dtype=float)), 0.0) for v in volumes]
    if middle is None or below is None or not totals[peak]:
        text = f"series {header.series_uid}: no energy window just below the peak, so scatter cannot be estimated from windows"
        return Outcome(None, (Finding(Severity.INFO, "quantify.no-scatter-window", text),))
    upper = (None, None) if above is None else (totals[above], _width(windows[above]))
    found = scatter_from_windows(totals[peak], _width(middle), totals[below], _width(windows[below]), *upper)
    share, sd = float(found.scatter) / totals[peak], float(found.scatter_sd) / totals[peak]
    corrected = "SCAT" in header.corrected_image
    text = (
        f"series {header.series_uid}: {share:.1%} of the counts in the peak window are scatter, by "
        f"{'the window below it' if above is None else 'the windows on either side'} (± {sd:.1%} from counting, "
        f"as if these were raw counts); Corrected Image (0028,0051) {'lists' if corrected else 'does not list'} SCAT"
    )
    severity = Severity.INFO if corrected else Severity.WARNING
    return Outcome(share, (Finding(severity, "quantify.scatter-share", text),))


def _beside(windows: list[EnergyWindow | None], peak: EnergyWindow) -> tuple[int | None, int | None]:
    """Index of the window just below the peak and of that just above."""
    below = above = None
    for n, window in enumerate(windows):
        if window is not None and not window.further_kev:
            below = n if abs(window.upper_kev - peak.lower_kev) <= NEIGHBOUR_KEV else below
            above = n if abs(window.lower_kev - peak.upper_kev) <= NEIGHBOUR_KEV else above
    return below, above


def _width(window: EnergyWindow | None) -> float:
    return 0.0 if window is None else window.upper_kev - window.lower_kev

"""Doses of the organs that limit the treatment, where no kinetic model gives them: so much per activity."""

from __future__ import annotations

from attrs import frozen

from lutra.simulate.labs import CycleDose

KIDNEY_ALPHA_BETA_GY, KIDNEY_REPAIR_H = 2.6, 2.8
"""[konijnenberg2007]"""
SPLEEN_SHARE = 0.075
"""Weight of the spleen in the dose of circulating lymphocytes; with it the pooled dose is .6 Gy in a typical cycle. Tuned."""


def pooled_lymphocyte_gy(blood_gy: float, spleen_gy: float) -> float:
    """Dose of lymphocytes, which are in blood most of the time and in the spleen for the rest. [Gy]"""
    return (1 - SPLEEN_SHARE) * blood_gy + SPLEEN_SHARE * spleen_gy


def bed_gy(dose_gy: float, half_life_h: float) -> float:
    r"""Return the biologically effective dose of a kidney, :math:`D [1 + D/(\alpha/\beta) \cdot T_{rep}/(T_{rep}+T_{eff})]`. [Gy]

    One exponential of the dose rate; later cycles add up.

    References
    ----------
    [konijnenberg2007] Konijnenberg et al., Eur J Nucl Med Mol Imaging 34:1005, values as commonly used since.
    """
    return dose_gy * (1 + dose_gy / KIDNEY_ALPHA_BETA_GY * KIDNEY_REPAIR_H / (KIDNEY_REPAIR_H + half_life_h))


@frozen
class DosePerActivity:
    """Doses in proportion to the activity, the same every cycle. The defaults are the medians of the simulated population.

    Parameters
    ----------
    marrow_gy_per_gbq, kidney_gy_per_gbq, spleen_gy_per_gbq
        [Gy/GBq]; blood gets what marrow gets.
    marrow_half_life_h, kidney_half_life_h, spleen_half_life_h
        Effective half-lives. [h]
    """

    marrow_gy_per_gbq: float = 0.031
    kidney_gy_per_gbq: float = 0.49
    spleen_gy_per_gbq: float = 0.72
    marrow_half_life_h: float = 50.0
    kidney_half_life_h: float = 52.0
    spleen_half_life_h: float = 68.0

    def __call__(self, cycle: int, administered_bq: float) -> CycleDose:  # noqa: ARG002  (the interface of all of them)
        """Return the doses of a cycle."""
        gbq = administered_bq / 1e9
        return CycleDose(
            self.marrow_gy_per_gbq * gbq,
            self.marrow_half_life_h,
            bed_gy(self.kidney_gy_per_gbq * gbq, self.kidney_half_life_h),
            pooled_lymphocyte_gy(self.marrow_gy_per_gbq * gbq, self.spleen_gy_per_gbq * gbq),
            self.spleen_half_life_h,
        )

"""Settings of the quantify stage. None means that the site has not given a value: the source stays not evaluated."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import ge, in_, optional

from lutra.core.frozen import FrozenMap, frozen_map
from lutra.core.study import Role


def _positive(_instance: object, attribute: object, value: float | None) -> None:
    if value is not None and value <= 0:
        raise ValueError(f"{getattr(attribute, 'name', 'setting')} must be positive, not {value}")


def _by_role_and_quantity(_instance: object, attribute: object, values: FrozenMap[str, float]) -> None:
    for name, value in values.items():
        role, _, quantity = name.partition(".")
        if role not in set(Role) or not quantity:
            raise ValueError(f"{name!r} is not a role and a quantity, such as 'sstr-pet.suv_max'")
        _positive(_instance, attribute, value)


@frozen
class QuantifySettings:
    """How images become numbers.

    Parameters
    ----------
    camera_calibration_relative_sd
        Standard uncertainty of the camera factor, shared by all SPECT of the study; 1.6 % at best (Gear 2018). [1]
    spect_fwhm_mm
        Reconstructed resolution of the SPECT, for recovery by a sphere of equal volume or by shape. [mm]
    spect_fwhm_sd_mm
        Its standard uncertainty. 1 mm: about a tenth, what repeated point-source measurements agree to. [mm]
    delineation_fwhm_mm
        Resolution of the images the contours were drawn on. [mm]
    partial_volume
        `none`; `sphere`: divide by the recovery of a sphere of equal volume; `shape`: by that of the region's own shape, what
        its surroundings spill into it taken off (kidneys); `curve`: by that of the measured recovery curve in STUDY/calibration.
    small_voi_recovery
        By what the mean in small spheres in a kidney is divided; None: not corrected. It is that of a site's reconstruction: 1.03
        and 1.10 with resolution recovery, 0.91 and 0.94 without [Curkic Kapidzic et al., Phys Med 120:103335 (2024)]. [1]
    small_voi_recovery_sd
        Its standard uncertainty. 0.03: as there. [1]
    minimum_volume_ml
        Smaller lesions carry a Finding; 8 mL is the bound used at Lund. [mL]
    calibration_max_age_days
        Calibrations older than this at the scan carry a Finding. 365: the yearly measurement that quality programmes ask for. [d]
    adc_missing_unit
        `vendor-convention`: a named rule resolves ADC maps without a unit, with a Finding; `refuse`: they stay undetermined.
    adc_method
        `log-linear`: weighted straight line through the logarithms; `rician`: maximum likelihood that knows the noise floor;
        `ivim`: perfusion fraction and pseudo-diffusion beside the log-linear ADC.
    adc_minimum_b
        B-values below are left out of the ADC: perfusion adds to them. 100 is the usual bound of body protocols (QIBA). [s/mm2]
    adc_noise_sd
        Noise of one measurement, in signal units; None: estimated from the air around the patient where that can be seen.
    ivim_split_b
        From here on perfusion no longer shows; 200 is usual in the abdomen. [s/mm2]
    pet_fwhm_mm
        Reconstructed resolution of the PET, which tells how many independent voxels a mean rests on; without it the noise of an
        SUVmean is not evaluated. [mm]
    repeatability_wcv
        Within-subject coefficient of variation the site measured by scanning patients twice, by role and quantity
        (`sstr-pet.suv_max`); stands in place of the published value in deciding whether a change is real. [1]
    """

    camera_calibration_relative_sd: float | None = field(default=None, validator=optional(_positive))
    spect_fwhm_mm: float | None = field(default=None, validator=optional(_positive))
    spect_fwhm_sd_mm: float = field(default=1.0, validator=_positive)
    delineation_fwhm_mm: float | None = field(default=None, validator=optional(_positive))
    partial_volume: str = field(default="none", validator=in_(("none", "sphere", "shape", "curve")))
    small_voi_recovery: float | None = field(default=None, validator=optional(_positive))
    small_voi_recovery_sd: float = field(default=0.03, validator=ge(0))
    minimum_volume_ml: float = field(default=8.0, validator=_positive)
    calibration_max_age_days: float = field(default=365.0, validator=_positive)
    adc_missing_unit: str = field(default="vendor-convention", validator=in_(("vendor-convention", "refuse")))
    adc_method: str = field(default="log-linear", validator=in_(("log-linear", "rician", "ivim")))
    adc_minimum_b: float = field(default=100.0, validator=ge(0))
    adc_noise_sd: float | None = field(default=None, validator=optional(_positive))
    ivim_split_b: float = field(default=200.0, validator=_positive)
    pet_fwhm_mm: float | None = field(default=None, validator=optional(_positive))
    repeatability_wcv: FrozenMap[str, float] = field(
        factory=FrozenMap, converter=frozen_map, validator=_by_role_and_quantity
    )

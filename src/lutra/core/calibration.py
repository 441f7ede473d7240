"""What a site has measured with one camera: how counts become activity, and how blur makes small things fade.

Each measurement says when it was made and with what; which of them applies to a scan is decided in
:mod:`lutra.quantify.camera`.
"""

from __future__ import annotations

from datetime import datetime

from attrs import field, frozen
from attrs.validators import ge, gt, in_, instance_of, min_len

from lutra.core.study import Camera, DecayCorrection, EnergyWindow

GEOMETRIES = ("sphere", "cylinder", "point", "planar", "patient")
"""Objects a camera is calibrated with; a recovery curve holds only for the one its activities were divided with."""
FORMS = ("hill", "exponential")
"""Shapes of a recovery curve; equations in :mod:`lutra.physics.recovery_curve`."""

_positive = gt(0.0)
_not_negative = ge(0.0)


@frozen
class CameraFactor:
    """How an image becomes activity.

    Parameters
    ----------
    value
        Count rate per activity for images in counts [cps/MBq]; imaged over true activity for images in Bq/mL [1].
    sd
        Standard uncertainty, in the unit of `value`, without that of the dose calibrator.
    unit
        `cps/MBq` or `1`.
    geometry
        What was imaged to measure it.
    """

    value: float = field(validator=_positive)
    sd: float = field(validator=_not_negative)
    unit: str = field(validator=in_(("cps/MBq", "1")))
    geometry: str = field(validator=in_(GEOMETRIES))


@frozen
class DoseCalibrator:
    """True activity over the reading of the dose calibrator that the camera was calibrated with. [1]"""

    factor: float = field(validator=_positive)
    factor_sd: float = field(validator=_not_negative)


@frozen
class DeadTime:
    """Losses of a paralysable camera.

    Parameters
    ----------
    tau_s
        Dead time. [s]
    wide_cps_per_mbq
        Count rate of the whole spectrum, without losses, per activity in the field of view. [cps/MBq]
    """

    tau_s: float = field(validator=_positive)
    tau_sd_s: float = field(validator=_not_negative)
    wide_cps_per_mbq: float = field(validator=_positive)
    wide_cps_per_mbq_sd: float = field(validator=_not_negative)


def _three_numbers(given: tuple[float, float, float]) -> tuple[float, float, float]:
    a, b, c = given
    return float(a), float(b), float(c)


@frozen
class RecoveryCurve:
    """Recovery over volume, fitted to phantom objects.

    Parameters
    ----------
    form
        `hill` or `exponential`.
    scale_ml, power
        b1, b2 of the first form; b, g of the second. [mL], [1]
    covariance
        Variances of scale and power, and their covariance. [mL2], [1], [mL]
    scatter
        Standard deviation of one object around the curve. [1]
    degrees_of_freedom
        Number of objects minus 2.
    geometry
        What the camera factor was measured with by which the activities of these objects were found.
    smallest_ml, largest_ml
        Range of the objects. [mL]
    """

    form: str = field(validator=in_(FORMS))
    scale_ml: float = field(validator=_positive)
    power: float = field(validator=_positive)
    covariance: tuple[float, float, float] = field(converter=_three_numbers)
    scatter: float = field(validator=_not_negative)
    degrees_of_freedom: int = field(validator=[instance_of(int), gt(0)])
    geometry: str = field(validator=in_(GEOMETRIES))
    smallest_ml: float = field(validator=_positive)
    largest_ml: float = field(validator=_positive)


@frozen
class CalibrationFile:
    """One dated file of a site: for which camera, nuclide and energy window, and what was measured.

    Parameters
    ----------
    name
        Name of the file, without folder.
    sha256
        Hash of its content. [hex]
    measured_at
        When; it holds for scans from then on.
    camera
        What the header of a scan must say; an empty field is not asked for.
    energy_window
        The window it was measured in; None: the only window of the scan, whatever it is.
    decay_correction
        What the images of this camera are corrected for, where their headers do not say.
    """

    name: str
    sha256: str
    measured_at: datetime
    nuclide: str = field(validator=min_len(1))
    camera: Camera
    energy_window: EnergyWindow | None = None
    decay_correction: DecayCorrection | None = None
    camera_factor: CameraFactor | None = None
    dose_calibrator: DoseCalibrator | None = None
    dead_time: DeadTime | None = None
    recovery: RecoveryCurve | None = None


@frozen
class Calibration:
    """What applies to one scan: of each kind the latest measurement before it. Empty: nothing was measured.

    Parameters
    ----------
    files
        What, file name and hash of every part: `camera factor`, `dose calibrator`, `dead time`, `recovery`.
    not_evaluated
        Sources of uncertainty that matter for this scan and that no file speaks of.
    """

    camera_factor: CameraFactor | None = None
    dose_calibrator: DoseCalibrator | None = None
    dead_time: DeadTime | None = None
    recovery: RecoveryCurve | None = None
    decay_correction: DecayCorrection | None = None
    energy_window: EnergyWindow | None = None
    files: tuple[tuple[str, str, str], ...] = ()
    not_evaluated: tuple[str, ...] = ()

    def file_of(self, what: str) -> str:
        """Name of the file a part comes from; empty if there is none."""
        return next((name for part, name, _ in self.files if part == what), "")

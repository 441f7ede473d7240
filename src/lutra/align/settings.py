"""What a study may choose about alignment."""

from __future__ import annotations

from attrs import field, frozen

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.ports import Settings


@frozen
class AlignSettings:
    """How images of different frames of reference are brought together. A shared frame leaves nothing to choose.

    Parameters
    ----------
    registrar
        Short or qualified plugin name.
    error_limit_mm
        Error of a transform above which a Finding says so. [mm] 5 mm: lesions are still matched there [shared prototypes,
        tests of `track`], and it is the distance by which a patient laid down again is off in hybrid imaging.
    options
        One table per registrar, by its short or qualified name: `[align.options.rigid]`.
    """

    registrar: str = "rigid"
    error_limit_mm: float = 5.0
    options: FrozenMap[str, Settings] = field(factory=FrozenMap, converter=frozen_map)


def numbers(settings: Settings, defaults: dict[str, float], registrar: str) -> dict[str, float]:
    """Read a registrar's numeric options, each with its default.

    Raises
    ------
    ProtocolError
        If an option is not known or not a positive number.
    """
    read = dict(defaults)
    for key, given in settings.items():
        if key not in defaults or isinstance(given, str | bool) or not given > 0:
            raise ProtocolError(
                f"{key} = {given!r}",
                where=f"align.options.{registrar}",
                required=f"a positive number for one of: {', '.join(sorted(defaults))}",
                do="correct this setting",
            )
        read[key] = float(given)
    return read

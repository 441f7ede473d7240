"""What a study may choose about alignment."""

from __future__ import annotations

from attrs import field, frozen
from attrs.validators import gt

from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap, frozen_map
from lutra.ports import Settings

WHEN = ("needed", "always", "never")


@frozen
class AlignSettings:
    """Settings of the stage.

    Parameters
    ----------
    when
        `needed` registers a frame of reference that has no regions of its own, and all of them where the names of lesions
        do not tell who is who; `always` registers every frame, so that positions are compared even where the names agree;
        `never` leaves frames of reference apart.
    registrar
        Short or qualified name of the plugin that finds the rigid map.
    deformable
        Plugin that refines it before regions are propagated: `none`, `demons` or `bspline`. Default none: within one
        patient, kidneys and lesions move nearly rigidly, and a field that is wrong is worse than none.
    error_limit_mm
        Error of a map above which a Finding says so. 5 mm: lesions are still told apart there, and it is the distance by which a
        patient laid down again is off in hybrid imaging. [mm]
    options
        One table per plugin, by its short or qualified name.
    """

    when: str = "needed"
    registrar: str = "rigid"
    deformable: str = "none"
    error_limit_mm: float = field(default=5.0, validator=gt(0))
    options: FrozenMap[str, Settings] = field(factory=FrozenMap, converter=frozen_map)

    def __attrs_post_init__(self) -> None:
        if self.when not in WHEN:
            raise ProtocolError(f"{self.when!r}", where="align.when", required=f"one of: {', '.join(WHEN)}")
        used = {self.registrar, self.deformable}
        unused = sorted(set(self.options) - used)
        if unused:
            raise ProtocolError(
                f"options for {', '.join(unused)}, which this study does not use",
                where="align.options",
                required=f"one of: {', '.join(sorted(used - {'none'}))}",
                do="correct the name, or choose that plugin",
            )


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

"""How an engine reads its own table of the protocol."""

from __future__ import annotations

from lutra.core.errors import ProtocolError
from lutra.ports import Settings


def refuse_options(settings: Settings, engine: str) -> None:
    """Raise if an engine without options is given some.

    Raises
    ------
    ProtocolError
        Naming them.
    """
    whole_options(settings, {}, engine)


def whole_options(settings: Settings, defaults: dict[str, int], engine: str) -> dict[str, int]:
    """Read options that are whole numbers above 0.

    Raises
    ------
    ProtocolError
        If one is unknown or no such number.
    """
    read = dict(defaults)
    for name, given in settings.items():
        whole = (
            isinstance(given, int | float) and not isinstance(given, bool) and float(given).is_integer() and given > 0
        )
        if name not in defaults or not whole:
            known = ", ".join(f"{known} (whole, above 0)" for known in defaults)
            raise ProtocolError(
                f"{name} = {given!r}",
                where=f"dose.options.{engine}",
                required=known or "none: this engine has no options",
                do="correct it" if known else "remove it",
            )
        read[name] = int(given)
    return read

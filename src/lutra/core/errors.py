"""One tree of errors. A message says what was found, where, what is required and what to do."""

from __future__ import annotations


class LutraError(Exception):
    """Base of everything Lutra raises on purpose.

    Parameters
    ----------
    found
        What was found, in a sentence.
    where
        File, tag, table cell or setting.
    required
        What would have been right.
    do
        What the reader can do about it.
    """

    def __init__(self, found: str, *, where: str = "", required: str = "", do: str = "") -> None:
        self.found, self.where, self.required, self.do = found, where, required, do
        parts = [f"{where}: {found}" if where else found]
        if required:
            parts.append(f"required: {required}")
        if do:
            parts.append(f"to do: {do}")
        super().__init__("; ".join(parts))


class InputError(LutraError):
    """A file or table does not say what it must."""


class NotDicom(InputError):
    """A file is not DICOM at all."""


class Unreadable(InputError):
    """A file is DICOM but broken: truncated, or a pixel size that does not fit its header."""


class InconsistentSeries(InputError):
    """The instances of one series contradict each other."""


class UsageError(LutraError):
    """A command or function was called in a way that cannot work."""


class ProtocolError(InputError):
    """A study protocol has a missing, unknown or impossible setting."""


class UnitMismatch(LutraError):
    """Two quantities of different units were combined."""


class GridMismatch(LutraError):
    """Two images were combined that do not share a grid or a frame of reference."""


class OutsideValidity(LutraError):
    """A method was asked for something outside the range it was derived or measured for."""


class Undetermined(LutraError):
    """A quantity cannot be determined from what is there. Never replaced by a guess."""


class SharedSource(LutraError):
    """Two uncertainties of one source would have been treated as independent."""


class StoreError(LutraError):
    """The study folder cannot be used as it is."""


class SourceChanged(StoreError):
    """A source file is gone or no longer what it was when it was added."""


class PluginError(LutraError):
    """A plugin is missing, ambiguous or does not fit its socket."""


class MissingExtra(LutraError):
    """A command needs packages that are installed only on request."""


class NetworkError(LutraError):
    """An archive or a port on the network cannot be used."""


class Unreachable(NetworkError):
    """Nobody answers, or not in time."""


class AccessDenied(NetworkError):
    """The archive does not know who asks, or does not let them."""


class BrokenAnswer(NetworkError):
    """The archive answers something else than it was asked for, or stops in the middle."""

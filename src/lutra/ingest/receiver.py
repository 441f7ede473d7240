"""Receives images as a DICOM storage node: C-ECHO and C-STORE for the classes Lutra reads."""

from __future__ import annotations

from pathlib import Path
from queue import Empty, SimpleQueue
from time import monotonic, sleep
from types import TracebackType
from typing import Any, Self

from attrs import frozen
from pydicom import Dataset, uid

from lutra.core.errors import Unreachable, Unreadable
from lutra.core.finding import Finding, Severity
from lutra.core.frozen import FrozenMap
from lutra.ingest.bare import read_whole
from lutra.ingest.extras import need
from lutra.ingest.quiet import quietly
from lutra.ingest.shelf import shelve

VERIFICATION = "1.2.840.10008.1.1"
STORAGE = (
    uid.CTImageStorage,
    uid.EnhancedCTImageStorage,
    uid.LegacyConvertedEnhancedCTImageStorage,
    uid.MRImageStorage,
    uid.EnhancedMRImageStorage,
    uid.LegacyConvertedEnhancedMRImageStorage,
    uid.PositronEmissionTomographyImageStorage,
    uid.EnhancedPETImageStorage,
    uid.LegacyConvertedEnhancedPETImageStorage,
    uid.NuclearMedicineImageStorage,
    uid.RTStructureSetStorage,
    uid.RTDoseStorage,
    uid.SegmentationStorage,
    uid.RealWorldValueMappingStorage,
    uid.ParametricMapStorage,
)
"""What is accepted. Anything else, secondary captures above all, is refused while the association is negotiated."""
SYNTAXES = (
    uid.ExplicitVRLittleEndian,
    uid.ImplicitVRLittleEndian,
    uid.DeflatedExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.RLELossless,
    uid.JPEGLosslessSV1,
    uid.JPEGLossless,
    uid.JPEGLSLossless,
    uid.JPEG2000Lossless,
    uid.JPEGBaseline8Bit,
    uid.JPEGExtended12Bit,
    uid.JPEGLSNearLossless,
    uid.JPEG2000,
)
"""Every encoding that can be decoded: an image is kept as its sender holds it, and nobody converts it on the way."""

SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
NOT_OF_ITS_CLASS = 0xA900
CANNOT_UNDERSTAND = 0xC000
"""C-STORE status codes [PS3.4 table B.2-1]."""
GRACE_S = 5.0
"""How long associations may finish once the receiver stops."""


@frozen
class ReceiverSettings:
    """Who the receiver is and whom it listens to.

    Parameters
    ----------
    ae_title
        Its own application entity title; a caller that asks for another one is refused.
    host
        Address to listen on. Loopback unless told: a DICOM port asks nobody for a password.
    port
        TCP port; 0 takes a free one.
    callers
        Application entity titles that may send; none means any.
    """

    ae_title: str = "LUTRA"
    host: str = "127.0.0.1"
    port: int = 11112
    callers: tuple[str, ...] = ()
    max_associations: int = 10


@frozen
class Ended:
    """An association is over, in whatever way."""

    caller: str


class Receiver:
    """A running storage node, from `with` to the end of its block.

    What happens is told by :meth:`next`, so that one thread alone deals with it however many associations there are. An
    instance is on the disk, under the hash of its content, before its sender hears that it was stored.

    Parameters
    ----------
    folder
        Where instances go; see :func:`lutra.ingest.shelf.shelve`.

    Raises
    ------
    MissingExtra
        If pynetdicom is not installed.
    Unreachable
        If the port cannot be listened on.
    """

    def __init__(self, folder: Path, settings: ReceiverSettings) -> None:
        self.folder, self.settings = folder, settings
        self._happened: SimpleQueue[Path | Finding | Ended] = SimpleQueue()
        self._silence = quietly()
        net = need("pynetdicom", "pacs")
        self._entity = net.AE(settings.ae_title)
        self._entity.require_called_aet = True
        self._entity.require_calling_aet = list(settings.callers)
        self._entity.maximum_associations = settings.max_associations
        self._entity.add_supported_context(VERIFICATION)
        for storage in STORAGE:
            self._entity.add_supported_context(storage, list(SYNTAXES))
        self._handlers = [
            (net.evt.EVT_C_STORE, self._on_store),
            (net.evt.EVT_REJECTED, self._on_rejected),
            *((event, self._on_end) for event in (net.evt.EVT_RELEASED, net.evt.EVT_ABORTED, net.evt.EVT_CONN_CLOSE)),
        ]

    def __enter__(self) -> Self:
        settings = self.settings
        try:
            self._server = self._entity.start_server(
                (settings.host, settings.port), block=False, evt_handlers=self._handlers
            )
        except OSError as error:
            raise Unreachable(
                f"cannot listen: {error.strerror or error}",
                where=f"{settings.host} port {settings.port}",
                do="choose another --port, or stop what listens there",
            ) from error
        self._silence.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Take no new associations, let those at work finish, then cut them off."""
        self._server.shutdown()
        until = monotonic() + GRACE_S
        while self._entity.active_associations and monotonic() < until:
            sleep(0.05)
        self._entity.shutdown()
        self._silence.__exit__(kind, error, trace)

    @property
    def port(self) -> int:
        """The TCP port listened on."""
        return int(self._server.server_address[1])

    def next(self, timeout_s: float) -> Path | Finding | Ended | None:
        """Wait for what happens next: an instance stored, something refused, an association over; None if nothing did."""
        try:
            return self._happened.get(timeout=timeout_s)
        except Empty:
            return None

    # ---- called by pynetdicom, one thread for each association ----
    def _on_store(self, event: Any) -> Dataset:
        request, caller = event.request, _caller(event)
        try:
            content = event.encoded_dataset()
            dataset = read_whole(content)
        except Unreadable as error:
            return self._refused(CANNOT_UNDERSTAND, caller, str(request.AffectedSOPInstanceUID), error.found)
        said = (str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID))
        held = (str(dataset.SOPClassUID), str(dataset.SOPInstanceUID))
        if said != held:
            return self._refused(
                NOT_OF_ITS_CLASS, caller, said[1], f"announced as {' '.join(said)}, it is {' '.join(held)}"
            )
        try:
            path = shelve(self.folder, content)
        except OSError as error:
            return self._refused(OUT_OF_RESOURCES, caller, said[1], f"cannot be written: {error.strerror or error}")
        self._happened.put(path)
        return _status(SUCCESS)

    def _refused(self, code: int, caller: str, instance: str, why: str) -> Dataset:
        self._happened.put(
            Finding(
                Severity.ERROR,
                "ingest.not-received",
                f"instance {instance} sent by {caller} was refused with status 0x{code:04X}: {why}. To do: "
                + ("make room on the disk and send it again" if code == OUT_OF_RESOURCES else "have it sent again"),
                FrozenMap({"instance": instance, "caller": caller}),
            )
        )
        return _status(code, why)

    def _on_rejected(self, event: Any) -> None:
        asked = event.assoc.requestor.primitive
        what = f"{event.assoc.requestor.address} calls itself {asked.calling_ae_title!r}, asked for {asked.called_ae_title!r}"
        allowed = f"{self.settings.ae_title!r}, called by {' or '.join(self.settings.callers) or 'anybody'}"
        at_once = f"at most {self.settings.max_associations} at a time"
        self._happened.put(
            Finding(
                Severity.WARNING,
                "ingest.association-refused",
                f"{what} and was refused. Required: {allowed}, {at_once}. To do: correct titles there, or --ae and --allow here",
                FrozenMap({"caller": str(asked.calling_ae_title), "called": str(asked.called_ae_title)}),
            )
        )

    def _on_end(self, event: Any) -> None:
        self._happened.put(Ended(_caller(event)))


def _caller(event: Any) -> str:
    return str(event.assoc.requestor.ae_title)


def _status(code: int, comment: str = "") -> Dataset:
    status = Dataset()
    status.Status = code
    if comment:
        status.ErrorComment = comment.encode("ascii", "replace").decode("ascii").replace("\\", "/")[:64]  # VR LO
    return status

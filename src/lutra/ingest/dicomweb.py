"""Client of a DICOMweb archive: find (QIDO-RS), retrieve (WADO-RS) and store (STOW-RS) instances.

Searching and storing is dicomweb-client's. Retrieving is done here: that library gives data sets, not the bytes that were
sent, and takes an answer that was cut for a whole one.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from email.message import Message
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pydicom
from attrs import field, frozen

from lutra.core.errors import AccessDenied, BrokenAnswer, NetworkError, Unreachable, Unreadable, UsageError
from lutra.ingest.bare import read_whole
from lutra.ingest.extras import need
from lutra.ingest.quiet import quietly

AS_STORED = 'multipart/related; type="application/dicom"; transfer-syntax=*'
"""Accept header for an instance in whatever encoding the archive holds it [PS3.18 8.7.3.5.2]."""
PATIENT, MODALITY, STUDY, SERIES, INSTANCE = "00100020", "00080060", "0020000D", "0020000E", "00080018"
UID = re.compile(r"[0-9.]{1,64}")
UNCHUNKED = 1 << 40
"""Size from which a body is sent in pieces: never, since not every archive takes that. [byte]"""
CONNECT_S = 10.0
"""How long a server may take to accept a connection; `timeout_s` is for its answers."""


@frozen
class Archive:
    """Where an archive is and who asks.

    Parameters
    ----------
    url
        Root of the service, such as `https://pacs.example/dicom-web`. It must not carry a password.
    user, password
        For basic authentication.
    token
        Bearer token, instead of both.
    timeout_s
        How long an answer may take to go on. [s]
    """

    url: str
    user: str = ""
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    timeout_s: float = 60.0

    def __attrs_post_init__(self) -> None:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise UsageError(f"{self.url!r} is no address of a DICOMweb service", required="http://... or https://...")
        if parts.username or parts.password:
            raise UsageError(
                "the address holds a user name or password, which others can read",
                where=parts.hostname,
                do="give them by environment variable or credentials file",
            )


@frozen
class Query:
    """What to look for; empty means any. Values are taken literally, without wildcards."""

    patient_id: str = ""
    study_uid: str = ""
    series_uid: str = ""
    modality: str = ""


@frozen(order=True)
class Remote:
    """An instance in an archive."""

    study_uid: str
    series_uid: str
    instance_uid: str


class DicomWeb:
    """A connection to one archive.

    Raises
    ------
    MissingExtra
        If dicomweb-client is not installed.
    """

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        web = need("dicomweb_client.web", "pacs")
        self._requests = need("requests", "pacs")
        self._session = self._requests.Session()
        if archive.token:
            self._session.auth = _bearer(archive.token)
        elif archive.user:
            self._session.auth = (archive.user, archive.password)
        self._timeout = (min(CONNECT_S, archive.timeout_s), archive.timeout_s)
        self._client = web.DICOMwebClient(
            archive.url, session=self._session, callback=_refuse_web_page, timeout=self._timeout, chunk_size=UNCHUNKED
        )
        self._client.set_http_retry_params(retry=False)  # a person runs the command again, and what is there is kept

    def find(self, query: Query) -> tuple[Remote, ...]:
        """Find the instances that fit.

        A server may ignore a condition that it does not know. So each is checked again in its answers where they say, and the
        patient once more in what is retrieved.

        Raises
        ------
        UsageError
            If nothing says which images, or with wildcards.
        NetworkError
            If the archive cannot be asked.
        """
        _require_plain(query)
        of_study = {"PatientID": query.patient_id, "StudyInstanceUID": query.study_uid}
        of_series = {"SeriesInstanceUID": query.series_uid, "Modality": query.modality}
        if any(of_study.values()):
            series = [
                (study, one)
                for study in (_value(row, STUDY) for row in self._search("studies", of_study))
                for one in (_value(row, SERIES) for row in self._search("series", of_series, study_instance_uid=study))
            ]
        else:
            series = [(_value(row, STUDY), _value(row, SERIES)) for row in self._search("series", of_series)]
        return tuple(
            sorted(
                Remote(study, one, _value(row, INSTANCE))
                for study, one in series
                for row in self._search("instances", {}, study_instance_uid=study, series_instance_uid=one)
            )
        )

    def retrieve(self, remote: Remote, patient_id: str = "") -> bytes:
        """Retrieve one instance as the archive holds it.

        Raises
        ------
        NetworkError
            If the archive does not give it; a `BrokenAnswer` if what it gives is not the whole of this very instance, of this
            patient where one is named.

        Not silent by itself: threads call this, and silence is one for all of them; see :mod:`lutra.ingest.quiet`.
        """
        where = f"studies/{remote.study_uid}/series/{remote.series_uid}/instances/{remote.instance_uid}"
        with self._explained(where):
            url = f"{self.archive.url.rstrip('/')}/{where}"
            response = self._session.get(url, headers={"Accept": AS_STORED}, timeout=self._timeout)
            response.raise_for_status()
            content = single_part(response.headers.get("Content-Type", ""), response.content)
            dataset = read_whole(content)
        for tag, asked, given in (
            ("SOP Instance UID (0008,0018)", remote.instance_uid, str(dataset.SOPInstanceUID)),
            ("patient (0010,0020)", patient_id, str(dataset.PatientID)),
        ):
            if asked and asked != given:
                raise BrokenAnswer(f"{tag} {given} came for {asked}", where=where, do="ask those who run the archive")
        return content

    def store(self, path: Path) -> None:
        """Send one instance to the archive.

        Raises
        ------
        NetworkError
            If the archive does not take it; says its reason.
        """
        with self._explained("studies"), quietly():
            answer = self._client.store_instances([pydicom.dcmread(path)])
        failed = answer.get("FailedSOPSequence")
        if failed:
            reason = int(failed[0].get("FailureReason", 0))
            raise NetworkError(
                f"the archive refuses {path.name}: reason 0x{reason:04X} (0008,1197)", where=self.archive.url
            )

    def _search(self, level: str, conditions: Mapping[str, str], **within: str) -> list[dict[str, Any]]:
        """Ask page after page until one brings nothing new: some servers limit their answers, some ignore the offset."""
        tag = {"studies": STUDY, "series": SERIES, "instances": INSTANCE}[level]
        filters = {name: value for name, value in conditions.items() if value}
        rows: dict[str, dict[str, Any]] = {}
        while True:
            with self._explained(level):
                page = getattr(self._client, f"search_for_{level}")(search_filters=filters, offset=len(rows), **within)
                found = {_value(row, tag): row for row in page}
                new = {uid: row for uid, row in found.items() if uid not in rows}
            if not new:
                break
            rows.update(new)
        tags = {"PatientID": PATIENT, "Modality": MODALITY, "StudyInstanceUID": STUDY, "SeriesInstanceUID": SERIES}
        return [
            row
            for row in rows.values()
            if all(_value(row, tags[name], filters[name]) == filters[name] for name in filters)
        ]

    @contextmanager
    def _explained(self, what: str) -> Iterator[None]:
        """Turn what can go wrong on the way into errors that say what to do."""
        where, errors = f"{self.archive.url} ({what})", self._requests.exceptions
        try:
            yield
        except errors.HTTPError as error:
            raise _refused(error.response.status_code, where) from error
        except errors.SSLError as error:
            do = "set REQUESTS_CA_BUNDLE to the certificates of your institution"
            raise Unreachable("its certificate is not trusted", where=where, do=do) from error
        except errors.Timeout as error:
            what = f"no answer within {self.archive.timeout_s:g} s"
            raise Unreachable(what, where=where, do="try again later, or with a longer --timeout") from error
        except errors.ChunkedEncodingError as error:
            raise BrokenAnswer("the answer stops in the middle", where=where, do="run the command again") from error
        except errors.ConnectionError as error:
            raise Unreachable(
                "nobody answers there, or no longer", where=where, do="check address, port and firewall"
            ) from error
        except Unreadable as error:
            raise BrokenAnswer(
                f"what it sends is no whole instance: {error.found}", where=where, do="try again"
            ) from error
        except NetworkError as error:
            raise type(error)(error.found, where=where, required=error.required, do=error.do) from error
        except (ValueError, errors.RequestException) as error:
            do = "check that the address is the root of a DICOMweb service"
            raise BrokenAnswer(f"the answer makes no sense: {error}", where=where, do=do) from error


def single_part(content_type: str, body: bytes) -> bytes:
    """Take the one part out of a multipart answer [RFC 2046 5.1].

    Raises
    ------
    BrokenAnswer
        If the answer is of another kind, holds another number of parts, or ends before the mark of its end.
    """
    header = Message()
    header["Content-Type"] = content_type
    kind, boundary = header.get_content_type(), header.get_param("boundary")
    if kind == "application/dicom":
        return body  # against the standard and not rare
    if kind != "multipart/related" or not isinstance(boundary, str):
        raise BrokenAnswer(
            f"the answer is {content_type or 'of no kind'}", required="multipart/related with a boundary"
        )
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary.encode("ascii"))
    if not parts or not parts[-1].startswith(b"--"):
        raise BrokenAnswer("the answer stops in the middle", do="run the command again")
    if len(parts) != 2:
        raise BrokenAnswer(f"{len(parts) - 1} instances came", required="the one that was asked for")
    _, _, content = parts[0].partition(b"\r\n\r\n")
    return content


def _require_plain(query: Query) -> None:
    uids = (query.study_uid, query.series_uid)
    if not any((query.patient_id, *uids)):
        raise UsageError(
            "nothing says which images", required="a patient, study or series", do="add --patient, --study or --series"
        )
    if any(set(value) & set("*?\\") for value in (query.patient_id, query.modality)):
        raise UsageError(
            "wildcards would fetch what nobody asked for", required="a whole patient identifier and modality"
        )
    for value in uids:
        if value and not UID.fullmatch(value):
            raise UsageError(f"{value!r} is no UID", required="digits and dots, at most 64")


def _value(row: Any, tag: str, default: str = "") -> str:
    """First value of an attribute in an answer; a UID must be one, since it becomes part of an address."""
    try:
        value = str((row.get(tag, {}).get("Value") or [default])[0])
    except (AttributeError, TypeError) as error:
        do = "check that the address is the root of a DICOMweb service"
        raise BrokenAnswer(
            "the answer is no list of DICOM data sets", required="DICOM JSON [PS3.18 F]", do=do
        ) from error
    if tag in {STUDY, SERIES, INSTANCE} and not UID.fullmatch(value):
        raise BrokenAnswer(f"{value!r} is no UID ({tag})", do="ask those who run the archive")
    return value


def _bearer(token: str) -> Callable[[Any], Any]:
    def add(request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {token}"
        return request

    return add


def _refuse_web_page(response: Any, *_: Any, **__: Any) -> None:
    """Tell a page to log in, which comes with status 200, from an empty search result."""
    if response.ok and response.headers.get("Content-Type", "").startswith("text/html"):
        response.close()
        do = "check that the address is the root of a DICOMweb service, and the credentials"
        raise BrokenAnswer("it answers with a web page", required="DICOM JSON or multipart", do=do)


def _refused(status: int, where: str) -> NetworkError:
    if status in {401, 403}:
        do = "check user and password or token; see lutra study fetch --help"
        return AccessDenied(f"it does not let you in (HTTP {status})", where=where, do=do)
    if status == 404:
        return NetworkError("it has no such thing (HTTP 404)", where=where, do="check the address and the identifiers")
    return NetworkError(f"it refuses (HTTP {status})", where=where, do="ask those who run the archive")

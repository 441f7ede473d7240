"""A patient whose name, number and birth date are found nowhere but where the documents say they are.

A scan carries them in every place a hospital writes them, its folder too. The study is run, reported, decided, served and signed;
then all that it wrote and said is searched, as text and unpacked.
"""

from __future__ import annotations

import http.cookiejar
import io
import json
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pydicom
import pytest
from attrs import define, field
from typer.testing import CliRunner

pytest.importorskip("fastapi")
pytest.importorskip("argon2")

from lutra.cli.main import app
from lutra.export import PatientIdentity

from .test_changes import write_scan

NAME, NUMBER = ("Zyxwvut", "Quokka"), "MRN8675309X"
BORN = datetime(1943, 8, 17, tzinfo=UTC)
CANARIES = tuple(
    word.lower()
    for word in (*NAME, NUMBER, f"{BORN:%Y%m%d}", f"{BORN:%Y-%m-%d}", f"{BORN:%d.%m.%Y}", f"{BORN:%d %b %Y}")
)
PASSWORD = "otters-hold-hands-asleep"  # noqa: S105  (of nobody)


@define
class Clinic:
    """A study, and everything that was said about it."""

    home: Path
    study: Path
    said: list[str] = field(factory=list)

    def lutra(self, *words: str | Path, keep: bool = True) -> str:
        done = CliRunner().invoke(app, [str(word) for word in words])
        assert done.exit_code in (0, 3, 4), done.output
        if keep:
            self.said += [done.output]
        return done.output


@pytest.fixture
def clinic(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Iterator[Clinic]:
    """An empty study; temporary files go to a folder beside it, which is searched as well."""
    for name in ("config", "tmp"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    for name, folder in (("XDG_CONFIG_HOME", "config"), ("TMPDIR", "tmp")):
        monkeypatch.setenv(name, str(tmp_path / folder))
    made = Clinic(tmp_path, tmp_path / "study")
    made.lutra("study", "init", made.study)
    yield made
    assert _found(((f"written {n}", text) for n, text in enumerate(capfd.readouterr())), CANARIES) == []


@pytest.fixture(scope="module")
def scans(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two PET and their contours with the canary in them, and in the names of files and folders."""
    folder = tmp_path_factory.mktemp("clinic") / "_".join((*NAME, NUMBER))
    folder.mkdir()
    patient = PatientIdentity(NUMBER, "^".join(NAME), "F", 70.0, 1.7)
    for name, month in (("baseline", 1), ("second", 4)):
        write_scan(folder, name, datetime(2026, month, 12, 9, tzinfo=UTC), 5.0 + month, patient=patient)
    for path in folder.rglob("*.dcm"):
        dataset = pydicom.dcmread(path)
        dataset.PatientBirthDate, dataset.OtherPatientIDs = f"{BORN:%Y%m%d}", NUMBER
        dataset.PatientComments = dataset.ImageComments = f"{NAME[1]}, born {BORN:%d.%m.%Y}"
        dataset.AccessionNumber, dataset.StudyID = NUMBER, NUMBER
        dataset.StudyDescription = f"PET {NAME[0]} {NAME[1]}"
        dataset.save_as(path)
    return folder


def _work(clinic: Clinic, subject: str) -> None:
    """Do with a study what is done with one."""
    tables = clinic.home / "tables"
    tables.mkdir()
    (tables / "subjects.csv").write_text(f"record_id,redcap_event_name,sex,age\n{subject},baseline,F,82\n")
    labs = f"record_id,redcap_event_name,lab_date,lab_test,lab_value,lab_unit\n{subject},baseline,2026-01-05,platelets,150,10*9/L\n"
    (tables / "labs.csv").write_text(labs)
    study = clinic.study
    clinic.lutra("study", "tables", study, tables)
    clinic.lutra("run", study)
    clinic.lutra("report", study)
    clinic.lutra("report", study, "--for-reader")
    clinic.lutra("study", "check", study, "--artifacts")
    clinic.lutra("decide", study, subject, "1")
    clinic.lutra("audit", "show", study)
    clinic.lutra("export", "tables", study, "--out", clinic.home / "exported")
    for role in ("physician", "admin", "reader"):
        clinic.lutra("users", "add", study, f"the-{role}", "--role", role, "--password", PASSWORD)
    _visit(clinic, subject)


def _visit(clinic: Clinic, subject: str) -> None:
    """Serve the study and be there as everybody, and as somebody who types the canary into every place."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "lutra.cli.main", "serve", str(clinic.study), "--port", str(port)]
    server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        room = f"http://127.0.0.1:{port}"
        until = time.monotonic() + 60
        while "Sign in" not in Visitor(room).get("/sign-in"):
            assert time.monotonic() < until
            time.sleep(0.1)
        stranger = Visitor(room)
        token = stranger.get("/sign-in")
        stranger.post("/sign-in", token, name=" ".join(NAME), password=NUMBER)
        for role in ("reader", "physician", "admin"):
            person = Visitor(room)
            person.post("/sign-in", person.get("/sign-in"), name=f"the-{role}", password=PASSWORD)
            pages = _walked(person)
            clinic.said += [*pages, *pages.values()]
            for lost in (f"/decisions/{NUMBER}/1", f"/report/subjects/{NAME[1]}.html", f"/nowhere?name={NAME[0]}"):
                person.get(lost)
            if role == "physician":
                where = f"/decisions/{subject}/1"
                page = person.get(where)
                hidden = dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page))
                person.post(where, page, **{**hidden, "verdict": "DELAY", "reason": "away", "password": PASSWORD})
            if role == "reader":
                page = person.get("/responses")
                person.post(f"/responses/{subject}/lock", page, password=PASSWORD)
    finally:
        server.terminate()
        clinic.said += server.communicate(timeout=30)


@define
class Visitor:
    """A browser without a screen."""

    room: str
    _open: urllib.request.OpenerDirector = field(
        factory=lambda: urllib.request.build_opener(urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar()))
    )

    def get(self, where: str, form: dict[str, str] | None = None) -> str:
        body = urllib.parse.urlencode(form).encode() if form is not None else None
        try:
            with self._open.open(self.room + where, body, timeout=30) as answer:
                return str(answer.read().decode("utf-8", "replace"))
        except urllib.error.HTTPError as refused:
            return str(refused.read().decode("utf-8", "replace"))
        except urllib.error.URLError:  # not there yet
            return ""

    def post(self, where: str, page: str, **fields: str) -> str:
        token = re.search(r'name="csrf" value="([^"]+)"', page)
        assert token, page
        return self.get(where, {"csrf": token[1], **fields})


def _walked(person: Visitor) -> dict[str, str]:
    """Every page a person comes to by links, by its address."""
    pages: dict[str, str] = {}
    waiting = ["/"]
    while waiting:
        where = waiting.pop()
        if where not in pages:
            pages[where] = person.get(where)
            links = re.findall(r'href="([^"#:]+)"', pages[where])
            waiting += [urllib.parse.urlsplit(urllib.parse.urljoin(where, link)).path for link in links]
    return pages


def _texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Names and contents of all files of a folder, unpacked where they are packed."""
    for path in sorted(folder.rglob("*")):
        yield str(path.relative_to(folder)), path.name
        if not path.is_file():
            continue
        content = path.read_bytes()
        yield str(path), content.decode("latin-1")
        if path.suffix in (".npz", ".xlsx", ".zip"):
            with zipfile.ZipFile(io.BytesIO(content)) as packed:
                for name in packed.namelist():
                    yield f"{path} {name}", name + packed.read(name).decode("latin-1")
        elif path.suffix == ".parquet":
            import pyarrow.parquet

            yield f"{path} unpacked", json.dumps(pyarrow.parquet.read_table(path).to_pylist(), default=str)


def _found(texts: Iterator[tuple[str, str]], canaries: tuple[str, ...]) -> list[tuple[str, str]]:
    return [(where, canary) for where, text in texts for canary in canaries if canary in text.lower()]


def test_a_deidentified_study_knows_nothing_of_its_patients(scans: Path, clinic: Clinic) -> None:
    key = clinic.home / "config" / "study.key"
    clinic.lutra(
        "study", "add", clinic.study, scans, "--deidentify", "--key", key, keep=False
    )  # it may name the originals
    known = json.loads(clinic.lutra("study", "pseudonym", NUMBER, "--key", key, "--json", keep=False))["subjects"][0]
    _work(clinic, known["pseudonym"])
    assert known["pseudonym"] in "".join(clinic.said)
    assert "decision signed" in clinic.lutra("audit", "show", clinic.study)
    assert _found(_texts(clinic.home), CANARIES) == []
    assert _found(((f"said {n}", text) for n, text in enumerate(clinic.said)), CANARIES) == []


def test_a_study_that_is_not_deidentified_knows_a_number_and_no_name(
    scans: Path, clinic: Clinic, tmp_path: Path
) -> None:
    """Its subjects are called by the patient's number, and it knows where the files are; names and birth dates stay in these."""
    folder = scans.rename(tmp_path / "scans")
    try:
        clinic.lutra("study", "add", clinic.study, folder)
        _work(clinic, NUMBER)
    finally:
        folder.rename(scans)
    canaries = tuple(canary for canary in CANARIES if canary != NUMBER.lower())
    assert NUMBER in "".join(clinic.said)
    assert _found(_texts(clinic.home), canaries) == []
    assert _found(((f"said {n}", text) for n, text in enumerate(clinic.said)), canaries) == []
    assert _found(_texts(scans), canaries)  # the search finds what is there

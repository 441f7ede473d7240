"""A real archive, Orthanc from Debian, in a network namespace of its own.

Orthanc 1.10 listens on every address whatever its configuration says. In a namespace that holds nothing but loopback nobody
else can reach it; what talks to it is started inside as well. Making one needs root.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from lutra.simulate import TrialSettings, simulate_trial
from lutra.simulate.clinic import ClinicSettings
from lutra.simulate.patient import PatientSettings
from lutra.simulate.sizes import SMALL

NEEDED = ("Orthanc", "ip", "storescu", "dcmcjpeg", "dcmcrle", "dcmodify")
PLUGIN = Path("/usr/share/orthanc/plugins/libOrthancDicomWeb.so")
HTTP, DICOM, RECEIVER = 8042, 4242, 11112
USER, PASSWORD = "physicist", "only-for-this-test"
URL = f"http://127.0.0.1:{HTTP}/dicom-web"
START_S, COMMAND_S = 30.0, 120.0


@frozen
class Ran:
    """What a command printed and how it exited."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@frozen
class Namespace:
    """A network of its own; everything in it dies with it."""

    name: str

    def start(self, *words: str | Path, **options: Any) -> subprocess.Popen[str]:
        command = ["ip", "netns", "exec", self.name, *map(str, words)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True, **options
        )

    def run(self, *words: str | Path, **options: Any) -> Ran:
        process = self.start(*words, **options)
        try:
            out, err = process.communicate(timeout=COMMAND_S)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"{' '.join(map(str, words))} took more than {COMMAND_S:g} s\n{out}\n{err}")
        return Ran(process.returncode, out, err)

    def lutra(self, *words: str | Path, **secrets: str) -> Ran:
        return self.run(sys.executable, "-m", "lutra.cli.main", *words, env=environment(**secrets))

    def start_lutra(self, *words: str | Path) -> subprocess.Popen[str]:
        return self.start(sys.executable, "-m", "lutra.cli.main", *words, env=environment())

    def close(self) -> None:
        pids = subprocess.run(["ip", "netns", "pids", self.name], capture_output=True, text=True, check=False)
        for pid in pids.stdout.split():
            subprocess.run(["kill", "-9", pid], capture_output=True, check=False)
        subprocess.run(["ip", "netns", "delete", self.name], capture_output=True, check=False)


def environment(**secrets: str) -> dict[str, str]:
    """Environment of a command; of the credentials only those that the test gives."""
    plain = {name: value for name, value in os.environ.items() if not name.startswith("LUTRA_")}
    return {**plain, "NO_COLOR": "1", **secrets}


KNOWN = {"LUTRA_DICOMWEB_USER": USER, "LUTRA_DICOMWEB_PASSWORD": PASSWORD}
"""Credentials that Orthanc accepts."""


@pytest.fixture(scope="session")
def network() -> Iterator[Namespace]:
    reason = ""
    missing = [tool for tool in NEEDED if shutil.which(tool) is None] + ([] if PLUGIN.exists() else [PLUGIN.name])
    if missing:
        reason = f"missing: {', '.join(missing)} (Debian: orthanc orthanc-dicomweb dcmtk iproute2)"
    elif os.geteuid() != 0:
        reason = "a network namespace needs root"
    namespace = Namespace(f"lutra-{os.getpid()}")
    if not reason:
        made = subprocess.run(["ip", "netns", "add", namespace.name], capture_output=True, text=True, check=False)
        reason = f"no network namespace: {made.stderr.strip()}" if made.returncode else ""
    if reason:
        if os.environ.get("CI"):
            pytest.fail(reason)
        pytest.skip(reason)
    try:
        up = namespace.run("ip", "link", "set", "lo", "up")
        assert up.code == 0, up.err
        yield namespace
    finally:
        namespace.close()


@pytest.fixture(scope="session")
def orthanc(network: Namespace, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Namespace]:
    """A namespace with an Orthanc that answers."""
    folder = tmp_path_factory.mktemp("orthanc")
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "db"),
        "IndexDirectory": str(folder / "db"),
        "TemporaryDirectory": str(folder),
        "Plugins": [str(PLUGIN)],
        "HttpPort": HTTP,
        "DicomPort": DICOM,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {USER: PASSWORD},
        "DicomModalities": {
            "lutra": ["LUTRA", "127.0.0.1", RECEIVER],
            "other-title": ["NOBODY", "127.0.0.1", RECEIVER],
        },
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        "KeepAlive": True,
    }
    (folder / "orthanc.json").write_text(json.dumps(settings))
    log = (folder / "log").open("w")
    process = subprocess.Popen(
        ["ip", "netns", "exec", network.name, "Orthanc", str(folder / "orthanc.json")],
        stdout=log,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
    )
    try:
        until = time.monotonic() + START_S
        while rest(network, "/system").code != 0:
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"Orthanc does not start:\n{(folder / 'log').read_text()}")
            time.sleep(0.2)
        yield network
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


ASK = """
import sys, requests
method, path, body = sys.argv[1:4]
answer = requests.request(method, "http://127.0.0.1:{port}" + path, auth=("{user}", "{password}"), data=body, timeout=60)
print(answer.text)
sys.exit(not answer.ok)
"""


def rest(network: Namespace, path: str, method: str = "GET", body: str = "") -> Ran:
    """Ask Orthanc's own interface, which is no DICOMweb."""
    return network.run(sys.executable, "-c", ASK.format(port=HTTP, user=USER, password=PASSWORD), method, path, body)


@pytest.fixture(scope="session")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of two digital patients with one cycle on coarse grids: one with SPECT as PET slices, one as NM."""
    coarse = evolve(SMALL, ct_mm=(7, 7, 8), low_dose_ct_mm=(7, 7, 7), pet_mm=(10, 10, 10), dwi_mm=(8, 8, 12))
    settings = TrialSettings(coarse, PatientSettings(clinic=ClinicSettings(cycles=1)))
    return simulate_trial(tmp_path_factory.mktemp("simulated") / "out", 2, 1, settings).dicom


@pytest.fixture(scope="session")
def patient(simulated: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three series of a digital patient: a CT, a PET and an RTSTRUCT."""
    import pydicom

    chosen: dict[str, str] = {}
    folder = tmp_path_factory.mktemp("patient")
    for path in sorted((simulated / "SIM-001").rglob("*.dcm")):
        header = pydicom.dcmread(path, stop_before_pixels=True)
        if header.Modality in {"CT", "PT", "RTSTRUCT"}:
            series = chosen.setdefault(header.Modality, header.SeriesInstanceUID)
            if header.SeriesInstanceUID == series:
                (folder / header.Modality).mkdir(exist_ok=True)
                shutil.copy(path, folder / header.Modality)
    return folder

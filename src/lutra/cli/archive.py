"""Commands that talk to an archive: fetch, receive, send."""

from __future__ import annotations

import os
import signal
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lutra.cli import show
from lutra.core.errors import UsageError

if TYPE_CHECKING:
    from lutra.ingest import DicomWeb
    from lutra.pipeline.exchange import Exchanged

SECRETS = {"user": "LUTRA_DICOMWEB_USER", "password": "LUTRA_DICOMWEB_PASSWORD", "token": "LUTRA_DICOMWEB_TOKEN"}

Url = Annotated[
    str, typer.Option("--url", help="Root of the DICOMweb service, such as https://pacs.example/dicom-web.")
]
Credentials = Annotated[
    Path | None,
    typer.Option(
        help=f"TOML file, readable by you alone, with user and password, or token. Else {', '.join(SECRETS.values())}."
    ),
]
Timeout = Annotated[float, typer.Option(help="How long an answer may take. [s]")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def study_fetch(
    directory: Annotated[Path, typer.Argument(help="Study folder.", show_default=False)],
    url: Url,
    patient: Annotated[str, typer.Option(help="Patient identifier.")] = "",
    study: Annotated[str, typer.Option(help="Study Instance UID.")] = "",
    series: Annotated[str, typer.Option(help="Series Instance UID.")] = "",
    modality: Annotated[str, typer.Option(help="Only this modality, such as CT.")] = "",
    credentials: Credentials = None,
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Fetch images from a DICOMweb archive. Run again, it fetches only what is missing."""
    from lutra.ingest import Query
    from lutra.pipeline.exchange import fetch
    from lutra.pipeline.study import StudyFolder

    with show.reported():
        web = _connected(url, credentials, timeout)
        with show.progress_bar() as bar:
            task = bar.add_task("fetching", total=None)
            done = fetch(
                StudyFolder(directory),
                web,
                Query(patient, study, series, modality),
                lambda n, of: bar.update(task, completed=n, total=of),
            )
    _say(
        done,
        json,
        {"fetched": done.moved, "known": done.known, "new_instances": done.new},
        f"{done.moved} instances fetched, {done.known} were there already",
    )


def receive(
    directory: Annotated[Path, typer.Argument(help="Study folder.", show_default=False)],
    port: Annotated[int, typer.Option(min=0, max=65535, help="TCP port; 0 takes a free one.")] = 11112,
    ae: Annotated[str, typer.Option(help="Application entity title of this receiver.")] = "LUTRA",
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 lets every machine send.")] = "127.0.0.1",
    allow: Annotated[list[str] | None, typer.Option(help="Title of a sender; may be repeated. None: any.")] = None,
    once: Annotated[
        bool, typer.Option("--once", help="End after the first association that brought something.")
    ] = False,
    idle_seconds: Annotated[
        float | None, typer.Option(min=0, help="End when nothing happened for so long. [s]")
    ] = None,
    json: Json = False,
) -> None:
    """Receive images that a scanner, workstation or archive sends (C-STORE), until Ctrl-C."""
    from lutra.ingest import ReceiverSettings
    from lutra.pipeline.exchange import receive as receive_into
    from lutra.pipeline.study import StudyFolder

    def say(text: str) -> None:
        show.err.print(text, markup=False)

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a service manager's way to say Ctrl-C
    with show.reported():
        for title in (ae, *(allow or ())):
            if not 0 < len(title.strip()) <= 16 or not title.isascii() or "\\" in title:
                raise UsageError(f"{title!r} is no application entity title", required="1 to 16 ASCII characters")
        done = receive_into(
            StudyFolder(directory),
            ReceiverSettings(ae.strip(), host, port, tuple(title.strip() for title in allow or ())),
            once=once,
            idle_s=idle_seconds,
            on_ready=lambda free: say(f"{ae} listens on {host} port {free}; Ctrl-C ends"),
            on_batch=lambda n: say(f"{n} instances received"),
        )
    _say(
        done,
        json,
        {"received": done.moved, "new_instances": done.new},
        f"{done.moved} instances received, {done.new} of them new",
    )


def send(
    paths: Annotated[list[Path], typer.Argument(help="DICOM files, folders or containers.", show_default=False)],
    url: Url,
    credentials: Credentials = None,
    timeout: Timeout = 60.0,
    json: Json = False,
) -> None:
    """Send images to a DICOMweb archive (STOW-RS)."""
    from lutra.pipeline.exchange import send as send_to

    with show.reported():
        for path in paths:
            if not path.exists():
                raise UsageError("no such file or folder", where=str(path), do="check the path")
        web = _connected(url, credentials, timeout)
        with show.progress_bar() as bar:
            task = bar.add_task("sending", total=None)
            done = send_to(web, paths, lambda n, of: bar.update(task, completed=n, total=of))
    _say(done, json, {"sent": done.moved}, f"{done.moved} instances sent")


def _say(done: Exchanged, json: bool, numbers: dict[str, Any], sentence: str) -> None:
    if json:
        show.print_json({**numbers, "findings": show.finding_json(done.findings)})
    else:
        show.print_findings(done.findings)
        show.out.print(sentence)
    raise typer.Exit(show.exit_code(done.findings))


def _connected(url: str, credentials: Path | None, timeout_s: float) -> DicomWeb:
    from lutra.ingest import Archive, DicomWeb

    return DicomWeb(Archive(url, **secrets(credentials), timeout_s=timeout_s))


def secrets(file: Path | None) -> dict[str, str]:
    """Read who asks: from a file only its owner can read, else from the environment. Never from the command line."""
    if file is None:
        return {name: os.environ[variable] for name, variable in SECRETS.items() if os.environ.get(variable)}
    try:
        if file.stat().st_mode & 0o077:
            raise UsageError("others can read this file", where=str(file), do=f"chmod 600 {file}")
        found = tomllib.loads(file.read_text("utf-8"))
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise UsageError(
            f"cannot be used: {error}", where=str(file), required="user and password, or token, as TOML"
        ) from None
    if not found or set(found) - set(SECRETS) or not all(isinstance(value, str) for value in found.values()):
        raise UsageError(
            f"holds {', '.join(found) or 'nothing'}", where=str(file), required="user and password, or token"
        )
    return found

"""What the command line prints, and how it exits."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from lutra.core.errors import LutraError, Undetermined, UsageError
from lutra.core.finding import Finding, Severity, worst

EXIT_OK, EXIT_ERROR, EXIT_USAGE, EXIT_FINDINGS, EXIT_UNDETERMINED = 0, 1, 2, 3, 4

WIDE = 200
"""Columns of a table when nobody watches: a file or a pipe should get whole paths."""

out = Console(highlight=False, soft_wrap=True, width=None if sys.stdout.isatty() else WIDE)
err = Console(stderr=True, highlight=False, soft_wrap=True)

STYLE = {
    Severity.INFO: "dim",
    Severity.WARNING: "yellow",
    Severity.UNDETERMINED: "magenta",
    Severity.ERROR: "red",
}


def exit_code(findings: Iterable[Finding]) -> int:
    """Exit code of a command that finished: 0, 3 with Findings, 4 if something could not be determined."""
    severities = {finding.severity for finding in findings}
    if Severity.UNDETERMINED in severities:
        return EXIT_UNDETERMINED
    return EXIT_FINDINGS if severities - {Severity.INFO} else EXIT_OK


@contextmanager
def reported() -> Iterator[None]:
    """Turn Lutra's errors into one readable message and the right exit code."""
    try:
        yield
    except UsageError as error:
        err.print(f"[red]{escape(str(error))}[/red]")
        raise typer.Exit(EXIT_USAGE) from None
    except Undetermined as error:
        err.print(f"[magenta]{escape(str(error))}[/magenta]")
        raise typer.Exit(EXIT_UNDETERMINED) from None
    except LutraError as error:
        err.print(f"[red]{escape(str(error))}[/red]")
        raise typer.Exit(EXIT_ERROR) from None


def print_json(data: Any) -> None:
    """Print plain data for programs."""
    sys.stdout.write(json.dumps(data, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def print_findings(findings: Iterable[Finding], *, details: bool = True) -> None:
    """Print Findings, gravest first; the merely informative ones only as a count."""
    ordered = sorted(findings, key=lambda f: -list(Severity).index(f.severity))
    for finding in ordered:
        if finding.severity is not Severity.INFO and details:
            style = STYLE[finding.severity]
            out.print(f"[{style}]{finding.severity.value}[/{style}] {escape(finding.code)}: {escape(finding.text)}")
    notes = sum(f.severity is Severity.INFO for f in ordered)
    if notes:
        out.print(f"[dim]{notes} notes; see the report or --json[/dim]")
    if worst(ordered) is None:
        out.print("no Findings")


def finding_json(findings: Iterable[Finding]) -> list[dict[str, Any]]:
    """Write Findings as plain data."""
    return [
        {"severity": f.severity.value, "code": f.code, "text": f.text, "evidence": dict(f.evidence)} for f in findings
    ]


def progress_bar() -> Progress:
    """Return the one kind of progress bar there is; silent when the output is not a terminal."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=err,
        transient=True,
        disable=not err.is_terminal,
    )


def table(*columns: str) -> Table:
    """Return a plain table."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold")
    return made

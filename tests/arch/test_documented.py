"""Everything a user can meet is written down."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
CODE = re.compile(
    r'"((?:ingest|quantify|segment|align|track|kinetics|dose|safety|response|predict|export|pipeline|study)\.[a-z0-9-]+)"'
)
STEPS = re.compile(r'conductor\.step\(\s*f?"([a-z]+\.[a-z-]+)')


def documented() -> set[str]:
    return set(
        re.findall(r"^\| `([a-z.0-9-]+)`", (ROOT / "docs" / "findings.md").read_text(encoding="utf-8"), re.MULTILINE)
    )


def used() -> set[str]:
    """Codes in the sources that are neither names of steps nor of tables of the protocol."""
    texts = [p.read_text(encoding="utf-8") for p in (ROOT / "src").rglob("*.py")]
    steps = {s for text in texts for s in STEPS.findall(text)} | {
        "ingest.intake",
        "dose.options",
        "align.options",
        "align.when",
        "kinetics.options",
        "segment.options",
    }
    return {code for text in texts for code in CODE.findall(text)} - steps


def test_every_finding_is_documented_and_none_that_is_gone() -> None:
    assert used() - documented() == set()
    assert documented() - used() == set()


def test_the_table_of_suv_rules_is_the_one_the_code_uses() -> None:
    from lutra.quantify.suv_cases import CASES

    page = (ROOT / "docs" / "suv.md").read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if line.startswith("| ") and not line.startswith("| case |")]
    assert rows == [f"| {c.name} | {c.when} | {c.used} | {c.source} |" for c in CASES]


def test_every_command_is_in_the_readme() -> None:
    from lutra.cli.edits import align_app, edits_app, lesion_app
    from lutra.cli.main import app, study_app
    from lutra.cli.simulate import app as simulate_app

    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    names = [c.name or c.callback.__name__ for c in app.registered_commands]  # type: ignore[union-attr]
    names += [f"study {c.name}" for c in study_app.registered_commands]
    names += [f"simulate {c.name}" for c in simulate_app.registered_commands]
    assert [n for n in names if f"lutra {n}" not in readme] == []
    page = (ROOT / "docs" / "edits.md").read_text(encoding="utf-8")
    groups = {"align": align_app, "lesion": lesion_app, "edits": edits_app}
    edits = [f"lutra {group} {c.name}" for group, typer in groups.items() for c in typer.registered_commands]
    assert [command for command in edits if command not in page] == []
    assert [group for group in groups if f"lutra {group} " not in readme] == []


def test_no_module_is_longer_than_a_reader_can_hold() -> None:
    long = {
        p.name: n for p in (ROOT / "src").rglob("*.py") if (n := len(p.read_text(encoding="utf-8").splitlines())) > 420
    }
    assert long == {}

"""The pages as files: nothing inline, nothing from outside, nothing unescaped, no dead link; and what they must say."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType

import pytest

from lutra.report import pages
from lutra.report.model import StudyView

VOID = {"meta", "link", "img", "br", "col", "input"}


class Page(HTMLParser):
    """Collects ids, targets and tags, and checks that tags nest."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))
        assert not self.open, f"{path.name}: {self.open} not closed"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.tags.append((tag, values))
        self.ids += [i for i in (values.get("id"),) if i]
        self.targets += [t for t in (values.get("href"), values.get("src")) if t]
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag: str) -> None:
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag


@pytest.fixture(params=["index.html", "subjects/S-012.html", "subjects/pet.html", "subjects/S-030.html"])
def path(report: Path, request: pytest.FixtureRequest) -> Path:
    return report / str(request.param)


def test_every_link_picture_and_anchor_exists(path: Path) -> None:
    page = Page(path)
    for target in page.targets:
        assert "://" not in target
        if target.startswith("data:"):
            continue
        file, _, anchor = target.partition("#")
        goal = path if not file else path.parent / file
        assert goal.is_file(), target
        if anchor and goal.suffix == ".html":
            assert anchor in Page(goal).ids, target


def test_ids_are_unique(path: Path) -> None:
    ids = Page(path).ids
    assert len(ids) == len(set(ids))


def test_nothing_inline_that_the_content_policy_refuses(path: Path) -> None:
    """The only script is a classic file: browsers refuse `type=module` on pages opened from disk."""
    tags = Page(path).tags
    assert not [a for _, a in tags if "style" in a or any(name.startswith("on") for name in a)]
    assert "style" not in {tag for tag, _ in tags}
    scripts = [a for tag, a in tags if tag == "script"]
    assert [a.get("type") for a in scripts] == ["application/json", None]
    assert scripts[1]["src"]


def test_hostile_text_stays_text(report: Path, factory: ModuleType) -> None:
    for name in ("index.html", "subjects/pet.html"):
        text = (report / name).read_text(encoding="utf-8")
        assert factory.HOSTILE not in text
        assert "&lt;script&gt;alert" in text


def test_pictures_and_charts_have_words(path: Path) -> None:
    for tag, attributes in Page(path).tags:
        if attributes.get("role") == "img":
            assert attributes.get("aria-label"), tag


def why(path: Path) -> dict[str, dict[str, object]]:
    found = re.search(r'id="why-data">(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)
    assert found
    data: dict[str, dict[str, object]] = json.loads(found[1])
    return data


def test_every_number_opens_its_why(path: Path) -> None:
    asked = {a["data-why"] for _, a in Page(path).tags if "data-why" in a}
    assert asked <= set(why(path))


def test_why_holds_budget_chain_and_receipt(report: Path) -> None:
    """Squares of 1.2, 0.8 and 0.5 Gy are 61.8, 27.5 and 10.7 % of their sum; the camera is shared, the volume is not."""
    told = why(report / "subjects" / "S-012.html")["S-012/L01/cycle-1/absorbed-dose.sphere"]
    budget = [["camera calibration", 61.8, True], ["volume: L01", 27.5, False], ["recovery: L01", 10.7, False]]
    assert told["budget"] == budget
    assert told["chain"][0] == ["absorbed dose", "sphere model &amp; time-integrated activity"]
    assert told["receipt"] == "7b1e09aa7b1e09aa · lutra why STUDY S-012/L01/cycle-1/absorbed-dose.sphere"


def test_why_of_an_incomplete_budget_names_what_was_not_evaluated(report: Path) -> None:
    told = why(report / "subjects" / "S-012.html")["S-012/L02/cycle-1/absorbed-dose.local"]
    assert ["recovery: L02", None, False] in told["budget"]
    assert "at\u00a0least" in str(told["value"])


def test_undetermined_has_its_own_look_and_reason(report: Path) -> None:
    text = (report / "subjects" / "S-012.html").read_text(encoding="utf-8")
    assert re.search(r'class="st is-undet"[^>]*data-tip="The volume of 0.2 mL', text)
    told = why(report / "subjects" / "S-012.html")["S-012/L02/cycle-1/absorbed-dose.sphere"]
    assert told["value"] == "undetermined"
    assert str(told["text"]).startswith("The volume of 0.2 mL")


def test_never_plus_minus_zero(path: Path) -> None:
    assert not re.search(r"±\u00a00(\.0+)?(?![\d.])", path.read_text(encoding="utf-8"))


def test_subject_without_cycles_says_what_is_missing(report: Path) -> None:
    text = (report / "subjects" / "pet.html").read_text(encoding="utf-8")
    assert "no therapy SPECT, so no dose" in text
    assert "No dose for this lesion" in text


def test_foot_says_digest_zone_and_meaning_of_plus_minus(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    for words in ("33865c8e3d73", "Times in Europe/Vienna", "± is one standard uncertainty", "Research use only"):
        assert words in text


def test_times_are_shown_in_the_zone_of_the_study(report: Path) -> None:
    """09:30 UTC on 9 March is 10:30 in Vienna."""
    assert "9 Mar 2026, 10:30" in (report / "subjects" / "S-012.html").read_text(encoding="utf-8")


def test_grid_cell_follows_the_worst_dose_of_a_cycle(study: StudyView, factory: ModuleType) -> None:
    full = factory.full_subject()
    assert pages.cycle_cell(full, 1) == ("undet", "undetermined", "1 of 4 doses")
    assert pages.cycle_cell(full, 2) == ("processed", "processed", "9.2\u00a0Gy")
    assert pages.cycle_cell(full, 3) is None
    assert pages.cycle_cell(study.subjects[1], 1) is None


def test_findings_of_one_kind_stand_together_gravest_first(factory: ModuleType) -> None:
    told = [(f.code, n) for f, n in pages.grouped(factory.full_subject().open_findings)]
    assert told == [("dose.outside-recovery", 1), ("kinetics.extrapolated", 2)]

"""Expressions of the protocol over regions of an image."""

from __future__ import annotations

import numpy as np
import pytest

from lutra.core.digest import digest
from lutra.core.errors import GridMismatch, ProtocolError, UsageError
from lutra.core.finding import Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import ConceptCode, Region, RegionKind, RegionOrigin
from lutra.pipeline.protocol import parse_protocol
from lutra.segment import SegmentSettings, evaluate_algebra
from lutra.segment.algebra import difference, dilated, eroded, union
from lutra.segment.expression import names_in, parse, written

GRID = Grid((10, 10, 10), np.diag([3.0, 3.0, 3.0, 1.0]), "frame")
LIVER = ConceptCode("10200004", "SCT", "Liver")
LEFT, RIGHT = ConceptCode("18639004", "SCT", "Left kidney"), ConceptCode("9846003", "SCT", "Right kidney")


def box(
    name: str,
    start: tuple[int, int, int],
    shape: tuple[int, int, int],
    kind: RegionKind = RegionKind.ORGAN,
    code: ConceptCode | None = None,
    share: float = 1.0,
) -> Region:
    fraction = np.full(shape, share, np.float32)
    return Region(name, kind, GRID, start, fraction, code, RegionOrigin.IMPORTED, f"contours of {name}")


ORGAN = box("Leber", (0, 0, 0), (6, 6, 6), code=LIVER)
ONE = box("L01", (1, 1, 1), (2, 2, 2), RegionKind.LESION)
TWO = box("L02", (5, 0, 0), (4, 1, 1), RegionKind.LESION, share=0.5)
KIDNEYS = (box("k 1", (0, 0, 8), (2, 2, 2), code=LEFT), box("k 2", (6, 0, 8), (2, 2, 2), code=RIGHT))


def computed(text: str, *regions: Region) -> Outcome[tuple[Region, ...]]:
    return evaluate_algebra(regions, SegmentSettings(algebra=FrozenMap({"healthy liver": text})))


def codes(outcome: Outcome[tuple[Region, ...]]) -> list[tuple[str, Severity]]:
    return [(finding.code.removeprefix("segment.algebra-"), finding.severity) for finding in outcome.findings]


def test_healthy_liver_by_hand() -> None:
    """216 voxels, less 8 of one lesion, less the half voxel of another that lies within; 27 mm3 each."""
    outcome = computed("liver - lesions", ORGAN, ONE, TWO)
    (healthy,) = outcome.value or ()
    assert outcome.findings == ()
    assert healthy.volume_ml == pytest.approx((216 - 8 - 0.5) * 0.027)
    assert (healthy.name, healthy.kind, healthy.origin) == ("healthy liver", RegionKind.ORGAN, RegionOrigin.ALGEBRA)


def test_the_source_says_what_to_compute_again() -> None:
    (healthy,) = computed("liver - lesions", ORGAN, ONE, TWO).value or ()
    expression, of = healthy.source.split("; ")
    assert expression == "“Leber” − (“L01” + “L02”)"
    assert of == ", ".join(f"{r.name} {digest(r)[:12]}" for r in (ORGAN, ONE, TWO))
    again = computed(expression.replace("“", '"').replace("”", '"'), ORGAN, ONE, TWO).value or ()
    np.testing.assert_array_equal(again[0].fraction, healthy.fraction)


def test_a_paired_organ_without_a_side_is_both() -> None:
    (both,) = computed("Nieren", *KIDNEYS).value or ()
    assert both.volume_ml == pytest.approx(16 * 0.027)
    (one,) = computed('"left kidney"', *KIDNEYS).value or ()
    assert one.source.startswith("“k 1”")


def test_names_need_not_be_written_alike() -> None:
    region = box("Left_Kidney", (0, 0, 0), (1, 1, 1), code=RIGHT)
    (named,) = computed("'left kidney'", region, *KIDNEYS).value or ()
    assert named.volume_ml == pytest.approx(0.027)  # the name goes before the code


@pytest.mark.parametrize(
    ("text", "regions", "expected"),
    [
        ("liver - lesions", (ORGAN,), [("no-lesions", Severity.INFO)]),
        ("liver - lesions", (ONE,), [("unknown-name", Severity.INFO)]),
        ("liver - scar", (ORGAN,), [("unknown-name", Severity.WARNING)]),
        ("lesions", (ORGAN,), [("no-lesions", Severity.INFO)]),
        ("L01 - liver", (ORGAN, ONE), [("empty", Severity.WARNING)]),
        ("liver", (ORGAN, box("liver 2", (0, 0, 0), (6, 6, 5), code=LIVER)), [("ambiguous", Severity.WARNING)]),
    ],
)
def test_what_cannot_be_made_says_why(
    text: str, regions: tuple[Region, ...], expected: list[tuple[str, Severity]]
) -> None:
    """A liver without a drawn lesion is the one of these that is made."""
    outcome = computed(text, *regions)
    assert codes(outcome) == expected
    assert len(outcome.value or ()) == (1 if text == "liver - lesions" and ORGAN in regions else 0)


def test_parts_of_lesions_are_no_lesions() -> None:
    """They would be tracked as if they were new ones."""
    (part,) = computed("lesions & liver", ORGAN, ONE).value or ()
    assert part.kind is RegionKind.OTHER


def test_regions_of_other_grids_are_refused() -> None:
    elsewhere = Region(
        "x",
        RegionKind.ORGAN,
        Grid((3, 3, 3), np.eye(4), "frame"),
        (0, 0, 0),
        np.ones((2, 2, 2)),
        None,
        RegionOrigin.DRAWN,
        "",
    )
    with pytest.raises(GridMismatch):
        union("u", ORGAN, elsewhere)
    with pytest.raises(UsageError):
        union("u")


def test_margins_keep_name_and_source() -> None:
    inner, outer = eroded("inner", ORGAN, 3.0), dilated("outer", ONE, 3.0)
    assert inner is not None
    assert outer is not None
    assert inner.volume_ml ** (1 / 3) * 10 == pytest.approx(12, abs=0.4)  # edges of 18 mm, each face 0.2 mm off at most
    assert inner.source == f"“Leber” eroded by 3 mm; Leber {digest(ORGAN)[:12]}"
    assert 8 * 0.027 < outer.volume_ml < 64 * 0.027
    assert difference("rest", ONE, ORGAN) is None
    assert eroded("nothing", ONE, 4.0) is None


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a-b", "“a” − “b”"),
        ("a - b & c", "“a” − (“b” ∩ “c”)"),
        ("(a - b) & 'c d'", "(“a” − “b”) ∩ “c d”"),
        ("a − (b − c)", "“a” − (“b” − “c”)"),
        ("a - b - c", "“a” − “b” − “c”"),
    ],
)
def test_signs_bind_as_said(text: str, shown: str) -> None:
    assert written(parse(text)) == shown
    assert names_in(parse("a + (b - a)")) == ("a", "b")


@pytest.mark.parametrize(
    "text", ["liver -", "a b", "(a", "a)", "a + * b", "", "a$", "__import__('os')", "(" * 60 + "a" + ")" * 60]
)
def test_anything_else_is_a_mistake_in_the_protocol(text: str) -> None:
    with pytest.raises(ProtocolError, match=r"segment\.algebra"):
        parse(text)
    with pytest.raises(ProtocolError, match=r"here.*segment\.algebra"):
        parse_protocol(f'[study]\nname = "x"\n[segment.algebra]\n"y" = """{text}"""\n', "here")

"""A program that stands in for TotalSegmentator: what it is given, and every way it can end."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from lutra.core.errors import ProtocolError, UnitMismatch
from lutra.core.finding import Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.region import Region, RegionKind
from lutra.core.units import Unit
from lutra.core.volume import Volume
from lutra.pipeline import plugins
from lutra.pipeline.totalsegmentator import Installation, TotalSegmentator, find_installation

AFFINE = np.array([[2.0, 0, 0, -10], [0, 2.5, 0, 5], [0, 0, -3, 40], [0, 0, 0, 1]])
VALUES = np.random.default_rng(2).integers(-100, 100, (8, 7, 6)).astype(np.float32)
CT = Volume(VALUES, Grid((8, 7, 6), AFFINE, "1.2.frame"), Unit.HU)
FAST = FrozenMap({"fast": True})
HEAD = f"""#!{sys.executable}
import json, os, sys, time
if "--version" in sys.argv:
    print("a warning of some library\\n2.4.0")
    sys.exit(0)
given, found = sys.argv[sys.argv.index("-i") + 1], sys.argv[sys.argv.index("-o") + 1]
"""
LABELS = """
import nibabel, numpy as np
ct = nibabel.load(given)
labels = np.zeros(ct.shape, np.uint8)
labels[np.asarray(ct.dataobj) > 50] = 5
labels[0, 0, 0] = 2
labels[1, 1, 1] = 99
image = nibabel.Nifti1Image(labels, ct.affine)
"""
NAMED = """
names = {5: "liver", 2: "kidney_right", 99: "a structure of tomorrow"}
table = "".join(f'<Label Key="{n}"><![CDATA[{name}]]></Label>' for n, name in names.items())
image.header.extensions.append(nibabel.nifti1.Nifti1Extension(0, f"<LabelTable>{table}</LabelTable>".encode()))
"""
SAVE = "nibabel.save(image, found)\n"
Make = Callable[..., TotalSegmentator]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Install a program with this body, and the weights of the fast model."""

    def install(body: str, head: str = HEAD) -> TotalSegmentator:
        program = tmp_path / "TotalSegmentator"
        program.write_text(head + body)
        program.chmod(0o755)
        weights = tmp_path / "results" / "Dataset297_TotalSegmentator_total_3mm_1559subj" / "trainer" / "fold_0"
        weights.mkdir(parents=True)
        (weights / "checkpoint_final.pth").write_bytes(b"weights")
        return TotalSegmentator(Installation(program, tmp_path / "results"))

    return install


def failed(outcome: Outcome[tuple[Region, ...]], says: str) -> None:
    assert outcome.value is None
    finding = outcome.findings[-1]
    assert (finding.code, finding.severity) == ("segment.totalsegmentator-failed", Severity.ERROR)
    assert says in finding.text


def test_structures_come_back_where_they_are_on_the_ct(make: Make) -> None:
    """The stand-in labels what is above 50 HU in the image it was given: the same voxels of the CT."""
    outcome = make(LABELS + NAMED + SAVE).segment(CT, FAST)
    regions = {region.name: region for region in outcome.value or ()}
    assert outcome.findings == ()
    liver, kidney, new = (regions[name] for name in ("liver", "kidney_right", "a structure of tomorrow"))
    found = np.zeros(CT.grid.shape)
    found[liver.box] = liver.fraction
    expected = VALUES > 50
    expected[0, 0, 0] = expected[1, 1, 1] = False
    np.testing.assert_array_equal(found > 0, expected)
    assert liver.grid.matches(CT.grid)
    assert kidney.code is not None
    assert (kidney.kind, kidney.code.meaning, new.code) == (RegionKind.ORGAN, "Right kidney", None)
    assert liver.source == "TotalSegmentator 2.4.0, task total, 3 mm, liver"


def test_numbers_without_names_are_those_of_version_2(make: Make) -> None:
    outcome = make(LABELS + SAVE).segment(CT, FAST)
    assert {region.name for region in outcome.value or ()} == {"liver", "kidney_right", "rib_left_8"}


def test_it_is_told_what_to_run_and_kept_off_the_network(make: Make, tmp_path: Path) -> None:
    note = tmp_path / "told.json"
    spy = f"""
home = os.environ["TOTALSEG_HOME_DIR"]
told = {{"words": sys.argv[1:], "weights": os.environ["TOTALSEG_WEIGHTS_PATH"], "proxy": os.environ["https_proxy"]}}
told["config"] = json.load(open(home + "/config.json"))
json.dump(told, open({str(note)!r}, "w"))
"""
    failed(make(spy).segment(CT, FAST), "2.4.0 wrote no label map")
    told = json.loads(note.read_text())
    assert told["words"][0] == "-i"
    assert told["words"][4:] == ["--ml", "--task", "total", "--fast"]
    assert told["weights"] == str(tmp_path / "results")
    assert told["config"]["send_usage_stats"] is False
    assert told["proxy"] == "http://127.0.0.1:9"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("sys.exit('no memory')", "2.4.0 ended with status 1"),
        ("open(found, 'w').write('garbage')", "its label map cannot be used"),
        (LABELS + "labels[:] = 0\n" + SAVE, "its label map cannot be used"),
        (LABELS + "image = nibabel.Nifti1Image(labels[:4], ct.affine * 1.5)\n" + SAVE, "its label map has"),
        (LABELS + "image = nibabel.Nifti1Image(labels + 0.5, ct.affine)\n" + SAVE, "its label map cannot be used"),
    ],
)
def test_a_failure_is_said_in_its_words(make: Make, body: str, says: str) -> None:
    outcome = make(body).segment(CT, FAST)
    failed(outcome, says)
    if "no memory" in body:
        assert outcome.findings[-1].evidence["said"] == "no memory"


def test_a_program_that_hangs_is_ended_with_its_workers(make: Make, tmp_path: Path) -> None:
    """It starts a worker that would write a file after 3 s; nobody does."""
    late = tmp_path / "late"
    sleeper = f"import time; time.sleep(3); open({str(late)!r}, 'w')"
    worker = f"import subprocess\nsubprocess.Popen([sys.executable, '-c', {sleeper!r}])\n"
    begun = time.monotonic()
    failed(make(worker + "time.sleep(60)").segment(CT, FrozenMap({"fast": True, "timeout_s": 1.0})), "more than 1 s")
    assert time.monotonic() - begun < 30
    time.sleep(3.5)
    assert not late.exists()


def test_a_program_that_cannot_start_is_said(make: Make) -> None:
    failed(make("", head="#!/nowhere/python\n").segment(CT, FAST), "asked for its version it could not be started")


def test_without_program_or_weights_there_is_one_line(make: Make, tmp_path: Path) -> None:
    nobody = TotalSegmentator(find_installation({"PATH": str(tmp_path / "bin")}, tmp_path))
    lacking = make(LABELS + SAVE)
    for segmenter, settings, says in (
        (nobody, FAST, "there is no program TotalSegmentator"),
        (lacking, FrozenMap(), "no weights of data sets 291, 292, 293, 294, 295"),
    ):
        outcome = segmenter.segment(CT, settings)
        assert outcome.value is None
        (finding,) = outcome.findings
        assert (finding.code, finding.severity) == ("segment.no-totalsegmentator", Severity.INFO)
        assert says in finding.text


def test_it_is_looked_for_where_it_looks_itself(make: Make, tmp_path: Path) -> None:
    make("")
    here = find_installation({"PATH": str(tmp_path), "TOTALSEG_HOME_DIR": str(tmp_path / "h")}, Path("/home/x"))
    assert here == Installation(tmp_path / "TotalSegmentator", tmp_path / "h" / "nnunet" / "results")
    assert find_installation({"TOTALSEG_WEIGHTS_PATH": "/w"}, Path("/home/x")).weights == Path("/w")
    assert find_installation({}, Path("/home/x")).weights == Path("/home/x/.totalsegmentator/nnunet/results")


def test_it_is_plugged_in_and_refuses_what_it_cannot_do() -> None:
    name, segmenter = plugins.load("segmenter", "totalsegmentator")
    assert name.startswith("lutra.totalsegmentator@")
    with pytest.raises(ProtocolError, match=r"segment\.options\.totalsegmentator\.tusk"):
        segmenter.segment(CT, FrozenMap({"tusk": "total"}))
    with pytest.raises(ProtocolError):
        segmenter.segment(CT, FrozenMap({"task": "tissue_types"}))
    with pytest.raises(UnitMismatch):
        segmenter.segment(Volume(VALUES, CT.grid, Unit.SUV_BW), FAST)

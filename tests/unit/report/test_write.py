"""The report as a whole: complete, or the old one."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType

import pytest
from attrs import evolve

from lutra.report import write, write_report
from lutra.report.charts import dose_chart, round_up, spread, timeline


def test_returns_what_it_wrote_with_every_crop(factory: ModuleType, report: Path, tmp_path: Path) -> None:
    view = factory.study()
    written = write_report(view, factory.images(view), tmp_path / "report")
    names = {p.relative_to(tmp_path / "report").as_posix() for p in written}
    assert names == {p.relative_to(report).as_posix() for p in report.rglob("*") if p.is_file()}
    assert {f"images/{name}" for name in factory.images(view)} <= names
    assert {"index.html", "assets/app.js", "assets/app.css", "assets/tokens.css", "tables/doses.parquet"} <= names


def test_failure_half_way_leaves_the_old_report(
    factory: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "index.html").write_text("the old one")

    def fail(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(write, "write_tables", fail)
    with pytest.raises(OSError, match="disk full"):
        write_report(factory.study(), {}, out)
    assert (out / "index.html").read_text() == "the old one"
    assert list(tmp_path.iterdir()) == [out]


def test_new_report_leaves_nothing_of_the_old(factory: ModuleType, tmp_path: Path) -> None:
    out = tmp_path / "report"
    out.mkdir()
    (out / "stale.html").write_text("")
    write_report(factory.study(), {}, out)
    assert not (out / "stale.html").exists()
    assert list(tmp_path.iterdir()) == [out]


@pytest.mark.parametrize(("value", "top"), [(0, 1), (0.9, 1), (1.0, 1), (17, 20), (41, 60), (0.031, 0.04), (81, 100)])
def test_axis_ends_at_a_round_number_above_the_data(value: float, top: float) -> None:
    assert round_up(value) == pytest.approx(top)


def test_labels_are_pushed_apart_in_their_order() -> None:
    moved = spread([100.0, 103.0, 40.0], 14.0)
    assert moved[2] < moved[0] < moved[1]
    assert moved[1] - moved[0] >= 14
    assert spread([10.0, 60.0], 14.0) == [10.0, 60.0]


def test_chart_sentence_says_what_the_marks_show(factory: ModuleType) -> None:
    sentence = dose_chart(factory.full_subject().lesions[1]).sentence
    assert "cycle 1, sphere: undetermined" in sentence
    assert "cycle 1, local: 4.1\u00a0±\u00a01.2\u00a0Gy\u00a0at\u00a0least; recovery not evaluated" in sentence


def test_engine_names_of_plugins_are_escaped(factory: ModuleType) -> None:
    lesion = evolve(factory.full_subject().lesions[0], doses=(factory.dose(1, factory.HOSTILE, 3.0, {"s": 0.2}),))
    assert "<script" not in dose_chart(lesion).svg


def test_images_of_one_day_without_a_cycle_have_no_timeline(factory: ModuleType) -> None:
    assert timeline(factory.pet_subject()) is None
    chart = timeline(factory.full_subject())
    assert chart is not None
    assert chart.sentence == "2 cycles and 13 dated images from 2 Mar 2026 to 27 Jul 2026"

"""The clinic's tables in a study: brought in once, again, and changed; a decision on them without any image."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from lutra.cli.main import app
from lutra.core.decision import Verdict
from lutra.core.errors import ProtocolError, StoreError, UsageError
from lutra.pipeline.clinical import import_tables
from lutra.pipeline.decide import answer, sign
from lutra.pipeline.protocol import parse_protocol, shipped_protocols
from lutra.pipeline.study import StudyFolder

LABS = {
    "platelets": (200, "10*9/L", 150, 400),
    "haemoglobin": (13, "g/dL", 12, 15),
    "neutrophils": (4, "10*9/L", 1.8, 7.5),
    "creatinine": (80, "umol/L", 45, 90),
    "creatinine_clearance": (90, "mL/min", "", ""),
    "bilirubin": (10, "umol/L", "", 21),
    "albumin": (40, "g/L", 35, 50),
    "alt": (20, "U/L", "", 45),
    "ast": (20, "U/L", "", 35),
}
BASELINE = date(2026, 1, 2)


def tables(folder: Path, platelets: float = 200) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / "subjects.csv").write_text(
        "record_id,sex,age,weight,hypertension,diabetes,prior_chemotherapy\nP1,F,60,70,0,0,0\n", encoding="utf-8"
    )
    rows = ["record_id,lab_date,lab_test,lab_value,lab_unit,lab_low,lab_high"]
    for name, (value, unit, low, high) in LABS.items():
        rows.append(f"P1,{BASELINE},{name},{platelets if name == 'platelets' else value},{unit},{low},{high}")
    (folder / "labs.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return folder


@pytest.fixture
def study(tmp_path: Path) -> StudyFolder:
    made = StudyFolder.create(tmp_path / "study")
    import_tables(made, tables(tmp_path / "tables"))
    return made


def changed(study: StudyFolder) -> list[dict[str, object]]:
    return [e["detail"] for e in study.ledger.audit_trail() if e["action"] == "clinical cell changed"]


def test_the_same_tables_again_change_nothing(study: StudyFolder, tmp_path: Path) -> None:
    before = {p.name: p.read_bytes() for p in (study.root / "clinical").glob("*.csv")}
    trail = len(study.ledger.audit_trail())
    again = import_tables(study, tables(tmp_path / "tables"))
    assert again.changes == ()
    assert set(again.new_rows.values()) == {0}
    assert {p.name: p.read_bytes() for p in (study.root / "clinical").glob("*.csv")} == before
    assert len(study.ledger.audit_trail()) == trail


def test_a_changed_cell_is_in_the_audit_trail(study: StudyFolder, tmp_path: Path) -> None:
    done = import_tables(study, tables(tmp_path / "tables", platelets=60))
    (change,) = done.changes
    assert (change.table, change.column, change.old, change.new) == ("labs", "lab_value", "200", "60")
    (entry,) = changed(study)
    assert (entry["old"], entry["new"]) == ("200", "60")
    assert study.clinical["P1"].labs[-1].analyte == "platelets"
    assert {lab.value for lab in study.clinical["P1"].labs if lab.analyte == "platelets"} == {60.0}


def test_rows_a_newer_table_lacks_are_kept_and_counted(study: StudyFolder, tmp_path: Path) -> None:
    folder = tables(tmp_path / "tables")
    lines = (folder / "labs.csv").read_text().splitlines()
    (folder / "labs.csv").write_text("\n".join(lines[:-2]) + "\n")
    done = import_tables(study, folder)
    assert done.kept_rows == {"labs": 2}
    assert [f.code for f in done.findings] == ["study.rows-kept"]
    assert len(study.clinical["P1"].labs) == len(LABS)


def test_study_check_explains_a_bad_cell_by_row_column_and_rule(study: StudyFolder) -> None:
    path = study.root / "clinical" / "labs.csv"
    path.write_text(path.read_text().replace("P1,2026-01-02,alt,20", "P1,2026-01-02,alt,twenty"))
    result = CliRunner().invoke(app, ["study", "check", str(study.root), "--json"])
    (finding,) = json.loads(result.output)["findings"]
    assert finding["code"] == "ingest.table-cell"
    evidence = finding["evidence"]
    assert (evidence["table"], evidence["row"], evidence["column"]) == ("labs", "9", "lab_value")
    assert "number" in evidence["rule"]
    assert result.exit_code == 3


# ---- decisions ----
def test_the_first_cycle_is_decided_on_blood_alone(study: StudyFolder) -> None:
    found = answer(study, "P1", 1)
    assert found.decision.verdict is Verdict.PROCEED
    assert found.decision.activity_bq == pytest.approx(7.4e9)
    assert found.decision.protocol_digest == study.protocol.digest


def test_the_command_prints_every_rule(study: StudyFolder) -> None:
    result = CliRunner().invoke(app, ["decide", str(study.root), "P1", "1", "--json"])
    assert result.exit_code == 0
    said = json.loads(result.output)
    assert (said["verdict"], said["activity_gbq"]) == ("PROCEED", 7.4)
    assert len(said["rules"]) == len(study.decision_table.rules)
    late = (BASELINE + timedelta(days=40)).isoformat()
    result = CliRunner().invoke(app, ["decide", str(study.root), "P1", "1", "--on", late])
    assert result.exit_code == 4
    assert "UNDETERMINED" in result.output


def test_a_signature_stands_and_tells_when_the_facts_have_changed(study: StudyFolder, tmp_path: Path) -> None:
    found = answer(study, "P1", 1)
    with pytest.raises(UsageError, match="without a reason"):
        sign(study, found, "Dr A", Verdict.DELAY)
    with pytest.raises(UsageError, match="without a name"):
        sign(study, found, " ")
    sign(study, found, "Dr A")
    with pytest.raises(StoreError, match="somebody was faster: decision signed by Dr A"):
        sign(study, found, "Dr B", Verdict.DELAY, "patient wishes so")
    sign(study, answer(study, "P1", 1), "Dr B", Verdict.DELAY, "patient wishes so")
    again = answer(study, "P1", 1)
    assert [(s.by, s.verdict, of == again.digest) for s, of in again.signatures] == [
        ("Dr A", Verdict.PROCEED, True),
        ("Dr B", Verdict.DELAY, True),
    ]
    import_tables(study, tables(tmp_path / "tables", platelets=60))
    later = answer(study, "P1", 1)
    assert later.decision.verdict is Verdict.DELAY
    assert [of == later.digest for _, of in later.signatures] == [False, False]


def test_a_studys_own_rules_are_used(study: StudyFolder) -> None:
    protocol = study.root / "protocol.toml"
    protocol.write_text(protocol.read_text().replace('rules = "label"', 'rules = "own.toml"'))
    (study.root / "own.toml").write_text(
        'name = "own"\n[dosing]\nrecheck_days = 7\nstop_after_delay_days = 56\n[[rule]]\nname = "strict"\nfact = "platelets"\n'
        'below = 250.0\nverdict = "STOP"\nsays = "none below 250"\nsource = "test"\n'
    )
    assert answer(study, "P1", 1).decision.verdict is Verdict.STOP


def test_an_unknown_subject_is_refused_with_the_known_ones(study: StudyFolder) -> None:
    with pytest.raises(UsageError, match="P1"):
        answer(study, "P9", 1)


# ---- protocol ----
@pytest.mark.parametrize("name", shipped_protocols())
def test_shipped_protocols_have_a_version_and_a_plan(name: str) -> None:
    protocol = parse_protocol(shipped_protocols()[name], name)
    assert protocol.study.version
    assert protocol.treatment.activity_bq == pytest.approx(7.4e9)


def test_the_two_schedules_differ() -> None:
    lumen, label = (parse_protocol(shipped_protocols()[n], n).treatment for n in ("lumen", "label-8-weeks"))
    assert (lumen.weeks_between, label.weeks_between) == ((11.0, 13.0), (7.0, 9.0))


@pytest.mark.parametrize(
    ("old", "new", "setting"),
    [
        ('registrar = "rigid"', 'registrr = "rigid"', "registrr"),
        ("seed = 20130518", 'seed = "x"', "seed"),
        ("weeks_between = [11.0, 13.0]", "weeks_between = [13.0, 11.0]", "weeks_between"),
        ("kidney_dose_gy = 23.0", "kidney_dose_gy = -23.0", "kidney_dose_gy"),
        ("[align]", "[algn]", "algn"),
    ],
)
def test_a_wrong_setting_is_shown_with_its_line(old: str, new: str, setting: str) -> None:
    text = shipped_protocols()["lumen"].replace(old, new)
    line = next(n for n, row in enumerate(text.splitlines(), 1) if row.startswith(new))
    with pytest.raises(ProtocolError, match=f"line {line}: .*{setting}"):
        parse_protocol(text, "protocol.toml")


# ---- locking the response ----
MEASUREMENTS = (
    "record_id,visit,visit_date,reader,lesion,organ,lesion_kind,lesion_state,quantity,value,unit\n"
    "P1,0,2026-01-02,A,T1,liver,target,measured,long axis,40,mm\n"
    "P1,1,2026-04-02,A,T1,liver,target,measured,long axis,{},mm\n"
)


def test_a_locked_response_stands_until_it_is_unlocked_with_a_reason(study: StudyFolder, tmp_path: Path) -> None:
    folder = tables(tmp_path / "tables")

    def read(size: float) -> list[str]:
        (folder / "measurements.csv").write_text(MEASUREMENTS.format(size))
        return [f.code for f in import_tables(study, folder).findings]

    def size() -> float | None:
        return study.clinical["P1"].readings[0].visits[1].readings[0].long_mm

    assert read(30) == []
    run = CliRunner().invoke
    assert run(app, ["study", "lock", str(study.root), "P1", "--by", "Dr R"]).exit_code == 0
    assert run(app, ["study", "lock", str(study.root), "P1", "--by", "Dr R"]).exit_code == 2
    assert read(20) == ["study.response-locked"]
    assert size() == 30
    assert run(app, ["study", "lock", str(study.root), "P1", "--by", "Dr R", "--unlock"]).exit_code == 2
    why = ["--unlock", "--reason", "wrong slice"]
    assert run(app, ["study", "lock", str(study.root), "P1", "--by", "Dr R", *why]).exit_code == 0
    assert read(20) == []
    assert size() == 20
    assert run(app, ["study", "lock", str(study.root), "P9", "--by", "Dr R"]).exit_code == 2

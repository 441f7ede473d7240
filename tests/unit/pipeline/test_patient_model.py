"""The kept model of patients: made from tables, read back, used for new patients."""

import json
from pathlib import Path

import numpy as np
import pytest

from lutra.core.errors import InputError, ProtocolError
from lutra.ingest.data_table import read_data_table
from lutra.pipeline.patient_model import (
    make_patient_model,
    parse_patient_model_spec,
    predict_new_patients,
    read_patient_model,
)
from lutra.simulate.table_trial import TableTrial, simulate_tables

SPEC = """
cluster = "pat"
[patient_model]
outcome = "y"
predictors = ["x_dose", "x_fdg"]
before = "pre"
organ = "organ"
response = "orr"
new_lesion = "newles"
new_lesion_predictors = ["max(x_fdg)"]
bootstrap = 10
repeats = 1
"""


def _write(path: Path, columns: dict[str, np.ndarray]) -> Path:
    rows = zip(*columns.values(), strict=True)
    path.write_text("\n".join([",".join(columns), *(",".join(map(str, row)) for row in rows)]) + "\n")
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, object]]:
    folder = tmp_path_factory.mktemp("model")
    trial = simulate_tables(TableTrial(patients=60), 21)
    spec = folder / "spec.toml"
    spec.write_text(SPEC)
    lesions = _write(folder / "lesions.csv", dict(trial.lesions))
    patients = _write(folder / "patients.csv", dict(trial.patients))
    kept = make_patient_model(lesions, patients, spec)
    (folder / "model.json").write_text(json.dumps(kept))
    return folder, kept


def test_it_is_validated_by_patient_beside_its_comparator(made: tuple[Path, dict[str, object]]) -> None:
    validation = made[1]["validation"]
    assert isinstance(validation, dict)
    for name in ("model", "mean_lesion_probability"):
        assert 0.5 < validation[name]["apparent"]["auc"] <= 1
        assert validation[name]["failed"] == 0
        assert {row["threshold"] for row in validation[name]["decision_curve"]} >= {0.1, 0.5}


def test_the_file_predicts_what_the_model_does(made: tuple[Path, dict[str, object]]) -> None:
    folder, kept = made
    table = read_data_table(folder / "lesions.csv")
    again = predict_new_patients(read_patient_model(folder / "model.json"), table)
    assert again == predict_new_patients(kept, table)
    known = [p for _, p, _ in again if p is not None]
    assert len(known) > 50
    assert all(
        p.response_95[0] <= p.response_95[1] and 0 <= p.response <= 1 and p.new_lesion is not None for p in known
    )


def test_it_says_when_it_extrapolates_alone_or_in_combination(made: tuple[Path, dict[str, object]]) -> None:
    folder, kept = made
    model = kept["model"]
    assert isinstance(model, dict)
    low, high = np.array(model["low"]), np.array(model["high"])
    new = {
        "pat": np.array(["far", "inside"]),
        "les": np.array([0, 1]),
        "organ": np.array(["liver", "liver"]),
        "pre": np.array([30, 30]),
    }
    middle = np.array(model["center"])
    columns = {"x_dose": np.array([high[0] + 1, middle[0]]), "x_fdg": np.array([middle[1], middle[1]])}
    found = predict_new_patients(kept, read_data_table(_write(folder / "new.csv", {**new, **columns})))
    assert [[f.code for f in findings] for _, _, findings in found] == [["predict.extrapolates"], []]
    corner = {"x_dose": np.array([high[0], middle[0]]), "x_fdg": np.array([high[1], middle[1]])}
    found = predict_new_patients(kept, read_data_table(_write(folder / "new.csv", {**new, **corner})))
    assert "combination" in found[0][2][0].text
    assert (low < high).all()


def test_a_patient_without_a_target_is_undetermined(made: tuple[Path, dict[str, object]]) -> None:
    folder, kept = made
    text = "pat,les,organ,pre,x_dose,x_fdg\nsmall,0,liver,7,0,0\nmissing,1,liver,30,,0\n"
    (folder / "few.csv").write_text(text)
    found = predict_new_patients(kept, read_data_table(folder / "few.csv"))
    assert [p for _, p, _ in found] == [None, None]
    assert {f.code for _, _, findings in found for f in findings} == {"predict.no-target"}


def test_what_is_no_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "x.json").write_text("[1, 2]")
    with pytest.raises(InputError, match="not a model of patients"):
        read_patient_model(tmp_path / "x.json")
    with pytest.raises(ProtocolError, match="no predictors"):
        parse_patient_model_spec(SPEC.replace('predictors = ["x_dose", "x_fdg"]\n', ""), "spec.toml")
    with pytest.raises(ProtocolError, match="unknown key 'outcom'"):
        parse_patient_model_spec(SPEC.replace("outcome", "outcom"), "spec.toml")


def test_the_three_categories_add_up_each_inside_its_interval(made: tuple[Path, dict[str, object]]) -> None:
    folder, kept = made
    found = predict_new_patients(kept, read_data_table(folder / "lesions.csv"))
    known = [p for _, p, _ in found if p is not None]
    inside = 0
    for p in known:
        assert p.response + p.stable + p.progression == pytest.approx(1)
        inside += p.stable_95[0] <= p.stable <= p.stable_95[1]
        inside += p.progression_95[0] <= p.progression <= p.progression_95[1]
    assert inside >= 0.95 * 2 * len(known)


def test_what_a_prediction_goes_without_is_said(made: tuple[Path, dict[str, object]]) -> None:
    """One of two targets lacks its FDG uptake, so that neither its size nor the worst uptake of the patient is known."""
    folder, kept = made
    (folder / "part.csv").write_text("pat,les,organ,pre,x_dose,x_fdg\nA,0,liver,30,0,0\nA,1,bone,30,0,\n")
    found = predict_new_patients(kept, read_data_table(folder / "part.csv"))
    assert found[0][1] is not None
    assert "predict.targets-left-out" in {f.code for f in found[0][2]}
    bare = {**kept, "spec": {**dict(kept["spec"]), "new_lesion_predictors": []}}  # type: ignore[call-overload]
    alone = predict_new_patients(bare, read_data_table(folder / "lesions.csv"))[0]
    assert alone[1] is not None
    assert alone[1].new_lesion is None
    assert "predict.no-new-lesion" in {f.code for f in alone[2]}


def test_a_patient_without_a_row_is_refused_not_left_out(made: tuple[Path, dict[str, object]]) -> None:
    folder, kept = made
    (folder / "one.csv").write_text("pat\n0\n")
    with pytest.raises(InputError, match="has lesions but no row"):
        predict_new_patients(kept, read_data_table(folder / "lesions.csv"), read_data_table(folder / "one.csv"))


def test_a_model_that_cannot_be_validated_is_kept_and_says_so(
    made: tuple[Path, dict[str, object]], tmp_path: Path
) -> None:
    folder, _ = made
    spec = tmp_path / "spec.toml"
    spec.write_text(SPEC + "folds = 500\n")
    calls: list[tuple[int, int]] = []
    kept = make_patient_model(
        folder / "lesions.csv", folder / "patients.csv", spec, lambda n, of: calls.append((n, of))
    )
    assert kept["validation"] is None
    assert [f["code"] for f in kept["findings"]] == ["predict.not-validated"]
    assert calls[:2] == [(0, 22), (1, 22)]


@pytest.mark.parametrize("line", ["folds = 1", "seed = -1", 'bootstrap = "many"'])
def test_settings_out_of_range_are_refused(line: str) -> None:
    text = SPEC.replace("bootstrap = 10\n", "") if line.startswith("bootstrap") else SPEC
    with pytest.raises(ProtocolError, match="whole number") as refused:
        parse_patient_model_spec(text + line + "\n", "spec.toml")
    assert line.split(maxsplit=1)[0] in str(refused.value)

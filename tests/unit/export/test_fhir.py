"""FHIR resources: by the models of another project (fhir.resources), and by what the specification says of them."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pytest

from lutra.core.estimate import Estimate
from lutra.core.frozen import FrozenMap
from lutra.core.grid import Grid
from lutra.core.study import SeriesHeader
from lutra.core.units import Unit
from lutra.export import fhir
from lutra.export.quantities import QUANTITIES

NOON = datetime(2026, 1, 12, 12, tzinfo=UTC)
HEADER = SeriesHeader(
    "1.2.4", "1.2.3", "P", "NM", "1.2.840.10008.5.1.4.1.1.20", "", "", "", (), "1.2.5", ("1.2.6", "1.2.6"),
    Grid((2, 2, 2), np.eye(4)), acquired_at=NOON,
)  # fmt: skip
KNOWN = Estimate(12.5, Unit.GY, FrozenMap({"camera": 0.5, "contour": 1.2}))
UNKNOWN = Estimate(12.5, Unit.GY, FrozenMap({"camera": 0.5, "contour": None}))


def whole() -> dict[str, Any]:
    who, lesion, study = (fhir.url_of(what) for what in ("patient", "lesion", "study"))
    made = {
        who: fhir.patient("P-1", "F"),
        fhir.url_of("device"): fhir.device(),
        study: fhir.imaging_study("1.2.3", who, [(HEADER, "cycle 1, 24 h")]),
        lesion: fhir.lesion("L01 liver", "1.2.30.1", who),
        fhir.url_of("measured"): fhir.observation(
            "P-1/L01/cycle-1-24-h",
            fhir.concept("lesion measurements"),
            who,
            fhir.Stand(),
            at=NOON.isoformat(),
            device_url=fhir.url_of("device"),
            focus_url=lesion,
            study_url=study,
            component=[fhir.measured(name, 1.5) for name in QUANTITIES],
        ),
        fhir.url_of("dose"): fhir.observation(
            "P-1/L01/cycle-1/absorbed-dose.hybrid",
            fhir.quantity_code("absorbed_dose"),
            who,
            fhir.Stand("A. Reader"),
            **fhir.estimated(UNKNOWN),
        ),
    }
    return fhir.bundle(made, "P-1", NOON)


def test_another_project_takes_it_as_r4() -> None:
    bundles = pytest.importorskip("fhir.resources.R4B.bundle")
    read = bundles.Bundle.model_validate_json(json.dumps(whole()))
    kinds = [entry.resource.__resource_type__ for entry in read.entry]
    assert kinds == ["Patient", "Device", "ImagingStudy", "BodyStructure", "Observation", "Observation"]
    numbers = {c.code.coding[0].code: c.valueQuantity for c in read.entry[4].resource.component}
    assert {name: q.code for name, q in numbers.items()} == {name: unit[0] for name, (_, _, unit) in QUANTITIES.items()}
    assert {float(q.value) for q in numbers.values()} == {1.5}
    dose = read.entry[5].resource
    assert (float(dose.valueQuantity.value), dose.valueQuantity.code, dose.status) == (12.5, "Gy", "final")


def test_every_reference_leads_to_an_entry() -> None:
    entries = {entry["fullUrl"] for entry in whole()["entry"]}
    found = set()

    def walk(node: Any) -> None:
        if isinstance(node, dict):
            found.update([node["reference"]] if "reference" in node else [])
            node = list(node.values())
        if isinstance(node, list):
            for one in node:
                walk(one)

    walk(whole())
    assert found
    assert found <= entries


def test_nobody_stands_for_what_is_preliminary() -> None:
    assert fhir.Stand().elements == {"status": "preliminary"}
    assert fhir.Stand("A. Reader").elements == {"status": "final", "performer": [{"display": "A. Reader"}]}


def test_what_was_not_evaluated_is_said_and_not_zero() -> None:
    (component,) = fhir.estimated(UNKNOWN)["component"]
    assert component["dataAbsentReason"] == {"text": "not evaluated: contour"}
    assert "valueQuantity" not in component
    (component,) = fhir.estimated(KNOWN)["component"]
    assert component["valueQuantity"]["value"] == pytest.approx(1.3)


def test_numbers_of_one_kind_can_be_told_apart() -> None:
    codes = [fhir.quantity_code(name)["coding"][0]["code"] for name in QUANTITIES]
    assert len(set(codes)) == len(QUANTITIES)


def test_instances_of_a_file_with_many_frames_count_once() -> None:
    assert fhir.imaging_study("1.2.3", "urn:uuid:x", [(HEADER, "a")])["numberOfInstances"] == 1

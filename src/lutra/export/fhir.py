"""Results as FHIR R4 resources, plain dictionaries in the order of the specification.

References
----------
HL7 FHIR R4 (4.0.1): Bundle, Patient, ImagingStudy, BodyStructure, Device, Observation. SNOMED CT and DICOM codes are those of
:mod:`lutra.export.quantities` (DICOM PS3.16); what has none there has a code of this project with a display.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from attrs import frozen

from lutra import __version__
from lutra.core.estimate import Estimate
from lutra.core.region import ConceptCode
from lutra.core.study import SeriesHeader
from lutra.export.quantities import QUANTITIES, Code

Resource = dict[str, Any]

PROJECT = "urn:oid:2.25.262978863905709771495762910692532769432"
"""Code system and identifiers of this project; drawn once."""
SYSTEMS = {
    "DCM": "http://dicom.nema.org/resources/ontology/DCM",
    "SCT": "http://snomed.info/sct",
    "UCUM": "http://unitsofmeasure.org",
}
"""Systems of the coding schemes of DICOM [PS3.16 chapter 8]."""
DICOM_UID = "urn:dicom:uid"
GENDER = {"M": "male", "F": "female", "O": "other"}
UNCERTAINTY = {
    "coding": [{"system": PROJECT, "code": "standard-uncertainty", "display": "Standard uncertainty, k = 1"}]
}


@frozen
class Stand:
    """How far a number is: who stands for it; nobody leaves it preliminary."""

    by: str = ""

    @property
    def elements(self) -> Resource:
        """Status and performer of an Observation."""
        if not self.by:
            return {"status": "preliminary"}
        return {"status": "final", "performer": [{"display": self.by}]}


def url_of(*parts: str) -> str:
    """Address of a resource within its bundle, which follows from what it is of."""
    return f"urn:uuid:{uuid5(NAMESPACE_OID, chr(0).join((PROJECT, *parts)))}"


def bundle(resources: Mapping[str, Resource], subject_id: str, made_at: datetime) -> Resource:
    """Collect the resources of one subject, by their addresses."""
    return {
        "resourceType": "Bundle",
        "identifier": {"system": PROJECT, "value": f"bundle/{subject_id}"},
        "type": "collection",
        "timestamp": made_at.isoformat(timespec="seconds"),
        "entry": [{"fullUrl": url, "resource": resource} for url, resource in resources.items()],
    }


def patient(subject_id: str, sex: str | None) -> Resource:
    """Say who it is by the name the study knows, and nothing else."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": PROJECT, "value": subject_id}],
        "gender": GENDER.get(sex or "", "unknown"),
    }


def device() -> Resource:
    """Name this program and its version."""
    return {
        "resourceType": "Device",
        "identifier": [{"system": PROJECT, "value": "lutra"}],
        "manufacturer": "Lutra",
        "deviceName": [{"name": "Lutra", "type": "model-name"}],
        "version": [{"value": __version__}],
        "note": [{"text": "Research use only."}],
    }


def imaging_study(uid: str, patient_url: str, series: Sequence[tuple[SeriesHeader, str]]) -> Resource:
    """List the series of one DICOM study, each with its label in the course of treatment."""
    begun = [header.acquired_at for header, _ in series if header.acquired_at is not None]
    return {
        "resourceType": "ImagingStudy",
        "identifier": [{"system": DICOM_UID, "value": f"urn:oid:{uid}"}],
        "status": "available",
        "subject": {"reference": patient_url},
        **({"started": min(begun).isoformat()} if begun else {}),
        "numberOfSeries": len(series),
        "numberOfInstances": sum(_instances(header) for header, _ in series),
        "series": [
            {
                "uid": header.series_uid,
                "modality": {"system": SYSTEMS["DCM"], "code": header.modality},
                "description": label,
                "numberOfInstances": _instances(header),
            }
            for header, label in series
        ],
    }


def _instances(header: SeriesHeader) -> int:
    return len(set(header.instances))


def lesion(name: str, uid: str, patient_url: str) -> Resource:
    """Give a lesion the identity that it has in DICOM objects: its tracking unique identifier."""
    return {
        "resourceType": "BodyStructure",
        "identifier": [{"system": DICOM_UID, "value": f"urn:oid:{uid}"}],
        "morphology": concept(("52988006", "SCT", "Lesion")),
        "description": name,
        "patient": {"reference": patient_url},
    }


def concept(code: Code | ConceptCode | str) -> Resource:
    """Write a coded meaning; a text is one of this project."""
    if isinstance(code, str):
        return {"coding": [{"system": PROJECT, "code": code.replace(" ", "-"), "display": code}]}
    value, scheme, meaning = (code.value, code.scheme, code.meaning) if isinstance(code, ConceptCode) else code
    return {"coding": [{"system": SYSTEMS[scheme], "code": value, "display": meaning}]}


def quantity(value: float, unit: str) -> Resource:
    """Write a number with its UCUM unit."""
    return {"value": float(f"{value:.10g}"), "unit": unit, "system": SYSTEMS["UCUM"], "code": unit}


def quantity_code(name: str) -> Resource:
    """Code a number of :data:`~lutra.export.quantities.QUANTITIES`: exactly by its name here, and what is measured by DICOM's."""
    what, derived, _ = QUANTITIES[name]
    text = f"{what[2]}, {derived[2].lower()}" if derived else what[2]
    own = {"system": PROJECT, "code": name, "display": text}
    return {"coding": [own, *concept(what)["coding"]], "text": text}


def measured(name: str, value: float) -> Resource:
    """Write a number of :data:`~lutra.export.quantities.QUANTITIES` as a component of an Observation."""
    return {"code": quantity_code(name), "valueQuantity": quantity(value, QUANTITIES[name][2][0])}


def estimated(estimate: Estimate) -> Resource:
    """Write a value with its standard uncertainty; one that was not evaluated is said to be unknown, and why."""
    unit = estimate.unit.value
    if estimate.sd is not None:
        uncertainty = {"code": UNCERTAINTY, "valueQuantity": quantity(estimate.sd, unit)}
    else:
        missing = ", ".join(estimate.not_evaluated)
        reason = {"text": f"not evaluated: {missing}" if missing else "not evaluated"}
        uncertainty = {"code": UNCERTAINTY, "dataAbsentReason": reason}
    return {"valueQuantity": quantity(estimate.value, unit), "component": [uncertainty]}


def observation(
    path: str,
    code: Resource,
    patient_url: str,
    stand: Stand,
    *,
    at: str = "",
    device_url: str = "",
    focus_url: str = "",
    study_url: str = "",
    **more: Any,
) -> Resource:
    """Write one Observation.

    Parameters
    ----------
    path
        Address of the result in this study.
    at
        When it holds, ISO 8601; empty where that is not known.
    focus_url, study_url
        Lesion, and study of the images.
    more
        Further elements: `valueQuantity`, `component`, `bodySite`, `method`, ...
    """
    found = {
        "resourceType": "Observation",
        "identifier": [{"system": PROJECT, "value": path}],
        **stand.elements,
        "code": code,
        "subject": {"reference": patient_url},
        "focus": [{"reference": focus_url}] if focus_url else None,
        "effectiveDateTime": at or None,
        "device": {"reference": device_url} if device_url else None,
        "derivedFrom": [{"reference": study_url}] if study_url else None,
        **more,
    }
    return {name: value for name, value in found.items() if value is not None}

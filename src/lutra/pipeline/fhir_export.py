"""Results of a study as FHIR R4 bundles, one per subject."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from attrs import field, frozen

from lutra.core.dose import CumulativeDose, DoseResult, MarrowDose
from lutra.core.response import DiameterPair
from lutra.core.study import SeriesHeader
from lutra.core.tumour import ReaderResponse
from lutra.export import fhir, stable_uid
from lutra.export.quantities import QUANTITIES
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.given_files import empty_folder
from lutra.pipeline.record import LesionRecord, ObservationRecord, RegionDosimetry, SubjectRecord
from lutra.pipeline.results import dosimetry_results, slug
from lutra.pipeline.signed import Signatures, Signed
from lutra.pipeline.study import StudyFolder
from lutra.reference.region_names import code_of_name

DOSE = fhir.quantity_code("absorbed_dose")


def export_fhir(study: StudyFolder, out: Path) -> tuple[Path, ...]:
    """Write `SUBJECT.json` per subject: a collection of who, which images, what was measured, doses and response.

    Raises
    ------
    UsageError
        If the study has not been run, or something stands in `out`.
    """
    records = study.require_records()
    empty_folder(out)
    conductor, protocol, now = Conductor(study.store, study.ledger), study.protocol.digest, datetime.now(UTC)
    audit = study.ledger.audit_trail()
    paths = []
    for record in records:
        found = _Subject(conductor, record, Signatures(conductor, record, audit), protocol)
        found.gather()
        path = out / f"{slug(found.name)}.json"
        text = json.dumps(fhir.bundle(found.resources, found.name, now), indent=1, ensure_ascii=False, allow_nan=False)
        path.write_text(text + "\n", "utf-8")
        paths.append(path)
    study.log("export fhir", {"out": str(out), "subjects": [r.subject.subject_id for r in records]})
    return tuple(paths)


@frozen(eq=False)
class _Subject:
    """Resources of a subject by their addresses, gathered one after another."""

    conductor: Conductor
    record: SubjectRecord
    signatures: Signatures
    protocol: str
    resources: dict[str, fhir.Resource] = field(factory=dict)

    @property
    def name(self) -> str:
        """Pseudonym or name of the subject."""
        return self.record.subject.subject_id

    @cached_property
    def headers(self) -> dict[str, SeriesHeader]:
        """Of every image that could be read, by series."""
        return {s.series_uid: self.conductor.value(s.header) for s in self.record.series if s.header}

    def gather(self) -> None:
        """Add everything."""
        self._add("patient", fhir.patient(self.name, self.record.subject.sex))
        self._add("device", fhir.device())
        self._images()
        for lesion in self.record.lesions:
            uid = stable_uid(self.protocol, self.name, "lesion", lesion.lesion_id)
            name = f"{lesion.lesion_id} {lesion.name}"
            self._add(f"lesion {lesion.lesion_id}", fhir.lesion(name, uid, self._url("patient")))
            for seen in lesion.observations:
                self._measured(lesion, seen)
            self._doses(lesion.dosimetry, self._url(f"lesion {lesion.lesion_id}"))
        for region in self.record.dosimetry:
            self._doses(region)
        self._marrow()
        self._response()

    def _url(self, what: str) -> str:
        return fhir.url_of(self.protocol, self.name, what)

    def _add(self, what: str, resource: fhir.Resource) -> None:
        self.resources[self._url(what)] = resource

    def _images(self) -> None:
        studies: dict[str, list[tuple[SeriesHeader, str]]] = {}
        for t in self.record.subject.timepoints:
            if header := self.headers.get(t.series_uid):
                studies.setdefault(header.study_uid, []).append((header, t.label))
        for uid, series in studies.items():
            self._add(f"study {uid}", fhir.imaging_study(uid, self._url("patient"), series))

    def _observe(self, path: str, code: fhir.Resource, signed: Signed | None, at: str = "", **more: Any) -> None:
        stand = fhir.Stand(signed.by if signed else "")
        made = fhir.observation(path, code, self._url("patient"), stand, at=at, device_url=self._url("device"), **more)
        self._add(path, made)

    # ---- what was measured ----
    def _measured(self, lesion: LesionRecord, seen: ObservationRecord) -> None:
        """All numbers of a lesion in one image."""
        values = list(self._values(seen))
        if not values:
            return
        header = self.headers[seen.series_uid]
        signed = self.signatures.on_image(seen.series_uid, [m for m in (seen.measurements, seen.diameters) if m])
        self._observe(
            f"{self.name}/{lesion.lesion_id}/{slug(seen.label)}",
            fhir.concept("lesion measurements"),
            signed,
            header.acquired_at.isoformat() if header.acquired_at else "",
            focus_url=self._url(f"lesion {lesion.lesion_id}"),
            study_url=self._url(f"study {header.study_uid}"),
            component=[fhir.measured(name, value) for name, value in values],
        )

    def _values(self, seen: ObservationRecord) -> Iterator[tuple[str, float]]:
        if seen.measurements:
            known = self.conductor.value(seen.measurements).values
            yield from ((name, known[name].value) for name in QUANTITIES if name in known)
        if seen.diameters:
            pair: DiameterPair = self.conductor.value(seen.diameters)
            yield from (("longest_diameter", pair.long_mm), ("short_axis", pair.short_mm))

    # ---- doses ----
    def _doses(self, region: RegionDosimetry, focus_url: str = "") -> None:
        """Doses of a region in each cycle and over all, by every engine."""
        where = {"focus_url": focus_url, "bodySite": None if focus_url else _site(region.name)}
        for result in dosimetry_results(self.conductor, self.name, region):
            quantity, _, engine = result.quantity.partition(".")
            if quantity != "absorbed-dose":
                continue
            dose: DoseResult | CumulativeDose = self.conductor.value(result.made)
            cycles = dose.cycles if isinstance(dose, CumulativeDose) else (_cycle(result.path),)
            missing = dose.missing if isinstance(dose, CumulativeDose) else ()
            lacks = f"; a lower bound, without {_listed(missing)}" if missing else ""
            self._dose(
                result.path,
                cycles,
                result.made,
                method={"text": engine},
                note=[{"text": f"{_listed(cycles)}{lacks}"}],
                **where,
                **fhir.estimated(result.estimate),
            )

    def _dose(self, path: str, cycles: tuple[int, ...], made: Made, **more: Any) -> None:
        last = max(cycles)
        given = next((a.started_at.isoformat() for a in self.record.subject.administrations if a.cycle == last), "")
        self._observe(path, DOSE, self.signatures.on_doses(last, [made]), given, **more)

    def _marrow(self) -> None:
        for cycle, made in self.record.course.marrow:
            dose: MarrowDose = self.conductor.value(made)
            for method in dose.methods:
                self._dose(
                    f"{self.name}/red-marrow/cycle-{cycle}/absorbed-dose.{slug(method.name)}",
                    (cycle,),
                    made,
                    method={"text": method.name},
                    note=[{"text": _listed((cycle,))}],
                    bodySite={"text": "red marrow"},
                    **fhir.estimated(method.total),
                )

    # ---- response ----
    def _response(self) -> None:
        """RECIST 1.1 of every reader at every visit."""
        made = self.record.course.responses
        if not made:
            return
        signed = self.signatures.on_response([made])
        responses: tuple[ReaderResponse, ...] = self.conductor.value(made)
        for reader in responses:
            for t in reader.timepoints:
                parts: list[fhir.Resource] = [
                    {"code": fhir.concept(name), "valueCodeableConcept": fhir.concept(category)}
                    for name, category in (("target response", t.target), ("non-target response", t.non_target))
                    if category
                ]
                parts.append({"code": fhir.concept("new lesion"), "valueBoolean": t.new_lesion})
                if t.sum_mm is not None and t.complete:
                    parts.append(
                        {"code": fhir.concept("sum of diameters"), "valueQuantity": fhir.quantity(t.sum_mm, "mm")}
                    )
                self._observe(
                    f"{self.name}/recist/{slug(reader.reader)}/{slug(t.visit)}",
                    fhir.concept("RECIST 1.1 overall response"),
                    signed,
                    t.on.isoformat() if t.on else "",
                    valueCodeableConcept=fhir.concept(t.overall),
                    note=[{"text": f"{reader.reader}, {t.visit}: {t.rule}"}],
                    component=parts,
                )


def _cycle(path: str) -> int:
    """Cycle in the address of a result: `SUBJECT/REGION/cycle-3/...`."""
    return int(path.split("/")[2].removeprefix("cycle-"))


def _listed(cycles: tuple[int, ...]) -> str:
    return f"cycle {', '.join(map(str, cycles))}"


def _site(region: str) -> fhir.Resource:
    code = code_of_name(region)
    known = fhir.concept(code) if code is not None and code.scheme in fhir.SYSTEMS else {}
    return {**known, "text": region}

"""Stages 6 and 7 for one subject: every region of every cycle to its curve, mass and dose, and their sum over cycles.

A cycle is one problem: all regions compete for its voxels, and all of them irradiate each other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from lutra.core.frozen import FrozenMap
from lutra.core.lesion import Lesion
from lutra.core.region import Region, RegionKind
from lutra.core.study import Administration, Role, Subject, Timepoint
from lutra.dose.ct_on_grid import ct_on_grid
from lutra.dose.cumulative import cumulative_dose
from lutra.dose.effects import biological_dose, cumulative_bed, radiobiology_of
from lutra.pipeline import plugins, wiring
from lutra.pipeline.conductor import Conductor, Made
from lutra.pipeline.images import Image
from lutra.pipeline.observe import measured
from lutra.pipeline.protocol import Protocol
from lutra.pipeline.record import CycleRecord, DoseRecord, RegionDosimetry
from lutra.pipeline.regions import Seen
from lutra.pipeline.seeds import seed_of
from lutra.reference.region_names import tissue_of

REMAINDER, WHOLE_BODY = "remainder", "field of view"
"""All activity in the images outside the regions, and all of it."""
OVERLAP_FLAG = 0.2
"""Organs of which more than this share lies in other organs are not told apart from them. [1] Our own choice."""


@frozen
class Target:
    """A region through the scans of one cycle.

    Parameters
    ----------
    scans
        Region and measurement on each scan, in the order of time.
    ct
        Measurements on CTs in the frames of these scans.
    """

    name: str
    tissue: str | None
    scans: tuple[tuple[Seen, Made], ...]
    ct: tuple[Made, ...] = ()


@frozen
class Dosimetry:
    """Finds the doses of one subject.

    Parameters
    ----------
    seen
        Every region on every image.
    lesions
        With the regions that are theirs.
    """

    conductor: Conductor
    protocol: Protocol
    subject: Subject
    images: Sequence[Image]
    seen: Sequence[Seen]
    lesions: Sequence[Lesion]
    _timepoints: dict[str, Timepoint] = field(init=False)

    @_timepoints.default
    def _by_series(self) -> dict[str, Timepoint]:
        return {t.series_uid: t for t in self.subject.timepoints}

    def regions(self) -> dict[str, RegionDosimetry]:
        """Cycles and sums of every lesion by its id, of every organ by its name, of the remainder and of the whole."""
        cycles: dict[str, list[CycleRecord]] = {}
        for administration in self.subject.administrations:
            before = {name: done[-1].fit for name, done in cycles.items()}
            for name, cycle in self._cycle(administration, before).items():
                cycles.setdefault(name, []).append(cycle)
        return {
            name: RegionDosimetry(name, tuple(done), self._cumulative(tuple(done))) for name, done in cycles.items()
        }

    # ---- one cycle ----
    def _cycle(self, administration: Administration, before: Mapping[str, Made]) -> dict[str, CycleRecord]:
        scans = [i for i in self.images if self._is_scan_of(i, administration.cycle)]
        if not scans:
            return {}
        targets = [*self._lesions(scans), *self._organs(scans)]
        fits = {t.name: f for t in targets if (f := self._fit(administration, t, before.get(t.name)))}
        masses = {t.name: self._mass(t) for t in targets}
        rest = {
            name: f
            for name, target in self._rest(scans, [t for t in targets if t.name in fits])
            if (f := self._fit(administration, target, before.get(name)))
        }
        ready = [t for t in targets if fits.get(t.name) and masses[t.name]]
        doses = self._doses(administration, scans, ready, fits, masses, rest.get(REMAINDER)) if ready else {}
        done = {
            t.name: CycleRecord(administration.cycle, fits[t.name], masses[t.name], doses.get(t.name, ()))
            for t in targets
            if t.name in fits
        }
        return done | {name: CycleRecord(administration.cycle, fit, None, ()) for name, fit in rest.items()}

    def _is_scan_of(self, image: Image, cycle: int) -> bool:
        timepoint = self._timepoints[image.header.series_uid]
        return timepoint.role is Role.THERAPY_SPECT and timepoint.cycle == cycle

    def _lesions(self, scans: Sequence[Image]) -> list[Target]:
        where = {(s.image.header.series_uid, s.step.reference): s for s in self.seen}
        targets = []
        for lesion in self.lesions:
            own = [where[o.series_uid, o.region] for o in lesion.observations if o.region]
            on_scans = [s for i in scans for s in own if s.image is i]
            if on_scans:
                targets.append(self._target(lesion.lesion_id, "tumour", on_scans, own))
        return targets

    def _organs(self, scans: Sequence[Image]) -> list[Target]:
        """Organs on the scans, without the lesions in them; of organs that lie in each other, the first."""
        lesions = [s for s in self.seen if s.region.kind is RegionKind.LESION]
        organs = [s for s in self.seen if s.region.kind is RegionKind.ORGAN]
        targets: list[Target] = []
        for name in dict.fromkeys(s.region.name for s in organs):
            own = [s for s in organs if s.region.name == name]
            on_scans = [next(s for s in own if s.image is i) for i in scans if any(s.image is i for s in own)]
            if not on_scans or self._lies_in(on_scans[0], targets):
                continue
            trimmed = [t for s in on_scans if (t := self._without(s, lesions)) is not None]
            if trimmed:
                targets.append(self._target(name, tissue_of(name), trimmed, own))
        return targets

    def _lies_in(self, organ: Seen, targets: Sequence[Target]) -> bool:
        shared = sum(_common_ml(organ.region, t.scans[0][0].region) for t in targets)
        return shared > OVERLAP_FLAG * organ.region.volume_ml

    def _without(self, organ: Seen, lesions: Sequence[Seen]) -> Seen | None:
        """Take the lesions out of an organ on one scan."""
        inside = [s for s in lesions if s.image is organ.image and _common_ml(organ.region, s.region) > 0]
        if not inside:
            return organ
        made = self.conductor.step(
            "segment.without-lesions",
            wiring.without_lesions,
            {"organ": organ.step, "lesions": tuple(s.step for s in inside)},
            code="lutra.segment",
        )
        return Seen(organ.image, made, self.conductor.value(made)) if made else None

    def _target(self, name: str, tissue: str | None, on_scans: Sequence[Seen], everywhere: Sequence[Seen]) -> Target:
        frames = {s.image.header.frame_of_reference for s in on_scans}
        cts = [s for s in everywhere if s.image.role is Role.CT and s.image.header.frame_of_reference in frames]
        known = [measured(self.conductor, self.protocol, s, name) for s in cts]
        scans = [(s, measured(self.conductor, self.protocol, s, name)) for s in on_scans]
        return Target(name, tissue, tuple((s, m) for s, m in scans if m), tuple(m for m in known if m))

    def _rest(self, scans: Sequence[Image], targets: Sequence[Target]) -> list[tuple[str, Target]]:
        """All activity of each scan, and what of it is outside the targets."""
        whole: list[tuple[Seen, Made]] = []
        rest: list[tuple[Seen, Made]] = []
        for image in scans:
            if not image.summary:
                continue
            parts = tuple(m for t in targets for s, m in t.scans if s.image is image)
            seen = next((s for t in targets for s, _ in t.scans if s.image is image), None)
            if seen is None:
                continue
            for found, own in ((whole, ()), (rest, parts)):
                made = self.conductor.step(
                    "quantify.remainder",
                    wiring.activity_left,
                    {"whole": image.summary, "parts": own, "name": REMAINDER if own else WHOLE_BODY},
                )
                if made:
                    found.append((seen, made))
        return [
            (name, Target(name, None, tuple(found)))
            for name, found in ((WHOLE_BODY, whole), (REMAINDER, rest))
            if found
        ]

    # ---- 6 kinetics ----
    def _fit(self, administration: Administration, target: Target, before: Made | None) -> Made | None:
        if not target.scans:
            return None
        times = tuple(self._timepoints[s.image.header.series_uid].since_administration_s for s, _ in target.scans)
        curve = self.conductor.step(
            "kinetics.curve",
            wiring.activity_curve,
            {
                "measurements": tuple(m for _, m in target.scans),
                "times_s": times,
                "region": target.name,
                "nuclide": administration.nuclide,
                "tissue": target.tissue,
            },
        )
        if not curve:
            return None
        models = [plugins.load("kinetics", name) for name in self.protocol.kinetics.models]
        earlier = {"earlier": before} if before and "previous-cycle" in self.protocol.kinetics.models else {}
        made = self.conductor.step(
            f"kinetics.fit {' | '.join(name for name, _ in models)}",
            partial(wiring.fit_curve, models=models),
            {"curve": curve, **earlier},
            settings=self.protocol.kinetics,
            seed=seed_of(self.protocol, self.subject.subject_id, target.name, str(administration.cycle)),
            code="lutra.kinetics",
        )
        return made or None

    # ---- 7 dose ----
    def _mass(self, target: Target) -> Made | None:
        if not target.scans:
            return None
        return self.conductor.step(
            "dose.mass",
            wiring.lesion_mass,
            {"spect": target.scans[0][1], "ct": target.ct},
            settings=self.protocol.dose,
            code="lutra.dose",
        )

    def _doses(
        self,
        administration: Administration,
        scans: Sequence[Image],
        targets: Sequence[Target],
        fits: Mapping[str, Made],
        masses: Mapping[str, Made | None],
        remainder: Made | None,
    ) -> dict[str, tuple[DoseRecord, ...]]:
        image = min(scans, key=self._from_distribution_scan)
        here = [(t, s) for t in targets for s, _ in t.scans if s.image is image]
        if not here:
            return {}
        names = tuple(t.name for t, _ in here)
        ct = self._ct(image)
        inputs = {
            "image": image.volume,
            "regions": tuple(s.step for _, s in here),
            "fits": tuple(fits[name] for name in names),
            "masses": tuple(m for name in names if (m := masses[name])),
            "names": names,
            "tissues": tuple(t.tissue or "" for t, _ in here),
            "nuclide": administration.nuclide,
            **({"remainder": remainder} if remainder else {}),
            **({"ct": ct} if ct else {}),
        }
        found: dict[str, list[DoseRecord]] = {name: [] for name in names}
        for short_name in self.protocol.dose.engines:
            results = self._engine(short_name, inputs, administration.cycle)
            given = {} if not results else {r.region: n for n, r in enumerate(self.conductor.value(results))}
            for target, _ in here:
                name = target.name
                made = results.item(given[name]) if name in given else Made(None, results.receipt)
                effect = self._effect(target, made, fits[name]) if made else None
                found[name].append(DoseRecord(short_name, made, effect))
        for records in found.values():
            compared = tuple(d.dose for d in records if d.dose)
            if len(compared) > 1:
                self.conductor.step("dose.compare", wiring.compare_doses, {"results": compared}, code="lutra.dose")
        return {name: tuple(records) for name, records in found.items()}

    def _engine(self, short_name: str, inputs: Mapping[str, object], cycle: int) -> Made:
        name, engine = plugins.load("dose", short_name)
        made = self.conductor.step(
            f"dose.absorbed {name}",
            partial(wiring.absorbed_doses, engine=engine),
            inputs,
            settings=self.protocol.dose.options.get(short_name, FrozenMap()),
            seed=seed_of(self.protocol, "dose", str(cycle)),  # not the subject's name: a pseudonym changes no dose
            code=type(engine).__module__,
        )
        if not made:
            return made
        return self.conductor.step(f"dose.regions {name}", partial(wiring.doses_of_regions, name=name), {"doses": made})

    def _effect(self, target: Target, dose: Made, fit: Made) -> Made | None:
        """Find what a dose is worth to a tissue whose radiobiology is known."""
        if target.tissue is None or radiobiology_of(target.tissue, self.protocol.dose.tissues) is None:
            return None
        inputs = {"dose": dose, "fit": fit, "tissue": target.tissue}
        return self.conductor.step("dose.effects", biological_dose, inputs, settings=self.protocol.dose.tissues)

    def _from_distribution_scan(self, image: Image) -> float:
        since = self._timepoints[image.header.series_uid].since_administration_h
        return float("inf") if since is None else abs(since - self.protocol.dose.distribution_scan_h)

    def _ct(self, image: Image) -> Made | None:
        """Put the CT of the scan's frame on the scan's voxels."""
        frame = image.header.frame_of_reference
        ct = next((i for i in self.images if i.role is Role.CT and i.header.frame_of_reference == frame), None)
        if ct is None or not frame:
            return None
        return self.conductor.step("dose.ct-on-grid", ct_on_grid, {"ct": ct.volume, "image": image.volume})

    def _cumulative(self, cycles: tuple[CycleRecord, ...]) -> tuple[DoseRecord, ...]:
        given = tuple(a.cycle for a in self.subject.administrations)
        sums = []
        for short_name in dict.fromkeys(d.engine for c in cycles for d in c.doses):
            known = [(c, d) for c in cycles for d in c.doses if d.engine == short_name and d.dose]
            if not known:
                continue
            inputs = {"fits": tuple(c.fit for c, _ in known), "cycles": tuple(c.cycle for c, _ in known)}
            made = self.conductor.step(
                "dose.cumulative",
                cumulative_dose,
                {"doses": tuple(d.dose for _, d in known), "given": given, **inputs},
            )
            effects = tuple(d.effect for _, d in known if d.effect)
            worth = None
            if len(effects) == len(known):
                worth = self.conductor.step("dose.cumulative-bed", cumulative_bed, {"doses": effects, **inputs})
            sums.append(DoseRecord(short_name, made, worth))
        return tuple(sums)


def _common_ml(one: Region, other: Region) -> float:
    """Volume that two regions on one grid share. [mL]"""
    low = [max(a.start, b.start) for a, b in zip(one.box, other.box, strict=True)]
    high = [min(a.stop, b.stop) for a, b in zip(one.box, other.box, strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return 0.0

    def part(region: Region) -> npt.NDArray[np.float32]:
        box = tuple(slice(a - s.start, b - s.start) for a, b, s in zip(low, high, region.box, strict=True))
        return region.fraction[box]

    return float(np.minimum(part(one), part(other)).sum(dtype=np.float64)) * one.grid.voxel_volume_ml

"""Results of a study of digital patients against their truth: bias, spread, and whether the intervals hold what they promise."""

from __future__ import annotations

import csv
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from math import sqrt
from pathlib import Path

import numpy as np
from attrs import asdict, frozen

from lutra.core.errors import UsageError
from lutra.core.estimate import Estimate
from lutra.core.study import Timepoint
from lutra.pipeline.conductor import Conductor
from lutra.pipeline.record import SubjectRecord
from lutra.pipeline.results import Result, cycle_results, observation_results, results, series_results, slug
from lutra.pipeline.study import StudyFolder
from lutra.pipeline.views import SHOWN
from lutra.simulate.truth import Row, read_table

CYCLE, RESPONSE, ORGAN = "cycle", "response", "organ"
ORGAN_CYCLE = "organ, cycle"
TRUTH = "truth"
FILE = "compare"
LEVEL = 0.95

Key = tuple[str, str, str, str]
"""Subject; lesion, or organ; series, `cycle 2` or `follow-up 1`; quantity."""


@frozen
class Pair:
    """One number found, and what it should have been.

    Parameters
    ----------
    image
        Role of the image it was read from, `cycle`, `response`, or `organ` with the role.
    low, high
        Ends of the 95 % interval; None where not every source was evaluated.
    evaluated_low, evaluated_high
        Ends of the interval from the evaluated sources alone; None where there is none.
    """

    image: str
    quantity: str
    unit: str
    subject: str
    name: str
    found: float
    true: float
    low: float | None = None
    high: float | None = None
    evaluated_low: float | None = None
    evaluated_high: float | None = None

    @property
    def relative_error(self) -> float | None:
        """Found over true, less 1; None where the truth is zero, or is itself a relative change. [1]"""
        return None if self.true == 0 or self.image == RESPONSE else self.found / self.true - 1


@frozen
class Agreement:
    """One quantity over all lesions and scans.

    Parameters
    ----------
    n
        Pairs.
    bias, lower_quartile, upper_quartile
        Median and quartiles of the relative error [1]; of the plain difference where `relative` is False. [unit]
    rmse
        Root mean square of the difference. [unit]
    evaluated, coverage
        Pairs with a complete uncertainty, and the share of their 95 % intervals that hold the truth.
    lower_bounds, lower_bound_coverage
        The same of intervals from evaluated sources alone, where others were not evaluated: expected to hold less.
    """

    image: str
    quantity: str
    unit: str
    n: int
    relative: bool
    bias: float
    lower_quartile: float
    upper_quartile: float
    rmse: float
    evaluated: int
    coverage: float | None
    lower_bounds: int
    lower_bound_coverage: float | None


@frozen
class Comparison:
    """Everything that was compared.

    Parameters
    ----------
    without_truth
        Image and quantity of results that the truth says nothing of, with their number.
    not_found
        Image and quantity of the truth that the study has no result for, with their number.
    """

    pairs: tuple[Pair, ...]
    agreements: tuple[Agreement, ...]
    without_truth: tuple[tuple[str, str, int], ...]
    not_found: tuple[tuple[str, str, int], ...]


def compare(study: StudyFolder, truth: Path | None = None, minimum_ml: float = 0.0) -> Comparison:
    """Compare every number of a study with the truth.

    Parameters
    ----------
    truth
        Folder of the truth; None: it is looked for in the study, beside it, and beside the images.
    minimum_ml
        Lesions whose true volume is smaller are left out.

    Raises
    ------
    UsageError
        If there is no truth, the study has not been run, or nothing can be compared.
    """
    folder = truth or find_truth(study)
    known = dict(_truth(folder))
    if minimum_ml:
        small = _small(folder, minimum_ml)
        known = {key: row for key, row in known.items() if (key[0], key[1], key[2]) not in small}
    records = study.require_records()
    conductor = Conductor(study.store, study.ledger)
    pairs, met = [], set()
    unknown: dict[tuple[str, str], int] = defaultdict(int)
    for record in records:
        for key, image, result in _found(conductor, record):
            row = known.get(key)
            if row is None:
                unknown[image, result.quantity] += 1
                continue
            met.add(key)
            pairs.append(_pair(image, key, result.estimate, float(row["value"] or 0.0)))
    if not pairs:
        raise UsageError(
            f"no result of {study.root} is about a lesion of {folder}", do="give the truth of these images with --truth"
        )
    missed: dict[tuple[str, str], int] = defaultdict(int)
    for key, row in known.items():
        if key not in met:
            missed[str(row["image"]), key[3]] += 1
    told = {(pair.image, pair.quantity) for pair in pairs}
    return Comparison(
        tuple(pairs),
        tuple(agreements(pairs)),
        tuple((*names, n) for names, n in sorted(unknown.items()) if names not in told),
        tuple((*names, n) for names, n in sorted(missed.items())),
    )


def find_truth(study: StudyFolder) -> Path:
    """Look for the truth of a study: in it, beside it, and above its images."""
    places = [study.root, study.root.parent, study.root.parent / "simulated"]
    first = next(iter(study.ledger.sources()), None)
    places += list(Path(first.path).parents) if first else []
    for place in places:
        if (place / TRUTH / "scans.parquet").is_file():
            return place / TRUTH
    raise UsageError(
        "there is no truth in this study, beside it or beside its images",
        where=str(study.root),
        required="the folder that lutra simulate wrote",
        do="give it with --truth",
    )


def agreements(pairs: Sequence[Pair]) -> Iterator[Agreement]:
    """Summarise pairs by image and quantity."""
    groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.image, pair.quantity].append(pair)
    for (image, quantity), group in sorted(groups.items()):
        errors = [pair.relative_error for pair in group]
        relative = all(error is not None for error in errors)
        used = [e for e in errors if e is not None] if relative else [p.found - p.true for p in group]
        low, middle, high = (float(q) for q in np.quantile(used, (0.25, 0.5, 0.75)))
        whole = [p for p in group if p.low is not None]
        bounds = [p for p in group if p.low is None and p.evaluated_low is not None]
        yield Agreement(
            image,
            quantity,
            group[0].unit,
            len(group),
            relative,
            middle,
            low,
            high,
            sqrt(float(np.mean([(p.found - p.true) ** 2 for p in group]))),
            len(whole),
            _share([(p.low, p.true, p.high) for p in whole]),
            len(bounds),
            _share([(p.evaluated_low, p.true, p.evaluated_high) for p in bounds]),
        )


def write_comparison(found: Comparison, folder: Path) -> tuple[Path, Path]:
    """Write the summary as CSV, and everything as JSON."""
    folder.mkdir(parents=True, exist_ok=True)
    table, whole = folder / f"{FILE}.csv", folder / f"{FILE}.json"
    rows = [asdict(a) for a in found.agreements]
    with table.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    whole.write_text(json.dumps(as_json(found), indent=1, allow_nan=False), encoding="utf-8")
    return table, whole


def as_json(found: Comparison, *, pairs: bool = True) -> dict[str, object]:
    """Everything as plain data."""
    data: dict[str, object] = {
        "agreement": [asdict(a) for a in found.agreements],
        "without_truth": [{"image": i, "quantity": q, "n": n} for i, q, n in found.without_truth],
        "not_found": [{"image": i, "quantity": q, "n": n} for i, q, n in found.not_found],
    }
    return data | ({"pairs": [asdict(p) for p in found.pairs]} if pairs else {})


def _truth(folder: Path) -> Iterator[tuple[Key, Row]]:
    try:
        tables = {name: read_table(folder, name) for name in ("scans", "cycles", "organs", "responses")}
    except OSError as error:
        raise UsageError(f"cannot be read: {error}", where=str(folder), required="what lutra simulate wrote") from None
    for row in tables["scans"]:
        lesion = str(row["lesion"] or "")
        yield (str(row["subject"]), lesion, str(row["series_uid"]), str(row["quantity"])), row
    for row in tables["cycles"]:
        place = f"cycle {row['cycle']}"
        yield (str(row["subject"]), str(row["lesion"]), place, str(row["quantity"])), {**row, "image": CYCLE}
    for row in tables["organs"]:
        if row["series_uid"]:
            image = f"{ORGAN}, {row['image']}"
            key = (str(row["subject"]), str(row["organ"]), str(row["series_uid"]), str(row["quantity"]))
            yield key, {**row, "image": image}
            continue
        pair = row["organ"] == "kidneys"
        if pair and row["quantity"] == "time-integrated-activity":
            continue  # of both together; the study has one curve for each
        for name in ("left kidney", "right kidney") if pair else (str(row["organ"]),):
            key = (str(row["subject"]), name, f"cycle {row['cycle']}", str(row["quantity"]))
            yield key, {**row, "image": ORGAN_CYCLE}
    for row in tables["responses"]:
        place = f"follow-up {row['follow_up']}"
        answer: Row = {**row, "image": RESPONSE, "value": float(row["change"] or 0.0) * 100}
        yield (str(row["subject"]), str(row["lesion"]), place, "diameter-change"), answer


def _small(folder: Path, minimum_ml: float) -> set[tuple[str, str, str]]:
    """Lesions below a volume, by subject, name and place."""
    found = set()
    for name in ("scans", "cycles"):
        for row in read_table(folder, name):
            limit = {"volume": minimum_ml, "mass": minimum_ml}.get(str(row["quantity"]))
            if limit is not None and float(row["value"] or 0.0) < limit:
                place = str(row["series_uid"]) if name == "scans" else f"cycle {row['cycle']}"
                found.add((str(row["subject"]), str(row["lesion"]), place))
    return found


def _found(conductor: Conductor, record: SubjectRecord) -> Iterator[tuple[Key, str, Result]]:
    """Every number of a subject, with its key and the kind of image it is about."""
    subject = record.subject.subject_id
    times: dict[str, Timepoint] = {t.series_uid: t for t in record.subject.timepoints}

    def role(uid: str) -> str:
        return times[uid].role.value if uid in times else ""

    told = set()
    for series in record.series:
        for result in series_results(conductor, subject, series):
            told.add(result.path)
            yield (subject, "", series.series_uid, result.quantity), role(series.series_uid), result
    for lesion in record.lesions:
        for observation in lesion.observations:
            uid = observation.series_uid
            for result in observation_results(conductor, subject, lesion.lesion_id, observation):
                told.add(result.path)
                yield (subject, lesion.name, uid, result.quantity), role(uid), result
        for cycle in lesion.dosimetry.cycles:
            for result in cycle_results(conductor, subject, lesion.lesion_id, cycle):
                told.add(result.path)
                yield (subject, lesion.name, f"cycle {cycle.cycle}", result.quantity), CYCLE, result
    for region in record.dosimetry:
        for cycle in region.cycles:
            for result in cycle_results(conductor, subject, region.name, cycle):
                told.add(result.path)
                yield (subject, region.name.casefold(), f"cycle {cycle.cycle}", result.quantity), ORGAN_CYCLE, result
    names = {lesion.lesion_id: lesion.name for lesion in record.lesions}
    organs = {_start(o.label, o.region_name): o for o in record.organs}
    for result in results(conductor, record):
        if result.path in told:
            continue
        _, name, *rest = result.path.split("/")
        if name in names and rest[0] == "response":
            place = rest[1].replace("follow-up-", "follow-up ")
            yield (subject, names[name], place, result.quantity), RESPONSE, result
        elif (organ := organs.get(f"{name}/{rest[0]}")) is not None:
            uid = organ.series_uid
            yield (subject, organ.region_name, uid, result.quantity), f"{ORGAN}, {role(uid)}", result
        else:
            yield (subject, name, rest[0], result.quantity), "change", result


def _start(label: str, region_name: str) -> str:
    return f"{slug(region_name)}/{slug(label)}"


def _pair(image: str, key: Key, estimate: Estimate, true: float) -> Pair:
    shown = SHOWN[estimate.unit]
    interval = estimate.interval(LEVEL)
    bounds = estimate.evaluated_interval(LEVEL) if estimate.evaluated_sd else None
    low, high = (edge * shown.factor for edge in interval) if interval else (None, None)
    from_, to = (edge * shown.factor for edge in bounds) if bounds else (None, None)
    value = estimate.value * shown.factor
    return Pair(image, key[3], shown.symbol, key[0], key[1], value, true, low, high, from_, to)


def _share(intervals: Sequence[tuple[float | None, float, float | None]]) -> float | None:
    """Share of intervals that hold the truth; None of none. [1]"""
    held = [low <= true <= high for low, true, high in intervals if low is not None and high is not None]
    return sum(held) / len(held) if held else None

"""The protocol of a study: one TOML file, one settings class per stage, no unknown words.

Every key carries its unit in its name. A key nobody knows is an error, because a misspelt limit is worse than none.
"""

from __future__ import annotations

import re
import tomllib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

import attrs
import cattrs
from attrs import field, frozen
from cattrs.errors import ClassValidationError
from cattrs.gen import make_dict_structure_fn

from lutra.align.settings import AlignSettings
from lutra.core.digest import digest
from lutra.core.errors import ProtocolError
from lutra.core.frozen import FrozenMap
from lutra.core.treatment import Limits, Schedule, TreatmentPlan
from lutra.dose.settings import DoseSettings
from lutra.ingest.settings import IngestSettings, UnpackSettings
from lutra.kinetics.settings import KineticsSettings
from lutra.quantify.settings import QuantifySettings
from lutra.response.settings import ResponseSettings
from lutra.segment.settings import SegmentSettings
from lutra.track.settings import TrackSettings

T = TypeVar("T")


@frozen
class StudySettings:
    """Who this protocol is for.

    Parameters
    ----------
    name
        Name of the study.
    title
        One line for the head of the report.
    time_zone
        IANA zone that applies to files which name none.
    seed
        Every random number of the study follows from it.
    version
        Of the protocol, as the study's people count; empty where they do not.
    sponsor, site
        With a sponsor, de-identified images say which trial they belong to.
    """

    name: str
    title: str = ""
    time_zone: str = "UTC"
    seed: int = 20130518
    version: str = ""
    sponsor: str = ""
    site: str = ""


@frozen
class Protocol:
    """All settings of a study, each stage's its own."""

    study: StudySettings
    treatment: TreatmentPlan = field(factory=TreatmentPlan)
    schedule: Schedule = field(factory=Schedule)
    limits: Limits = field(factory=Limits)
    unpack: UnpackSettings = field(factory=UnpackSettings)
    ingest: IngestSettings = field(factory=IngestSettings)
    quantify: QuantifySettings = field(factory=QuantifySettings)
    align: AlignSettings = field(factory=AlignSettings)
    segment: SegmentSettings = field(factory=SegmentSettings)
    track: TrackSettings = field(factory=TrackSettings)
    kinetics: KineticsSettings = field(factory=KineticsSettings)
    dose: DoseSettings = field(factory=DoseSettings)
    response: ResponseSettings = field(factory=ResponseSettings)

    @property
    def digest(self) -> str:
        """Identity of the protocol. [hex]"""
        return digest(self)


def shipped_protocols() -> dict[str, str]:
    """Text of each protocol that comes with Lutra, by name."""
    folder = files("lutra.reference") / "protocols"
    texts = {p.name.removesuffix(".toml"): p.read_text("utf-8") for p in folder.iterdir() if p.name.endswith(".toml")}
    return dict(sorted(texts.items()))


def read_protocol(path: Path) -> Protocol:
    """Read and check a protocol file.

    Raises
    ------
    ProtocolError
        Naming the file, the setting, what is required and the known names.
    """
    try:
        text = path.read_text("utf-8")
    except FileNotFoundError:
        raise ProtocolError("missing", where=str(path), do="create a study with: lutra study init DIR") from None
    return parse_protocol(text, str(path))


def parse_protocol(text: str, where: str) -> Protocol:
    """Check a protocol given as text; see :func:`read_protocol`."""
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ProtocolError(f"not valid TOML: {error}", where=where) from error
    # Two stages need the zone and it must not be given twice.
    zone = table.get("study", {}).get("time_zone")
    if isinstance(zone, str):
        table.setdefault("ingest", {}).setdefault("time_zone", zone)
    try:
        return structured(table, Protocol, where)
    except ProtocolError as error:
        line = line_of(text, f"{error.where} {error.found}")
        at = f"{where}, line {line}" if line else where
        found = error.found if error.where == where else f"{error.where}: {error.found}"
        raise ProtocolError(found, where=at, required=error.required, do=error.do) from error


def line_of(text: str, message: str) -> int | None:
    """Line of the setting that a message names, counted from 1; None if it names none that stands there.

    A setting named with its section is looked for first, then one named beside its section, then a section.
    """
    section, best, line = "", 0, None
    for number, written in enumerate(text.splitlines(), start=1):
        head, key = re.match(r"\s*\[+\s*([\w.-]+)\s*\]+", written), re.match(r"\s*([\w-]+)\s*=", written)
        if head:
            section = head[1]
            score = int(_names(message, section))
        elif key:
            together = _names(message, f"{section}.{key[1]}")
            score = 3 if together else 2 * int(_names(message, section) and _names(message, key[1]))
        else:
            score = 0
        if score > best:
            best, line = score, number
    return line


def _names(message: str, name: str) -> bool:
    return bool(name) and re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", message) is not None


def structured(table: dict[str, Any], into: type[T], where: str, prefix: str = "") -> T:
    """Make a settings or core value of a TOML table, whose name is `prefix` and a dot.

    Raises
    ------
    ProtocolError
        For an unknown, missing or impossible setting, by name.
    """
    _refuse_unknown(table, into, where, prefix)
    try:
        return _converter().structure(table, into)
    except (ClassValidationError, ValueError, TypeError, KeyError) as error:
        raise ProtocolError(
            "; ".join(cattrs.transform_error(error, format_exception=_reason)), where=where, do="correct this setting"
        ) from error


def _refuse_unknown(table: dict[str, Any], into: type, where: str, prefix: str = "") -> None:
    known = {f.name: f.type for f in attrs.fields(attrs.resolve_types(into))}
    for key, given in table.items():
        if key not in known:
            raise ProtocolError(
                f"unknown setting {prefix}{key}",
                where=where,
                required=f"one of: {', '.join(sorted(known))}",
                do="correct it",
            )
        kind = known[key]
        if kind is not None and attrs.has(kind) and isinstance(given, dict):
            _refuse_unknown(given, kind, where, f"{prefix}{key}.")


def _reason(error: BaseException, _expected: type | None) -> str:
    """Give the reason a setting was refused; a missing one has nothing but its name."""
    return f"missing setting {error}" if isinstance(error, KeyError) else str(error)


@cache
def _converter() -> cattrs.Converter:
    converter = cattrs.Converter(forbid_extra_keys=True)
    converter.register_structure_hook_factory(attrs.has, lambda kind: make_dict_structure_fn(kind, converter))
    for plain in (int, float, str, bool):
        converter.register_structure_hook(plain, _strict)

    def frozen_map(given: dict[str, Any], hint: Any) -> FrozenMap[str, Any]:
        kind = get_args(hint)[1]
        nested = get_origin(kind) is FrozenMap
        return FrozenMap({key: frozen_map(item, kind) if nested else item for key, item in given.items()})

    def is_frozen_map(hint: Any) -> bool:
        return get_origin(hint) is FrozenMap

    converter.register_structure_hook_func(is_frozen_map, frozen_map)
    return converter


def _strict(given: Any, kind: type) -> Any:
    """Take a number or text as it is written: "12" is not 12, true is not 1."""
    if kind is float and type(given) is int:
        return float(given)
    if type(given) is not kind:
        raise TypeError(f"{given!r} is not a {kind.__name__}")
    return given

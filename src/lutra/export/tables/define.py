"""Definition file of the tables: Define-XML 2.1, as much of it as says what each column is."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from lutra.export.tables.domain import Domain

ODM, DEF = "http://www.cdisc.org/ns/odm/v1.3", "http://www.cdisc.org/ns/def/v2.1"
TYPES = {"text": "text", "integer": "integer", "float": "float", "date": "date", "datetime": "datetime"}
LONGEST_TEXT = "200"


def define_xml(study: str, title: str, standard: str, domains: Iterable[Domain], made_at: str) -> str:
    """Describe tables and columns.

    Parameters
    ----------
    standard
        `SDTMIG 3.4`, `ADaMIG 1.3`.
    made_at
        ISO 8601.
    """
    ET.register_namespace("", ODM)
    ET.register_namespace("def", DEF)
    root = ET.Element(
        _odm("ODM"),
        {"FileOID": f"{study}.define", "FileType": "Snapshot", "ODMVersion": "1.3.2", "CreationDateTime": made_at},
    )
    place = ET.SubElement(root, _odm("Study"), {"OID": study})
    names = ET.SubElement(place, _odm("GlobalVariables"))
    for name, text in (("StudyName", study), ("StudyDescription", title or study), ("ProtocolName", study)):
        ET.SubElement(names, _odm(name)).text = text
    version = ET.SubElement(
        place,
        _odm("MetaDataVersion"),
        {"OID": f"MDV.{study}", "Name": f"{study}, {standard}", _def("DefineVersion"): "2.1.0"},
    )
    domains = tuple(domains)
    for domain in domains:
        group = ET.SubElement(
            version,
            _odm("ItemGroupDef"),
            {
                "OID": f"IG.{domain.name}",
                "Name": domain.name,
                "Repeating": "Yes",
                "IsReferenceData": "No",
                "Purpose": "Analysis" if domain.name.startswith("AD") else "Tabulation",
                _def("Structure"): domain.structure,
            },
        )
        _described(group, domain.label)
        for n, variable in enumerate(domain.variables, start=1):
            of_key = {"KeySequence": str(domain.keys.index(variable.name) + 1)} if variable.name in domain.keys else {}
            reference = {"ItemOID": _oid(domain, variable.name), "OrderNumber": str(n)}
            mandatory = "Yes" if variable.name in domain.keys else "No"
            ET.SubElement(group, _odm("ItemRef"), {**reference, "Mandatory": mandatory, **of_key})
    for domain in domains:
        for variable in domain.variables:
            kind = TYPES[variable.type]
            length = {"Length": LONGEST_TEXT} if kind == "text" else {}
            item = ET.SubElement(
                version,
                _odm("ItemDef"),
                {"OID": _oid(domain, variable.name), "Name": variable.name, "DataType": kind, **length},
            )
            _described(item, variable.label)
            ET.SubElement(item, _def("Origin"), {"Type": variable.origin})
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _described(element: ET.Element, text: str) -> None:
    described = ET.SubElement(element, _odm("Description"))
    ET.SubElement(described, _odm("TranslatedText"), {"{http://www.w3.org/XML/1998/namespace}lang": "en"}).text = text


def _oid(domain: Domain, variable: str) -> str:
    return f"IT.{domain.name}.{variable}"


def _odm(name: str) -> str:
    return f"{{{ODM}}}{name}"


def _def(name: str) -> str:
    return f"{{{DEF}}}{name}"

"""Definition file of the tables: Define-XML 2.1, as much of it as says what each table, column and code is.

It is not meant for a submission as it is (`Context` is `Other`): derivations stand in the program's documentation, not as methods.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from attrs import frozen

from lutra.export.tables.domain import LONGEST_TEXT, Domain, Variable

ODM, DEF = "http://www.cdisc.org/ns/odm/v1.3", "http://www.cdisc.org/ns/def/v2.1"
XLINK = "http://www.w3.org/1999/xlink"
SOURCES = {"Collected": "Investigator", "Derived": "Sponsor", "Assigned": "Sponsor"}
ONE_ROW_EACH = "DM"


@frozen
class Standard:
    """The implementation guide that tables follow."""

    name: str
    version: str


def define_xml(study: str, title: str, standard: Standard, domains: Iterable[Domain], made_at: str) -> str:
    """Describe tables, columns and codes.

    Parameters
    ----------
    made_at
        ISO 8601.
    """
    for prefix, uri in (("", ODM), ("def", DEF), ("xlink", XLINK)):
        ET.register_namespace(prefix, uri)
    domains = tuple(domains)
    root = ET.Element(
        _odm("ODM"),
        {
            "FileOID": f"{study}.define",
            "FileType": "Snapshot",
            "ODMVersion": "1.3.2",
            "CreationDateTime": made_at,
            _def("Context"): "Other",
        },
    )
    place = ET.SubElement(root, _odm("Study"), {"OID": study})
    names = ET.SubElement(place, _odm("GlobalVariables"))
    for name, text in (("StudyName", study), ("StudyDescription", title or study), ("ProtocolName", study)):
        ET.SubElement(names, _odm(name)).text = text
    version = ET.SubElement(
        place,
        _odm("MetaDataVersion"),
        {
            "OID": f"MDV.{study}",
            "Name": f"{study}, {standard.name} {standard.version}",
            _def("DefineVersion"): "2.1.0",
        },
    )
    known = ET.SubElement(version, _def("Standards"))
    guide = {"OID": "STD.1", "Name": standard.name, "Type": "IG", "Version": standard.version, "Status": "Final"}
    ET.SubElement(known, _def("Standard"), guide)
    for domain in domains:
        _group(version, domain)
    for domain in domains:
        for variable in domain.variables:
            _item(version, domain, variable)
    for domain in domains:
        for variable in domain.variables:
            _code_list(version, domain, variable)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _group(version: ET.Element, domain: Domain) -> None:
    analysis = domain.name.startswith("AD")
    attributes = {
        "OID": f"IG.{domain.name}",
        "Name": domain.name,
        "Repeating": "No" if domain.name == ONE_ROW_EACH else "Yes",
        "IsReferenceData": "No",
        "Purpose": "Analysis" if analysis else "Tabulation",
        _def("Structure"): domain.structure,
        _def("ArchiveLocationID"): f"LF.{domain.name}",
    }
    attributes |= {} if analysis else {"Domain": domain.name}
    attributes |= {_def("StandardOID"): "STD.1"} if domain.standard else {_def("IsNonStandard"): "Yes"}
    group = ET.SubElement(version, _odm("ItemGroupDef"), attributes)
    _described(group, "Description", domain.label)
    for n, variable in enumerate(domain.variables, start=1):
        is_key = variable.name in domain.keys
        reference = {
            "ItemOID": _oid("IT", domain, variable),
            "OrderNumber": str(n),
            "Mandatory": "Yes" if is_key else "No",
        }
        reference |= {"KeySequence": str(domain.keys.index(variable.name) + 1)} if is_key else {}
        ET.SubElement(group, _odm("ItemRef"), reference)
    ET.SubElement(group, _def("Class"), {"Name": domain.kind})
    file = f"{domain.name.lower()}.csv"
    leaf = ET.SubElement(group, _def("leaf"), {"ID": f"LF.{domain.name}", f"{{{XLINK}}}href": file})
    ET.SubElement(leaf, _def("title")).text = file


def _item(version: ET.Element, domain: Domain, variable: Variable) -> None:
    attributes = {"OID": _oid("IT", domain, variable), "Name": variable.name, "DataType": variable.type}
    attributes |= {"Length": str(LONGEST_TEXT)} if variable.type == "text" else {}
    item = ET.SubElement(version, _odm("ItemDef"), attributes)
    _described(item, "Description", variable.label)
    if variable.codes:
        ET.SubElement(item, _odm("CodeListRef"), {"CodeListOID": _oid("CL", domain, variable)})
    ET.SubElement(item, _def("Origin"), {"Type": variable.origin, "Source": SOURCES[variable.origin]})


def _code_list(version: ET.Element, domain: Domain, variable: Variable) -> None:
    if not variable.codes:
        return
    listed = ET.SubElement(
        version,
        _odm("CodeList"),
        {
            "OID": _oid("CL", domain, variable),
            "Name": variable.label,
            "DataType": "text",
            _def("IsNonStandard"): "Yes",
        },
    )
    for code, meaning in variable.codes:
        item = ET.SubElement(listed, _odm("CodeListItem"), {"CodedValue": code})
        _described(item, "Decode", meaning)


def _described(element: ET.Element, name: str, text: str) -> None:
    described = ET.SubElement(element, _odm(name))
    ET.SubElement(described, _odm("TranslatedText"), {"{http://www.w3.org/XML/1998/namespace}lang": "en"}).text = text


def _oid(kind: str, domain: Domain, variable: Variable) -> str:
    return f"{kind}.{domain.name}.{variable.name}"


def _odm(name: str) -> str:
    return f"{{{ODM}}}{name}"


def _def(name: str) -> str:
    return f"{{{DEF}}}{name}"

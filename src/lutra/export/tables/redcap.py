"""The data dictionary of the clinical tables as REDCap takes it."""

from __future__ import annotations

import csv
import io
from collections import Counter

from lutra.reference.data_dictionary import KEYS, TABLES, Field, redcap_code

COLUMNS = (
    "Variable / Field Name",
    "Form Name",
    "Section Header",
    "Field Type",
    "Field Label",
    "Choices, Calculations, OR Slider Labels",
    "Field Note",
    "Text Validation Type OR Show Slider Number",
    "Text Validation Min",
    "Text Validation Max",
    "Identifier?",
    "Branching Logic (Show field only if...)",
    "Required Field?",
    "Custom Alignment",
    "Question Number (surveys only)",
    "Matrix Group Name",
    "Matrix Ranking?",
    "Field Annotation",
)
"""The 18 columns of a REDCap data dictionary, in their order."""
VALIDATION = {"number": "number", "integer": "integer", "date": "date_ymd", "datetime": "datetime_ymd"}


def redcap_dictionary() -> str:
    """Write every field of the clinical tables, one form per table.

    REDCap wants names that are unique in a project: a name that two tables have is preceded by its table. It wants codes without
    spaces and signs: `non-target` is `non_target`. The reader of the tables knows both.
    """
    shared = Counter(f.name for fields in TABLES.values() for f in fields)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n", restval="")
    writer.writeheader()
    writer.writerow(_row("subjects", KEYS[0], KEYS[0].name))
    for table, fields in TABLES.items():
        for field in fields:
            writer.writerow(_row(table, field, field.name if shared[field.name] == 1 else f"{table}_{field.name}"))
    return text.getvalue()


def _row(form: str, field: Field, name: str) -> dict[str, str]:
    kind = {"radio": "radio", "yesno": "yesno"}.get(field.type, "text")
    choices = " | ".join(f"{redcap_code(code)}, {label}" for code, label in field.codes.items())
    return {
        "Variable / Field Name": name,
        "Form Name": form,
        "Field Type": kind,
        "Field Label": field.label,
        "Choices, Calculations, OR Slider Labels": choices if kind == "radio" else "",
        "Field Note": f"[{field.unit}]" if field.unit else "",
        "Text Validation Type OR Show Slider Number": VALIDATION.get(field.type, ""),
        "Text Validation Min": "" if field.low is None else f"{field.low:g}",
        "Text Validation Max": "" if field.high is None else f"{field.high:g}",
        "Identifier?": "y" if field.name == "record_id" else "",
        "Required Field?": "y" if field.required else "",
    }

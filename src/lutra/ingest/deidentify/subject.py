"""Who a subject becomes: name, shift of dates, and what its UIDs turn into."""

from __future__ import annotations

import csv
import re
from pathlib import Path

from attrs import frozen
from pydicom._uid_dict import UID_dictionary

from lutra.core.errors import InputError, UsageError
from lutra.core.frozen import FrozenMap
from lutra.ingest.deidentify.key import PseudonymKey

PSEUDONYM_FORM = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,15}")
KEYED_ROOT = "2.25."


@frozen
class SubjectIdentity:
    """What stands in place of one patient.

    Parameters
    ----------
    pseudonym
        New patient identifier and name.
    days
        Shift of all dates; 0 for a file that was made from de-identified images of this study. [d]
    proof
        Tells apart two patients of one pseudonym; empty for such a file.
    """

    pseudonym: str
    days: int
    proof: str
    key: PseudonymKey

    def uid(self, old: str) -> str:
        """UID that takes the place of another; DICOM's own, such as SOP classes, stay."""
        old = old.strip("\0 ")
        if not old or old in UID_dictionary or (not self.proof and old.startswith(KEYED_ROOT)):
            return old
        return self.key.uid(old)


def identify(patient_id: str, key: PseudonymKey, table: FrozenMap[str, str], known: frozenset[str]) -> SubjectIdentity:
    """Find who a patient becomes.

    Parameters
    ----------
    table
        Patient identifiers and the pseudonyms chosen for them; where there is a table, it is complete.
    known
        Pseudonyms of the study. A file that carries one was made from its images: it keeps its dates and their UIDs.

    Raises
    ------
    InputError
        If there is a table and the patient is not in it.
    """
    if patient_id in known:
        return SubjectIdentity(patient_id, 0, "", key)
    if table and patient_id not in table:
        raise InputError(
            "a patient who is not in the table of pseudonyms",
            where=f"patient {patient_id} (0010,0020)",
            required="one row per patient",
            do="add the patient to the table",
        )
    pseudonym = table[patient_id] if table else key.pseudonym(patient_id)
    return SubjectIdentity(pseudonym, key.shift_days(patient_id), key.proof(patient_id), key)


def read_pseudonyms(path: Path) -> FrozenMap[str, str]:
    """Read a table of two columns, `patient_id` and `pseudonym`, as CSV.

    Raises
    ------
    UsageError
        If it cannot be read, or a pseudonym is malformed, used twice or holds the identifier it stands for.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = [(row["patient_id"].strip(), row["pseudonym"].strip()) for row in csv.DictReader(file)]
    except (OSError, KeyError, AttributeError, UnicodeDecodeError, csv.Error) as error:
        raise UsageError(
            f"the table of pseudonyms cannot be read: {error}",
            where=str(path),
            required="CSV in UTF-8 with the columns patient_id and pseudonym",
        ) from None
    table = dict(rows)
    for old, new in rows:
        if not PSEUDONYM_FORM.fullmatch(new) or (old and old.casefold() in new.casefold()):
            raise UsageError(
                f"pseudonym {new!r} is not usable",
                where=str(path),
                required="1 to 16 letters, digits, '_', '.' or '-', and nothing of the old identifier",
            )
    if len(table) != len(rows) or len(set(table.values())) != len(rows) or not rows:
        raise UsageError(
            "the table of pseudonyms is empty, or names a patient or a pseudonym twice",
            where=str(path),
            required="one row per patient, one patient per pseudonym",
        )
    return FrozenMap(table)

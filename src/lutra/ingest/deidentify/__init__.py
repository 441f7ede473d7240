"""De-identification: DICOM PS3.15 Annex E, with dates moved and numbers kept.

What leaves a file is on the list of `reference/deidentification.toml`; nothing else does. `key` makes pseudonyms, shifts and UIDs
of a secret that `key_file` keeps apart from the study; `subject` is who a patient becomes, `dates` and `words` treat dates and
typed text, `rules` and `dataset` clean a dataset, `refusals` names what cannot be made safe, `file` does all of it to a file.
"""

from lutra.ingest.deidentify.dataset import texts
from lutra.ingest.deidentify.file import DESCRIPTIONS, CleanFile, Deidentifier, DeidentifySettings
from lutra.ingest.deidentify.key import PseudonymKey
from lutra.ingest.deidentify.key_file import create_key, default_key_path, read_key, require_outside
from lutra.ingest.deidentify.subject import read_pseudonyms

__all__ = [
    "DESCRIPTIONS",
    "CleanFile",
    "Deidentifier",
    "DeidentifySettings",
    "PseudonymKey",
    "create_key",
    "default_key_path",
    "read_key",
    "read_pseudonyms",
    "require_outside",
    "texts",
]

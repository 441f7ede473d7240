"""Stage 1: DICOM files to headers, stored voxels, contours and regions.

Validates and refuses by name; never repairs silently, never modifies a file. `containers` unpacks, `intake` sorts files and
`dicomdir` says whether all are there; `classic`, `enhanced` and `mosaic` make `frames` of a file, `diffusion` gives them their
b-values, `geometry` stacks them on a grid, `series` makes one header of them, `image` their voxels; `contours` reads RTSTRUCT,
`segmentation` SEG, `label_map` NIfTI and `dose_grid` RTDOSE; `elements`, `clock`, `radiopharmaceutical`, `pet` and `nm` read
what they are called after; `bare` tells whole instances from broken ones. `dicomweb` and `receiver` fetch and receive, to `shelf`.
"""

from lutra.ingest.bare import same_but_for_the_head
from lutra.ingest.contours import read_contours
from lutra.ingest.dicomweb import Archive, DicomWeb, Query, Remote
from lutra.ingest.dose_grid import StoredDvh, read_dose_grid, read_stored_dvhs
from lutra.ingest.image import read_image, read_volumes
from lutra.ingest.intake import Intake, scan, scan_unpacked
from lutra.ingest.label_map import read_label_map
from lutra.ingest.label_names import read_label_names
from lutra.ingest.receiver import Ended, Receiver, ReceiverSettings
from lutra.ingest.segmentation import read_segmentation
from lutra.ingest.series import read_header
from lutra.ingest.settings import IngestSettings, UnpackSettings
from lutra.ingest.shelf import shelf_path, shelve, shelved

__all__ = [
    "Archive",
    "DicomWeb",
    "Ended",
    "IngestSettings",
    "Intake",
    "Query",
    "Receiver",
    "ReceiverSettings",
    "Remote",
    "StoredDvh",
    "UnpackSettings",
    "read_contours",
    "read_dose_grid",
    "read_header",
    "read_image",
    "read_label_map",
    "read_label_names",
    "read_segmentation",
    "read_stored_dvhs",
    "read_volumes",
    "same_but_for_the_head",
    "scan",
    "scan_unpacked",
    "shelf_path",
    "shelve",
    "shelved",
]

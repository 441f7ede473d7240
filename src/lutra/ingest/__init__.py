"""Stage 1: DICOM files to headers, stored voxels, contours and regions.

Validates and refuses by name; never repairs silently, never modifies a file. `containers` unpacks, `intake` sorts files and
`dicomdir` says whether all are there; `classic`, `enhanced` and `mosaic` make `frames` of a file, `diffusion` gives them their
b-values, `geometry` stacks them on a grid, `series` makes one header of them, `image` their voxels; `contours` reads RTSTRUCT,
`segmentation` SEG, `label_map` NIfTI, `dose_grid` RTDOSE, `spatial_registration` REG; `itk_transform` and `point_tables` read what
people make elsewhere; `elements`, `clock`, `radiopharmaceutical`, `pet` and `nm` read what they are called after; `bare` tells
whole instances from broken ones. `dicomweb` and `receiver` fetch and receive, to `shelf`.
"""

from lutra.ingest.bare import same_but_for_the_head
from lutra.ingest.contours import read_contours
from lutra.ingest.dicomweb import Archive, DicomWeb, Query, Remote
from lutra.ingest.dose_grid import StoredDvh, read_dose_grid, read_stored_dvhs
from lutra.ingest.image import read_image, read_volumes
from lutra.ingest.intake import Intake, scan, scan_unpacked
from lutra.ingest.itk_transform import read_itk_transform
from lutra.ingest.label_map import read_label_map
from lutra.ingest.label_names import read_label_names
from lutra.ingest.nifti import read_nifti
from lutra.ingest.point_tables import LandmarkPairs, read_landmark_pairs, read_line_ends
from lutra.ingest.receiver import Ended, Receiver, ReceiverSettings
from lutra.ingest.segmentation import read_segmentation
from lutra.ingest.series import read_header
from lutra.ingest.settings import IngestSettings, UnpackSettings
from lutra.ingest.shelf import shelf_path, shelve, shelved
from lutra.ingest.spatial_registration import read_spatial_registration

__all__ = [
    "Archive",
    "DicomWeb",
    "Ended",
    "IngestSettings",
    "Intake",
    "LandmarkPairs",
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
    "read_itk_transform",
    "read_label_map",
    "read_label_names",
    "read_landmark_pairs",
    "read_line_ends",
    "read_nifti",
    "read_segmentation",
    "read_spatial_registration",
    "read_stored_dvhs",
    "read_volumes",
    "same_but_for_the_head",
    "scan",
    "scan_unpacked",
    "shelf_path",
    "shelve",
    "shelved",
]

"""Stage 12: results and images to the formats other programs read. Now: DICOM images, RTSTRUCT, SEG, registrations, NIfTI.

Nothing here asks for the time: every date and UID comes from the caller, so the same values give the same bytes.
"""

from lutra.export.dicom_image import PatientIdentity, write_image_series
from lutra.export.itk_transform import write_itk_transform
from lutra.export.mr import write_diffusion_series, write_enhanced_diffusion
from lutra.export.nifti import gzipped_nifti, write_nifti
from lutra.export.nm import write_nm_recon
from lutra.export.rtstruct import write_rtstruct
from lutra.export.segmentation import Algorithm, write_segmentation
from lutra.export.spatial_registration import write_spatial_registration
from lutra.export.uids import stable_uid

__all__ = [
    "Algorithm",
    "PatientIdentity",
    "gzipped_nifti",
    "stable_uid",
    "write_diffusion_series",
    "write_enhanced_diffusion",
    "write_image_series",
    "write_itk_transform",
    "write_nifti",
    "write_nm_recon",
    "write_rtstruct",
    "write_segmentation",
    "write_spatial_registration",
]

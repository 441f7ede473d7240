"""A file a study rests on."""

from __future__ import annotations

from attrs import frozen


@frozen
class SourceFile:
    """A DICOM instance on disk, as it was when it was read.

    Parameters
    ----------
    sha256
        Hash of its content. [hex]
    size
        Length. [byte]
    mtime_ns
        Time of its last change, as the file system says. [ns]
    """

    path: str
    sha256: str
    size: int
    mtime_ns: int
    sop_instance_uid: str
    sop_class_uid: str
    series_uid: str
    study_uid: str
    subject_id: str
    modality: str

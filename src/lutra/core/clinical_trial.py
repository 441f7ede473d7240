"""Which clinical trial images belong to."""

from __future__ import annotations

from attrs import frozen

LONGEST_TEXT = 64
"""Of a DICOM long string (LO)."""


@frozen
class ClinicalTrial:
    """A trial as image files name it (DICOM PS3.3 C.7.1.3 and C.7.2.3). Empty where it is not known, but the first two.

    Parameters
    ----------
    sponsor, protocol
        (0012,0010) and (0012,0020).
    title
        (0012,0021) of the protocol.
    site
        (0012,0030).
    timepoint, timepoint_description
        (0012,0050) and (0012,0051): `CYCLE 1` and what it is. Without the first nothing is said of a time point.
    """

    sponsor: str
    protocol: str
    title: str = ""
    site: str = ""
    timepoint: str = ""
    timepoint_description: str = ""

    def elements(self, subject_id: str) -> dict[str, str]:
        """Text of each element by its keyword, for one subject: what is required stands there even if it is empty.

        Parameters
        ----------
        subject_id
            (0012,0040), as the trial knows the subject.
        """
        found = {
            "ClinicalTrialSponsorName": self.sponsor,
            "ClinicalTrialProtocolID": self.protocol,
            "ClinicalTrialProtocolName": self.title,
            "ClinicalTrialSiteID": self.site,
            "ClinicalTrialSiteName": "",
            "ClinicalTrialSubjectID": subject_id,
        }
        if self.timepoint:
            found["ClinicalTrialTimePointID"] = self.timepoint
            if self.timepoint_description:
                found["ClinicalTrialTimePointDescription"] = self.timepoint_description
        return {keyword: text[:LONGEST_TEXT] for keyword, text in found.items()}

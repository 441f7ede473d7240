"""Images of a trial say which, by the pseudonym of their subject."""

from __future__ import annotations

from pathlib import Path

from lutra.core.clinical_trial import ClinicalTrial

from .planted import cleaned, ct, saved


def test_the_trial_is_written_with_the_pseudonym(tmp_path: Path) -> None:
    trial = ClinicalTrial("University", "LuMEn", "177Lu-octreotate", "01")
    _, file = cleaned(saved(tmp_path / "a.dcm", ct()), trial=trial)
    assert (file.ClinicalTrialSponsorName, file.ClinicalTrialProtocolID) == ("University", "LuMEn")
    assert (file.ClinicalTrialProtocolName, file.ClinicalTrialSiteID) == ("177Lu-octreotate", "01")
    assert file.ClinicalTrialSubjectID == file.PatientID
    assert "ClinicalTrialTimePointID" not in file


def test_without_a_sponsor_nothing_is_said_of_a_trial(tmp_path: Path) -> None:
    _, file = cleaned(saved(tmp_path / "a.dcm", ct()))
    assert "ClinicalTrialProtocolID" not in file

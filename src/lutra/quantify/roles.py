"""What an image is for in this study, from what its header says."""

from __future__ import annotations

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.study import EnergyWindow, Role, SeriesHeader

SSTR_NUCLIDES = {"Ga-68", "Cu-64"}
LU177_KEV = (112.95, 208.37)
"""Gamma lines of 177Lu that cameras count (ENSDF). [keV]"""


def role_of(header: SeriesHeader) -> Outcome[Role]:
    """Tell the role of an image series; undetermined if the header does not carry one."""
    if header.modality == "CT":
        return Outcome(Role.CT)
    if header.modality == "MR":
        if "ADC" in header.image_type:
            return Outcome(Role.ADC)
        weighted = any(key.b_value_s_per_mm2 is not None for key in header.volumes)
        return Outcome(Role.DWI if weighted else Role.OTHER_MR)
    if header.modality in {"PT", "NM"}:
        return _nuclear(header)
    finding = Finding(
        Severity.UNDETERMINED,
        "quantify.no-role",
        f"series {header.series_uid} of modality {header.modality} has no role in the study",
    )
    return Outcome(None, (finding,))


def _nuclear(header: SeriesHeader) -> Outcome[Role]:
    agent = header.radiopharmaceutical
    nuclide = agent.nuclide if agent else None
    if nuclide == "Lu-177":
        return Outcome(Role.THERAPY_SPECT)
    if nuclide in SSTR_NUCLIDES:
        return Outcome(Role.SSTR_PET)
    if nuclide == "F-18":
        name = ((agent.name if agent else None) or "").lower()
        if "fdg" in name or "fluorodeoxyglucose" in name:
            return Outcome(Role.FDG_PET)
        if not name:
            finding = Finding(
                Severity.WARNING,
                "quantify.agent-assumed",
                f"series {header.series_uid} names 18F and no agent (0018,0031); it is taken as FDG, the only 18F agent of this "
                "study. To do: check the request",
            )
            return Outcome(Role.FDG_PET, (finding,))
        return Outcome(Role.OTHER_PET)
    looks_like = ""
    if nuclide is None and any(_holds(w, line) for w in header.energy_windows for line in LU177_KEV):
        looks_like = ". Its energy window holds a gamma line of 177Lu, as windows of others do. To do: have it entered"
    finding = Finding(
        Severity.WARNING,
        "quantify.nuclide-without-role",
        f"series {header.series_uid}: nuclide {nuclide or 'unknown'} (0054,0300) has no role in this study{looks_like}",
    )
    return Outcome(None if header.modality == "NM" else Role.OTHER_PET, (finding,))


def _holds(window: EnergyWindow, kev: float) -> bool:
    return any(low < kev < high for low, high in ((window.lower_kev, window.upper_kev), *window.further_kev))

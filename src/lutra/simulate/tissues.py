"""What a digital body is made of: CT number, density, what attenuates photons, and whose kinetics it shares."""

from __future__ import annotations

import re

from attrs import frozen


@frozen
class Tissue:
    """One tissue.

    Parameters
    ----------
    hu, hu_portal
        CT number at 120 kVp without contrast medium, and in the portal venous phase. [HU]
    density_g_per_ml
        [g/mL]
    medium
        Table of mass attenuation: `soft`, `adipose`, `bone`, `lung`, `air`.
    texture_hu, texture_mm
        Standard deviation of the CT number within it and the width (FWHM) over which it varies. [HU], [mm]
    kinetics
        Region of the kinetic model whose concentration it has.
    """

    hu: float
    hu_portal: float
    density_g_per_ml: float
    medium: str = "soft"
    texture_hu: float = 4.0
    texture_mm: float = 8.0
    kinetics: str = "rest"


# Densities: ICRU 44 and ICRP 110 tissue tables. CT numbers without contrast: usual 120 kVp values, chosen so that Schneider's
# conversion (dose/mass.py) gives the density within 2 %, which is the disagreement of its own branches. Portal venous
# enhancement (70 s): liver +50, spleen +75, kidney +150, muscle +12, blood +115 HU, the order of abdominal protocols; no value
# here is taken from a single publication.
TISSUES = {
    "fat": Tissue(-94, -93, 0.95, "adipose", 7, 10, "fat"),
    "muscle": Tissue(52, 64, 1.05, "soft", 9, 6, "muscle"),
    "body remainder": Tissue(-72, -68, 0.955, "adipose", 22, 7, "rest"),
    "lung": Tissue(-740, -735, 0.29, "lung", 45, 9, "rest"),
    "heart": Tissue(42, 125, 1.05, "soft", 4, 10, "blood"),
    "vessel": Tissue(42, 158, 1.05, "soft", 3, 8, "blood"),
    "liver": Tissue(57, 108, 1.06, "soft", 6, 9, "liver"),
    "gallbladder": Tissue(8, 9, 1.02, "soft", 2, 8, "rest"),
    "spleen": Tissue(50, 122, 1.06, "soft", 4, 8, "spleen"),
    "kidney cortex": Tissue(34, 190, 1.05, "soft", 5, 6, "kidneys"),
    "kidney medulla": Tissue(31, 165, 1.045, "soft", 5, 6, "kidneys"),
    "kidney pelvis": Tissue(5, 8, 1.015, "soft", 8, 6, "kidneys"),
    "pancreas": Tissue(40, 98, 1.04, "soft", 14, 6, "rest"),
    "adrenals": Tissue(28, 75, 1.03, "soft", 4, 6, "endocrine"),
    "stomach": Tissue(24, 38, 1.03, "soft", 12, 12, "gut"),
    "bowel": Tissue(28, 55, 1.03, "soft", 24, 12, "gut"),
    "gas": Tissue(-960, -960, 0.0012, "air", 0, 8, "rest"),
    "bladder": Tissue(6, 6, 1.01, "soft", 2, 8, "bladder"),
    "cortical bone": Tissue(420, 425, 1.27, "bone", 90, 6, "rest"),
    "rib": Tissue(330, 335, 1.21, "bone", 110, 6, "rest"),
    "marrow": Tissue(165, 180, 1.11, "bone", 38, 6, "marrow"),
    "disc": Tissue(82, 84, 1.06, "soft", 8, 8, "rest"),
    "spinal canal": Tissue(22, 26, 1.03, "soft", 6, 6, "rest"),
    "lesion": Tissue(44, 84, 1.05, "soft", 9, 6, "lesion"),
    "necrosis": Tissue(22, 26, 1.03, "soft", 6, 6, "lesion"),
}

# How regions are called, here and in label maps of TotalSegmentator; the first pattern found decides.
PATTERNS = (
    (r"\bcore$", "necrosis"),
    (r"^marrow\b", "marrow"),
    (r"^(fat|skin)\b", "fat"),
    (r"kidney.*medulla", "kidney medulla"),
    (r"kidney.*pelvis", "kidney pelvis"),
    (r"kidney", "kidney cortex"),
    (r"gluteus|iliopsoas|autochthon|muscle", "muscle"),
    (r"\blung\b", "lung"),
    (r"\bgas\b", "gas"),
    (r"gall ?bladder", "gallbladder"),
    (r"bladder", "bladder"),
    (r"spinal", "spinal canal"),
    (r"disc", "disc"),
    (r"\bribs?\b|costal|sternum", "rib"),
    (r"vertebra|sacrum|\bhip|femur|clavicula|scapula|humerus|skull", "cortical bone"),
    (r"aorta|cava|vein|artery|iliac|vessel|trunk", "vessel"),
    (r"heart|atri", "heart"),
    (r"adrenal", "adrenals"),
    (r"bowel|colon|duodenum", "bowel"),
    (r"stomach|esophagus", "stomach"),
    (r"liver", "liver"),
    (r"spleen", "spleen"),
    (r"pancreas", "pancreas"),
    (r"^body\b", "body remainder"),
)


def tissue_of(region_name: str, *, is_lesion: bool = False) -> Tissue:
    """Tissue of a region, from its name; a name that is none of an organ's is soft tissue like a lesion."""
    name = region_name.lower().replace("_", " ")
    if is_lesion:
        return TISSUES["necrosis" if name.endswith(" core") else "lesion"]
    return next((TISSUES[tissue] for pattern, tissue in PATTERNS if re.search(pattern, name)), TISSUES["lesion"])

"""Names that people and programs give organs, against what a reader of them would say they are."""

from __future__ import annotations

import pytest

from lutra.core.region import ConceptCode, RegionKind
from lutra.reference.label_names import shipped_labels
from lutra.reference.region_names import LEFT, RIGHT, code_of_name, look_up, of_side, snomed_of
from lutra.segment.meaning import meaning
from lutra.segment.settings import SegmentSettings

SAME = {
    "Left kidney": [
        "Kidney_L",
        "kidney_left",
        "Left Kidney",
        "LT KIDNEY",
        "Niere links",
        "linke Niere",
        "Nier_li",
        "rein gauche",
    ],
    "Right kidney": ["Kidney_R", "kidney-right", "Rt Kidney", "Niere re", "rechter Nier", "rein droit", "Kidney R 2"],
    "Kidney": ["Kidneys", "Nieren", "both kidneys", "Kidneys L+R", "reins"],
    "Kidney cortex": ["Kidney_Cortex_L", "renal cortex", "Nierenrinde", "nierschors", "left kidney cortex"],
    "Renal pelvis": ["renal pelvis", "left kidney pelvis", "Nierenbecken"],
    "Liver": ["Liver", "LIVER 1", "Leber", "lever", "foie", "liver_total"],
    "Spleen": ["spleen", "Milz", "milt", "Rate", "Spleen_2"],
    "Urinary bladder": ["Bladder", "urinary_bladder", "Harnblase", "Urineblaas", "vessie"],
    "Gallbladder": ["gallbladder", "GallBladder", "gall bladder", "Gallenblase", "galblaas", "vésicule biliaire"],
    "L3 vertebra": ["vertebrae_L3", "VB_L3", "L3 vertebra", "LWK 3", "LWK3", "Wirbel L3", "vertèbre L3"],
    "Bone marrow": ["BoneMarrow", "red marrow", "marrow L2", "Knochenmark", "beenmerg", "moelle osseuse"],
    "Pituitary": ["Pituitary", "Hypophyse", "hypofyse"],
    "Parotid gland": ["Parotid_L", "parotis re", "Parotide gauche"],
    "Salivary gland": ["Salivary glands", "Speicheldrüsen", "speekselklieren"],
    "Submandibular gland": ["Glnd_Submand_L", "submandibular_gland_left"],
    "Adrenal gland": ["adrenal_gland_left", "Glnd_Adrenal_R", "Nebenniere li", "bijnier rechts", "surrénale gauche"],
    "Uterus": ["Uterus", "Gebärmutter", "baarmoeder"],
    "Prostate": ["Prostate", "Prostata", "prostaat"],
    "Intestine": ["Bowel", "bowel bag", "Darm", "intestin"],
    "Small intestine": ["small_bowel", "Bowel_Small", "dunne darm", "Dünndarm"],
    "Colon": ["colon", "Bowel_Large", "dikke darm"],
    "Left lung": ["Lung_L", "lung-left", "Lunge li", "linkerlong", "poumon gauche"],
    "Lung": ["Lungs", "Longen", "poumons"],
    "Heart": ["heart", "Herz", "hart", "cœur".replace("œ", "oe")],
    "Blood": ["blood pool", "bloodpool", "Blutpool"],
    "Aorta": ["aorta", "A_Aorta", "aorte", "aorta descending"],
    "Pancreas": ["Pancreas", "Pankreas", "alvleesklier", "pancréas"],
    "Bone": ["bones", "Skeleton", "Knochen", "squelette"],
}


@pytest.mark.parametrize(("expected", "name"), [(code, name) for code, names in SAME.items() for name in names])
def test_spellings_of_one_organ_get_one_code(expected: str, name: str) -> None:
    kind, code = meaning(name, None, SegmentSettings())
    assert (kind, code.meaning if code else None) == (RegionKind.ORGAN, expected)


@pytest.mark.parametrize("name", ["L3", "S1", "region 5", "Segment_1", "ROI-2", "A", "rate constant", "Body", "couch"])
def test_what_could_be_two_things_stays_unknown(name: str) -> None:
    """L3 is a vertebra to one author and the third lesion to another."""
    assert look_up(name) is None


@pytest.mark.parametrize(
    "name",
    [
        "liver_vessels",
        "lung_upper_lobe_left",
        "heart_atrium_left",
        "Leber Segment 4",
        "renal vein",
        "portal_vein",
        "lung_nodules",
    ],
)
def test_a_part_of_an_organ_is_not_the_organ(name: str) -> None:
    """It is known for what it is not: it counts neither as the whole nor as a lesion."""
    row = look_up(name)
    assert row is not None
    assert row.kind is not RegionKind.LESION
    assert row.code is None


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("Leber ohne Läsionen", RegionKind.OTHER),
        ("lever zonder laesies", RegionKind.OTHER),
        ("liver-gtv", RegionKind.OTHER),
        ("kidney_cyst_left", RegionKind.OTHER),
        ("Liver_PRV", RegionKind.OTHER),
        ("Lebermetastasen 3", RegionKind.LESION),
        ("Läsion 2 Leber", RegionKind.LESION),
        ("métastase hépatique", RegionKind.LESION),
        ("lesion L3 vertebra", RegionKind.LESION),
    ],
)
def test_disease_and_organs_are_told_apart(name: str, kind: RegionKind) -> None:
    row = look_up(name)
    assert row is not None
    assert row.kind is kind


def test_names_and_numbers_of_totalsegmentator_agree() -> None:
    """The table of label numbers gives an organ the code that the table of names gives its name, where both give one."""
    compared = 0
    for label in shipped_labels("totalsegmentator-total").values():
        named = code_of_name(label.name)
        if named and label.code:
            compared += 1
            assert named.value == label.code.value, label.name
    assert compared > 25


def test_other_codings_of_the_same_organ_are_read() -> None:
    """Kidney of FMA; kidney and side as two codes, as DICOM writes them. An author's SNOMED code stays as it is."""
    assert snomed_of(ConceptCode("7205", "FMA", "Left kidney")).value == "18639004"
    assert snomed_of(ConceptCode("FMA13074", "FMA", "Third lumbar vertebra")).meaning == "L3 vertebra"
    unknown = ConceptCode("99999", "FMA", "something")
    assert snomed_of(unknown) is unknown
    kidney = ConceptCode("64033007", "SCT", "Kidney")
    assert [of_side(kidney, side).meaning for side in (LEFT, RIGHT, "")] == ["Left kidney", "Right kidney", "Kidney"]
    liver = ConceptCode("10200004", "SCT", "Liver")
    assert of_side(liver, LEFT) is liver
    assert meaning("A", ConceptCode("7197", "FMA", "Liver"), SegmentSettings())[1] == liver

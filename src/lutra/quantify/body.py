"""What SUV is normalised to: lean body mass and body surface, and whether weight and height can be those of a person."""

from __future__ import annotations

from lutra.core.finding import Finding, Outcome, Severity
from lutra.core.frozen import FrozenMap
from lutra.core.study import SeriesHeader

G_PER_KG = 1000.0
CM_PER_M = 100.0

WEIGHT_KG = (2.0, 650.0)
"""A newborn, and the heaviest person known (635 kg). Weights in g or t, or a height in its place, lie outside."""
HEIGHT_M = (0.3, 2.8)
"""A premature newborn, and the tallest person known (2.72 m). Heights in cm or feet lie outside."""
BODY_MASS_INDEX = (7.0, 190.0)
"""What has been survived, either way. [kg/m2]"""


def lean_body_mass_kg(sex: str, weight_kg: float, height_m: float) -> float:
    """Lean body mass by Janmahasatian, the default: it grows with the weight however heavy the person is. [kg]

    References
    ----------
    Janmahasatian et al., Clin Pharmacokinet 2005; 44:1051: 9270 W / (6680 + 216 BMI) for men, 9270 W / (8780 + 244 BMI) for women.
    """
    body_mass_index = weight_kg / height_m**2
    base, slope = {"M": (6680.0, 216.0), "F": (8780.0, 244.0)}[sex]
    return 9270 * weight_kg / (base + slope * body_mass_index)


def lean_body_mass_james_kg(sex: str, weight_kg: float, height_m: float) -> float:
    """Lean body mass by James; too small for the very heavy, in the end negative. [kg]

    References
    ----------
    James, Research on Obesity, 1976: 1.10 W - 128 (W / H)^2 for men, 1.07 W - 148 (W / H)^2 for women, H in cm.
    """
    share, loss = {"M": (1.10, 128.0), "F": (1.07, 148.0)}[sex]
    return share * weight_kg - loss * (weight_kg / (height_m * CM_PER_M)) ** 2


def body_surface_cm2(weight_kg: float, height_m: float) -> float:
    """Body surface by DuBois. [cm2]

    References
    ----------
    DuBois and DuBois, Arch Intern Med 1916; 17:863: 71.84 W^0.425 H^0.725, H in cm.
    """
    return 71.84 * float(weight_kg**0.425) * float((height_m * CM_PER_M) ** 0.725)


def implausible_weight(header: SeriesHeader) -> str | None:
    """Say why the weight cannot be a person's; None if it can, or is missing."""
    weight_kg = header.patient_weight_kg
    if weight_kg is None or WEIGHT_KG[0] <= weight_kg <= WEIGHT_KG[1]:
        return None
    return f"patient weight (0010,1030) {weight_kg:g} kg; required: kilograms, {WEIGHT_KG[0]:g} to {WEIGHT_KG[1]:g}"


def implausible_body(header: SeriesHeader) -> str | None:
    """Say why weight and height cannot be a person's; None if they can, or are missing."""
    weight_kg, height_m = header.patient_weight_kg, header.patient_height_m
    if reason := implausible_weight(header):
        return reason
    if height_m is not None and not HEIGHT_M[0] <= height_m <= HEIGHT_M[1]:
        return f"patient size (0010,1020) {height_m:g} m; required: metres, {HEIGHT_M[0]:g} to {HEIGHT_M[1]:g}"
    if weight_kg is None or height_m is None:
        return None
    body_mass_index = weight_kg / height_m**2
    if BODY_MASS_INDEX[0] <= body_mass_index <= BODY_MASS_INDEX[1]:
        return None
    return (
        f"patient weight (0010,1030) {weight_kg:g} kg and size (0010,1020) {height_m:g} m, body mass index {body_mass_index:.3g}; "
        f"required: {BODY_MASS_INDEX[0]:g} to {BODY_MASS_INDEX[1]:g} kg/m2"
    )


def suv_scales(header: SeriesHeader) -> Outcome[FrozenMap[str, float]]:
    """Find what SUVbw is multiplied by to give the SUV of another normalisation.

    Returns
    -------
    Outcome
        `sul` by Janmahasatian and `sul_james`, lean body mass over weight [1]; `suv_bsa`, body surface over weight [cm2/g], so
        that SUVbsa is in cm2/mL as DICOM has it. Left out with a Finding: what needs a height or a sex the header does not
        give, and everything if weight and height cannot be a person's.
    """
    weight_kg, height_m, sex = header.patient_weight_kg, header.patient_height_m, header.patient_sex
    if reason := implausible_body(header):
        return Outcome(FrozenMap(), (_left_out(header, "quantify.body-implausible", "SUL and SUVbsa", reason),))
    if weight_kg is None or height_m is None:
        missing = "weight (0010,1030)" if weight_kg is None else "size (0010,1020)"
        return Outcome(FrozenMap(), (_left_out(header, "quantify.no-body", "SUL and SUVbsa", f"no patient {missing}"),))
    scales = {"suv_bsa": body_surface_cm2(weight_kg, height_m) / (weight_kg * G_PER_KG)}
    if sex not in {"M", "F"}:
        reason = f"patient sex (0010,0040) {sex or 'missing'}; the formulas know M and F"
        return Outcome(FrozenMap(scales), (_left_out(header, "quantify.no-body", "SUL", reason),))
    findings = []
    for name, author, lean in (
        ("sul", "Janmahasatian", lean_body_mass_kg(sex, weight_kg, height_m)),
        ("sul_james", "James", lean_body_mass_james_kg(sex, weight_kg, height_m)),
    ):
        if 0 < lean < weight_kg:
            scales[name] = lean / weight_kg
        else:
            reason = f"the formula gives {lean:.3g} kg for {weight_kg:g} kg and {height_m:g} m, outside its range"
            findings.append(_left_out(header, "quantify.no-body", f"SUL by {author}", reason))
    return Outcome(FrozenMap(scales), findings)


def _left_out(header: SeriesHeader, code: str, what: str, why: str) -> Finding:
    severity = Severity.WARNING if code == "quantify.body-implausible" else Severity.INFO
    return Finding(
        severity, code, f"series {header.series_uid}: {what} left out: {why}. To do: correct it at its source"
    )

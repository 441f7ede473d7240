"""What the columns of the analysis tables are; the same text is their dictionary."""

from __future__ import annotations

from attrs import frozen

from lutra.core.analysis_table import Column, ColumnType
from lutra.core.study import Role

TEXT, NUMBER, WHOLE, TRUTH = ColumnType.TEXT, ColumnType.NUMBER, ColumnType.WHOLE, ColumnType.TRUTH
LESIONS, PATIENTS, INTERVALS = "lesions", "patients", "intervals"
PLANNED = 4
"""Cycles that the table has columns for at least, so that a plan finds them in a study that has just begun."""
MM2_PER_S = 1e3
"""From mm2/s to the unit ADC is written in, 10^-3 mm2/s."""


@frozen
class Metric:
    """A number of an image that models use.

    Parameters
    ----------
    modality
        Prefix of its columns: `fdg`, `sstr`, `adc`.
    roles
        Images it is taken from, the preferred first.
    quantity
        Its name in the image's measurements.
    factor
        From the inside unit to the column's.
    followed
        Whether its course after each cycle is in the table too.
    """

    modality: str
    roles: tuple[Role, ...]
    quantity: str
    label: str
    unit: str = ""
    factor: float = 1.0
    followed: bool = False

    @property
    def column(self) -> str:
        """Name of the baseline column."""
        name = self.quantity
        return name if name.startswith(self.modality) else f"{self.modality}_{name}"


FDG, SSTR, ADC = (Role.FDG_PET,), (Role.SSTR_PET,), (Role.ADC, Role.DWI)
METRICS = (
    Metric("fdg", FDG, "suv_max", "FDG SUVmax", followed=True),
    Metric("fdg", FDG, "suv_peak", "FDG SUVpeak"),
    Metric("fdg", FDG, "suv_mean", "FDG SUVmean"),
    Metric("fdg", FDG, "tlg", "total lesion glycolysis", "mL"),
    Metric("fdg", FDG, "mtv", "metabolic tumour volume", "mL"),
    Metric("sstr", SSTR, "suv_max", "SSTR SUVmax", followed=True),
    Metric("sstr", SSTR, "suv_peak", "SSTR SUVpeak"),
    Metric("sstr", SSTR, "suv_mean", "SSTR SUVmean"),
    Metric("sstr", SSTR, "tl_sstr", "total lesion SSTR expression", "mL"),
    Metric("sstr", SSTR, "sstr_tv", "SSTR tumour volume", "mL"),
    Metric("adc", ADC, "adc_median", "median ADC", "10^-3 mm2/s", MM2_PER_S, followed=True),
    Metric("adc", ADC, "adc_mean", "mean ADC", "10^-3 mm2/s", MM2_PER_S),
    Metric("adc", ADC, "adc_p10", "10th percentile of ADC", "10^-3 mm2/s", MM2_PER_S),
)
IMAGES = {"fdg": ("18F-FDG PET", FDG), "sstr": ("SSTR PET", SSTR), "adc": ("diffusion MRI", ADC)}


def lesion_columns(cycles: int) -> tuple[Column, ...]:
    """Columns of the table of lesions and landmarks, for a study with so many cycles."""
    return (
        Column("subject", "subject", TEXT, definition="pseudonym"),
        Column("lesion", "lesion", TEXT, definition="identifier of the lesion within the subject"),
        Column(
            "landmark",
            "landmark",
            WHOLE,
            definition="0: before treatment; k: after cycle k. A row holds what is known before the next one, and the outcome",
        ),
        Column("end_of_treatment", "end of treatment", TRUTH, definition="1 in the row after the last cycle given"),
        Column("name", "name", TEXT, definition="as the person who drew it called it"),
        Column(
            "organ",
            "organ",
            TEXT,
            definition="where its name says it lies: liver, node, ...; other if it says nothing, unclear if it says two",
        ),
        *COVARIATES,
        *(_sighting(modality, words) for modality, (words, _) in IMAGES.items()),
        *(_baseline(metric) for metric in METRICS),
        Column(
            "ltd_baseline", "longest transversal diameter", NUMBER, "mm", "on the last diagnostic CT before cycle 1"
        ),
        Column("short_axis_baseline", "short axis", NUMBER, "mm", "perpendicular to it, on the same CT"),
        Column("volume_baseline", "volume", NUMBER, "mL", "on the same CT", uncertain=True),
        *(_dose(cycle) for cycle in range(1, cycles + 1)),
        Column(
            "dose_cumulative",
            "cumulative dose",
            NUMBER,
            "Gy",
            "sum over the cycles up to the landmark; empty where the dose of one is not known",
            uncertain=True,
        ),
        Column("dose_latest", "dose of the latest cycle", NUMBER, "Gy", "of the landmark's cycle", uncertain=True),
        Column("log_dose_latest", "logarithm of it", NUMBER, "", "natural logarithm of the dose in Gy"),
        Column("dose_change", "change of dose", NUMBER, "", "dose of the landmark's cycle against cycle 1, minus 1"),
        Column("bed_latest", "BED of the latest cycle", NUMBER, "Gy", "biologically effective dose of that cycle"),
        Column("half_life_latest", "effective half-life", NUMBER, "h", "in the landmark's cycle", uncertain=True),
        Column("mass_latest", "mass", NUMBER, "g", "in the landmark's cycle", uncertain=True),
        *(column for metric in METRICS if metric.followed for column in _followed(metric)),
        Column(
            "ltd_after",
            "diameter after the cycle",
            NUMBER,
            "mm",
            "on the last diagnostic CT before the next cycle",
        ),
        Column(
            "log_ratio_after", "log ratio after the cycle", NUMBER, "", "natural logarithm of that diameter by baseline"
        ),
        *OUTCOMES,
    )


COVARIATES = (
    Column("sex", "sex", TEXT, definition="F, M, or as the clinic's table has it"),
    Column("age", "age", NUMBER, "a", "at the first treatment"),
    Column("grade", "grade", TEXT, definition="of the tumour, from the clinic's table"),
    Column("primary_site", "primary site", TEXT, definition="from the clinic's table"),
)
OUTCOMES = (
    Column(
        "ltd_outcome", "diameter at the outcome", NUMBER, "mm",
        "on the first diagnostic CT from 28 days after the start of the last cycle (response.outcome_after_days); 0: gone",
    ),
    Column(
        "outcome_sighting", "sighting at the outcome", TEXT, "",
        "seen, not seen (gone: 0 mm), not assessable, out of field, merged, split",
    ),
    Column("outcome_day", "day of the outcome", WHOLE, "d", "of that CT, since the first treatment"),
    Column(
        "log_ratio", "log ratio of the diameter", NUMBER, "",
        "natural logarithm of outcome by baseline diameter; below 5 mm, or gone, of 5 mm",
    ),
    Column("change", "change of the diameter", NUMBER, "", "outcome by baseline diameter, minus 1"),
    Column("shrinkage", "shrinkage by 30 %", TRUTH, "", "1 if the change is -30 % or less"),
    Column(
        "category", "three-level outcome", TEXT, "", "a-shrinkage: to -30 %; c-growth: from +20 % and 5 mm; b-stable: between"
    ),
)  # fmt: skip


def _sighting(modality: str, words: str) -> Column:
    text = f"what became of the lesion on the baseline {words}: seen, not seen, out of field, ..., no image"
    return Column(f"{modality}_sighting", f"on {words}", TEXT, definition=text)


def _baseline(metric: Metric) -> Column:
    words = IMAGES[metric.modality][0]
    text = f"{metric.quantity} of the lesion on the first {words} before cycle 1"
    return Column(metric.column, metric.label, NUMBER, metric.unit, text, uncertain=True)


def _dose(cycle: int) -> Column:
    text = (
        f"absorbed dose of the lesion in cycle {cycle}, by the first engine of the protocol; empty before its landmark"
    )
    return Column(f"dose_cycle_{cycle}", f"dose of cycle {cycle}", NUMBER, "Gy", text, uncertain=True)


def _followed(metric: Metric) -> tuple[Column, ...]:
    name, label = metric.column, metric.label
    return (
        Column(f"{name}_latest", f"{label} at the landmark", NUMBER, metric.unit, "on the last image by the landmark"),
        Column(f"{name}_change", f"change of {label}", NUMBER, "", "that value against baseline, minus 1"),
        Column(f"{name}_lower", "limit of a decrease", NUMBER, "", "changes above it are within repeatability"),
        Column(f"{name}_upper", "limit of an increase", NUMBER, "", "changes below it are within repeatability"),
        Column(f"{name}_verdict", f"verdict on {label}", TEXT, "", "increase, decrease, within noise, or not known"),
    )


PATIENT_COLUMNS = (
    Column("subject", "subject", TEXT, definition="pseudonym"),
    *COVARIATES,
    Column("cycles_given", "cycles given", WHOLE, "", "as the images and the clinic's table say"),
    Column("activity", "administered activity", NUMBER, "GBq", "sum over cycles"),
    Column("lesions", "lesions", WHOLE, "", "followed in the images"),
    Column("lesions_with_outcome", "lesions with outcome", WHOLE, "", "with a diameter before and after treatment"),
    Column("kidney_dose", "dose of the kidneys", NUMBER, "Gy", "larger of left and right, all cycles", uncertain=True),
    Column("dose_cycle_1_mean", "mean lesion dose of cycle 1", NUMBER, "Gy", "over the lesions that have one"),
    Column("dose_cycle_1_max", "largest lesion dose of cycle 1", NUMBER, "Gy", "over the lesions that have one"),
    Column("dose_cumulative_mean", "mean cumulative lesion dose", NUMBER, "Gy", "over the lesions that have one, all cycles"),
    Column("reader", "reader", TEXT, definition="whose reading is the response: an adjudicator, else the first by name"),
    Column("best_response", "best response", TEXT, definition="RECIST 1.1, unconfirmed, by that reader"),
    Column("best_response_confirmed", "confirmed best response", TEXT, definition="RECIST 1.1, confirmed, by that reader"),
    Column("readers_agree", "readers agree", TRUTH, "", "whether every reader has the same best response; empty for one reader"),
    Column("response", "CR or PR", TRUTH, "", "best response is CR or PR; empty for NE"),
    Column("progression", "PD as best response", TRUTH, "", "best response is PD; empty for NE"),
    Column("new_lesion", "new lesion", TRUTH, "", "at any visit, by that reader"),
    Column("best_sum_change", "best change of the sum", NUMBER, "", "smallest complete sum of targets, by baseline, minus 1"),
    Column("pfs_days", "progression-free survival", WHOLE, "d", "from the first treatment, day 1"),
    Column("pfs_event", "progression or death", TRUTH),
    Column("ttp_days", "time to progression", WHOLE, "d", "from the first treatment, day 1"),
    Column("ttp_event", "progression", TRUTH),
    Column("os_days", "overall survival", WHOLE, "d", "from the first treatment, day 1"),
    Column("os_event", "death", TRUTH),
)  # fmt: skip
INTERVAL_COLUMNS = (
    Column("subject", "subject", TEXT, definition="pseudonym"),
    Column("start", "start", WHOLE, "d", "of the interval, since the first treatment"),
    Column("stop", "stop", WHOLE, "d", "of the interval: the next cycle, or the end of progression-free survival"),
    Column("event", "event", TRUTH, "", "progression or death at the end of the interval"),
    Column("cycles_so_far", "cycles so far", WHOLE, "", "given by the start of the interval"),
    Column("dose_so_far", "mean cumulative lesion dose so far", NUMBER, "Gy", "over lesions, cycles given by the start"),
)  # fmt: skip

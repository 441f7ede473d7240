"""A virtual trial as two tables, lesions and patients, without images: for power, type I error and coverage of an analysis.

The truth of a lesion: log ratio of its longest diameter = intercept + dose + FDG + SSTR + ADC + patient + rest. Doses, uptake and
sizes are measured with errors, some scans are missing, and patients end in RECIST categories and survival times.

References
----------
Dose per cycle and its fall by grade are of the Lund series (J Nucl Med 2022, PMC8978188). The rest is chosen so that PR/SD/PD come
to about 18/60/21 % and the median survival without progression to 24 months.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
from attrs import frozen

from lutra.core.data_table import DataTable
from lutra.response.recist.rules import choose_targets, target_response

Array = npt.NDArray[np.float64]
ORGANS = (("liver", 0.62), ("node", 0.18), ("bone", 0.12), ("other", 0.08))
CYCLES = 4
DOSE_MIDDLE_GY, DOSE_STEP_GY = 80.0, 50.0
"""`x_dose` is (dose - 80) / 50."""
FDG_MIDDLE, SSTR_MIDDLE, ADC_MIDDLE, ADC_STEP = 4.0, 25.0, 1.10, 0.25
SSTR_LOG_SD = 0.6
SMALLEST_POST_MM = 2.0
"""A lesion that is gone has this size in the logarithm of the ratio."""
READ_AFTER_MONTHS = 11.0
"""New lesions until here are seen at the response visit."""
LOCAL_MONTHS, CENSORED_MONTHS = (6.0, 20.0), (24.0, 48.0)


@frozen
class TableTrial:
    """Population and design.

    Parameters
    ----------
    patients, lesions
        Number, and mean per patient.
    grade_2
        Share of patients.
    dose_gy, dose_sd_patient, dose_sd_lesion
        Median of cycle 1 and standard deviations of its logarithm. [Gy, 1, 1]
    fall_g1, fall_g2, dose_sd_cycle
        Fall per cycle by grade, and spread of a cycle. [1]
    stop_after_2, stop_after_3, stop_by_dose
        Probability of no further cycle; change of its log odds per standard deviation of the patient's dose.
    dose_cv
        Of the reported dose, one error per lesion for all cycles. [1]
    reader_mm
        Error of one diameter. [mm]
    intercept, dose, fdg, sstr, adc
        Effects on the log ratio, per step of `x_dose`, doubling, doubling, step of `x_adc`.
    sd_patient, sd_rest
        Of the log ratio. [1]
    missing_fdg, missing_adc, missing_dose
        Shares that were not measured.
    hazard, hazard_fdg, hazard_dose
        Of new lesions per month, and its log ratio per standard deviation.
    """

    patients: int = 50
    lesions: float = 6.0
    grade_2: float = 0.44
    dose_gy: float = 22.0
    dose_sd_patient: float = 0.5
    dose_sd_lesion: float = 0.5
    fall_g1: float = 0.06
    fall_g2: float = 0.14
    dose_sd_cycle: float = 0.12
    stop_after_2: float = 0.06
    stop_after_3: float = 0.10
    stop_by_dose: float = 0.0
    dose_cv: float = 0.25
    size_mm: float = 26.0
    size_log_sd: float = 0.45
    smallest_mm: float = 10.0
    largest_mm: float = 120.0
    reader_mm: float = 1.5
    fdg_sd_patient: float = 0.45
    fdg_sd_lesion: float = 0.35
    fdg_of_grade_2: float = 0.35
    sstr_dose_correlation: float = 0.75
    intercept: float = -0.20
    dose: float = -0.09
    fdg: float = 0.07
    sstr: float = 0.0
    adc: float = 0.0
    sd_patient: float = 0.12
    sd_rest: float = 0.14
    missing_fdg: float = 0.10
    missing_adc: float = 0.15
    missing_dose: float = 0.05
    hazard: float = 0.02
    hazard_fdg: float = 0.35
    hazard_dose: float = -0.30


@frozen(eq=False)
class TrialTables:
    """Columns of lesions and of patients, by name."""

    lesions: dict[str, npt.NDArray[np.generic]]
    patients: dict[str, npt.NDArray[np.generic]]

    def as_tables(self) -> tuple[DataTable, DataTable]:
        """Write both as text, missing cells empty."""
        return _table("lesions", self.lesions), _table("patients", self.patients)


def simulate_tables(trial: TableTrial, seed: int) -> TrialTables:
    """Draw one trial."""
    r = np.random.default_rng(seed)
    n = trial.patients
    grade_2 = r.random(n) < trial.grade_2
    patient_dose, patient_fdg = r.normal(0, trial.dose_sd_patient, n), r.normal(0, trial.fdg_sd_patient, n)
    patient_effect = r.normal(0, trial.sd_patient, n)
    spread = max(trial.lesions - 1, 0.5)
    counts = np.clip(1 + r.negative_binomial(3, 3 / (3 + spread), n), 1, 20)
    cycles = _cycles(trial, patient_dose, r)
    pat = np.repeat(np.arange(n), counts)
    m = len(pat)
    lesion_dose = r.normal(0, trial.dose_sd_lesion, m)
    fall = np.where(grade_2[pat], trial.fall_g2, trial.fall_g1)
    first = trial.dose_gy * np.exp(patient_dose[pat] + lesion_dose)
    per_cycle = np.stack(
        [
            first * (1 - fall) ** c * np.exp(r.normal(0, trial.dose_sd_cycle, m)) * (c < cycles[pat])
            for c in range(CYCLES)
        ]
    )
    true_dose = per_cycle.sum(axis=0)
    log_var = np.log1p(trial.dose_cv**2)
    error = np.exp(r.normal(0, np.sqrt(log_var), m) - log_var / 2)
    shift = trial.fdg_of_grade_2 * (grade_2[pat] - trial.grade_2)
    fdg = FDG_MIDDLE * np.exp(patient_fdg[pat] + shift + r.normal(0, trial.fdg_sd_lesion, m))
    z = (patient_dose[pat] + lesion_dose) / np.hypot(trial.dose_sd_patient, trial.dose_sd_lesion)
    rho = trial.sstr_dose_correlation
    sstr = SSTR_MIDDLE * np.exp(SSTR_LOG_SD * (rho * z + np.sqrt(1 - rho**2) * r.normal(size=m)))
    adc = np.maximum(r.normal(ADC_MIDDLE, ADC_STEP, m), 0.4)
    x = {
        "x_fdg": np.log2(fdg / FDG_MIDDLE),
        "x_sstr": np.log2(sstr / SSTR_MIDDLE),
        "x_adc": (adc - ADC_MIDDLE) / ADC_STEP,
    }
    true_x = (true_dose - DOSE_MIDDLE_GY) / DOSE_STEP_GY
    effects = trial.dose * true_x + trial.fdg * x["x_fdg"] + trial.sstr * x["x_sstr"] + trial.adc * x["x_adc"]
    expected = trial.intercept + effects + patient_effect[pat]
    size = np.clip(trial.size_mm * np.exp(r.normal(0, trial.size_log_sd, m)), trial.smallest_mm, trial.largest_mm)
    ratio = expected + r.normal(0, trial.sd_rest, m)
    pre = np.maximum(size + r.normal(0, trial.reader_mm, m), 5.0)
    post = np.maximum(size * np.exp(ratio) + r.normal(0, trial.reader_mm, m), 0.0)
    change = post / pre - 1
    organ = r.choice([name for name, _ in ORGANS], m, p=[share for _, share in ORGANS])
    lesions: dict[str, npt.NDArray[np.generic]] = {
        "pat": pat,
        "les": np.concatenate([np.arange(c) for c in counts]),
        "g2": grade_2[pat].astype(int),
        "ncyc": cycles[pat],
        "organ": organ,
        **{f"D{c + 1}": per_cycle[c] * error for c in range(CYCLES)},
        "dose": true_dose * error,
        "dose_true": true_dose,
        "fdg": fdg,
        "sstr": sstr,
        "adc": adc,
        "pre": pre,
        "post": post,
        "y": np.log(np.maximum(post, SMALLEST_POST_MM) / pre),
        "resp": (change <= -0.30).astype(int),
        "ord": np.where(change <= -0.30, 0, np.where(change >= 0.20, 2, 1)),
        "x_dose": (true_dose * error - DOSE_MIDDLE_GY) / DOSE_STEP_GY,
        "x_dose_true": true_x,
        **x,
    }
    lesions |= _observed(trial, lesions, r)
    return TrialTables(lesions, _patients(trial, lesions, grade_2, cycles, r))


def write_table_trials(out: Path, trial: TableTrial, number: int, seed: int) -> tuple[Path, ...]:
    """Write the tables of several trials, `trial-001/lesions.csv` and `patients.csv` and so on."""
    written = []
    for n in range(number):
        place = out / f"trial-{n + 1:03d}"
        place.mkdir(parents=True)
        for table in simulate_tables(trial, seed + n).as_tables():
            path = place / f"{table.name}.csv"
            rows = zip(*table.columns.values(), strict=True)
            path.write_text("\n".join([",".join(table.columns), *(",".join(row) for row in rows)]) + "\n", "utf-8")
            written.append(path)
    return tuple(written)


def _cycles(trial: TableTrial, patient_dose: Array, r: np.random.Generator) -> npt.NDArray[np.intp]:
    shift = trial.stop_by_dose * patient_dose / max(trial.dose_sd_patient, 1e-9)

    def stops(p: float) -> npt.NDArray[np.bool_]:
        odds = np.log(p / (1 - p)) + shift if 0 < p < 1 else np.full(len(shift), -np.inf if p <= 0 else np.inf)
        stopped: npt.NDArray[np.bool_] = r.random(len(shift)) < 1 / (1 + np.exp(-odds))
        return stopped

    after_2, after_3 = stops(trial.stop_after_2), stops(trial.stop_after_3)
    return np.where(after_2, 2, np.where(after_3, 3, CYCLES))


def _observed(
    trial: TableTrial, lesions: dict[str, npt.NDArray[np.generic]], r: np.random.Generator
) -> dict[str, npt.NDArray[np.generic]]:
    """Take away what was not measured: scans are missed by whole patients, and half of the ADC by lesion as well."""
    pat = lesions["pat"].astype(int)
    n, m = trial.patients, len(pat)
    no_fdg, no_mr = r.random(n) < trial.missing_fdg, r.random(n) < trial.missing_adc / 2
    outside, no_dose = r.random(m) < trial.missing_adc / 2, r.random(m) < trial.missing_dose
    return {
        "fdg_obs": np.where(no_fdg[pat], np.nan, lesions["x_fdg"].astype(float)),
        "adc_obs": np.where(no_mr[pat] | outside, np.nan, lesions["x_adc"].astype(float)),
        "dose_obs": np.where(no_dose, np.nan, lesions["x_dose"].astype(float)),
    }


def _patients(
    trial: TableTrial,
    lesions: dict[str, npt.NDArray[np.generic]],
    grade_2: npt.NDArray[np.bool_],
    cycles: npt.NDArray[np.intp],
    r: np.random.Generator,
) -> dict[str, npt.NDArray[np.generic]]:
    n, pat = trial.patients, lesions["pat"].astype(int)
    pre, post, organ = lesions["pre"].astype(float), lesions["post"].astype(float), lesions["organ"]
    fdg, dose = lesions["x_fdg"].astype(float), lesions["dose_true"].astype(float)
    fdg_max = np.array([fdg[pat == i].max() for i in range(n)])
    dose_mean = np.array([dose[pat == i].mean() for i in range(n)])
    log_hazard = trial.hazard_fdg * _scaled(fdg_max) + trial.hazard_dose * _scaled(dose_mean)
    new_lesion = r.exponential(1 / (trial.hazard * np.exp(log_hazard)))
    grown = np.array([(post[pat == i] / pre[pat == i]).max() > 1.2 for i in range(n)])
    local = np.where(grown, r.uniform(*LOCAL_MONTHS, n), np.inf)
    censored = r.uniform(*CENSORED_MONTHS, n)
    progressed = np.minimum(new_lesion, local)
    seen_new = new_lesion < READ_AFTER_MONTHS
    change, recist = np.empty(n), np.empty(n, dtype=object)
    for i in range(n):
        own = np.flatnonzero(pat == i)
        chosen = choose_targets([(str(k), str(organ[k]), float(pre[k]), True) for k in own])
        targets = np.array([int(k) for k in chosen], int) if chosen else own[:1]
        before, after = pre[targets].sum(), post[targets].sum()
        change[i] = after / before - 1
        response = target_response(after, before, before, complete=True, all_gone=bool(after <= 0))
        recist[i] = "PD" if seen_new[i] else response
    responded = np.isin(recist.astype(str), ("CR", "PR"))
    return {
        "pat": np.arange(n),
        "g2": grade_2.astype(int),
        "ncyc": cycles,
        "sumchg": change,
        "newles": seen_new.astype(int),
        "recist": recist.astype(str),
        "orr": responded.astype(int),
        "pd": (recist.astype(str) == "PD").astype(int),
        "T": np.minimum(progressed, censored),
        "E": (progressed < censored).astype(int),
    }


def _scaled(values: Array) -> Array:
    spread = float(values.std())
    scaled: Array = (values - values.mean()) / (spread if spread > 0 else 1.0)
    return scaled


def _table(name: str, columns: dict[str, npt.NDArray[np.generic]]) -> DataTable:
    def cell(value: object) -> str:
        if isinstance(value, float | np.floating):
            return "" if np.isnan(value) else repr(float(value))
        return str(value)

    return DataTable(name, {key: tuple(cell(v) for v in values) for key, values in columns.items()})

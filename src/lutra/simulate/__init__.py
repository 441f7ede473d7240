"""GLASSHOUSE: digital patients with known truth, written as DICOM.

`body`, `lesions` and the kinetics say what a patient is, `clinic` how the patient is treated, `visits` when scans are due; `scene`
is what lies in front of a scanner, `images` makes the image, `write` the files and `truth` what a perfect analysis would find.
"""

from lutra.simulate.trial import TrialSettings, WrittenTrial, simulate_patient, simulate_trial

__all__ = ["TrialSettings", "WrittenTrial", "simulate_patient", "simulate_trial"]

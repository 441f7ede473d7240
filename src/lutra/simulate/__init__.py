"""GLASSHOUSE: digital patients with known truth, written as DICOM.

`body`, `lesions` and the kinetics say what a patient is, `clinic` how he is treated, `visits` when he is scanned; `scene` puts him in front of a
scanner, `images` makes the image, `write` the files and `truth` what a perfect analysis would find in them.
"""

from lutra.simulate.trial import TrialSettings, WrittenTrial, simulate_patient, simulate_trial

__all__ = ["TrialSettings", "WrittenTrial", "simulate_patient", "simulate_trial"]

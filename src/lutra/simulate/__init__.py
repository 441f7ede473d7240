"""GLASSHOUSE: digital patients with known truth, written as DICOM.

In this version one small patient of ellipsoids, enough to run every stage; `anatomy` says where, `patient` how much and when,
`scanner` how it is seen, `write` puts it on disk with the truth beside it.
"""

from lutra.simulate.write import WrittenPatient, write_patient

__all__ = ["WrittenPatient", "write_patient"]

"""Stage 2: stored voxels to Bq/mL, SUV, mm2/s and HU, and the numbers of a region in them.

`roles` says what an image is for, `decay_reference` which instant it is stated for, `camera` which calibration applies; `suv`,
`activity`, `adc` and `ct` convert, `dwi` fits diffusion (`shells`, `adc_fit`, `rician`, `ivim`), `body` gives what SUV is
normalised to, `region_metrics` measures, `small_voi` a kidney by spheres in it, `recovery` corrects, `scatter` says how much there
was, `features` gives what the IBSI standardised, `repeatability` tells change from noise. The rules for SUV are one table,
`suv_cases`. What cannot be determined is refused by name.
"""

from lutra.quantify.activity import to_activity
from lutra.quantify.adc import to_adc
from lutra.quantify.body import suv_scales
from lutra.quantify.camera import choose_calibration, choose_window
from lutra.quantify.ct import to_hu
from lutra.quantify.decay_reference import DecayReference, decay_reference
from lutra.quantify.dwi import fit_diffusion, primary_map
from lutra.quantify.features import measure_features
from lutra.quantify.image import quantify, summarise, summarise_maps
from lutra.quantify.region_metrics import measure
from lutra.quantify.repeatability import FOLLOWED, change_from_baseline, classify_change
from lutra.quantify.roles import role_of
from lutra.quantify.scatter import scatter_share
from lutra.quantify.settings import QuantifySettings
from lutra.quantify.small_voi import measure_small_vois
from lutra.quantify.suv import SuvFactor, suv_bw_factor, to_suv

__all__ = [
    "FOLLOWED",
    "DecayReference",
    "QuantifySettings",
    "SuvFactor",
    "change_from_baseline",
    "choose_calibration",
    "choose_window",
    "classify_change",
    "decay_reference",
    "fit_diffusion",
    "measure",
    "measure_features",
    "measure_small_vois",
    "primary_map",
    "quantify",
    "role_of",
    "scatter_share",
    "summarise",
    "summarise_maps",
    "suv_bw_factor",
    "suv_scales",
    "to_activity",
    "to_adc",
    "to_hu",
    "to_suv",
]

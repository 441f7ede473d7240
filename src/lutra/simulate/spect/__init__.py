"""SPECT of 177Lu: camera, acquisition, reconstruction, phantoms, and a fast mode in image space."""

from lutra.simulate.spect.acquire import Acquisition
from lutra.simulate.spect.camera import GammaCamera, gamma_camera, gamma_cameras

__all__ = ["Acquisition", "GammaCamera", "gamma_camera", "gamma_cameras"]

"""STAGE 3, two images -> the Transform between them with its error and checks, or the word that there is none."""

from lutra.align.rigid import RigidRegistration
from lutra.align.settings import AlignSettings
from lutra.align.shared_frame import SharedFrame

__all__ = ["AlignSettings", "RigidRegistration", "SharedFrame"]

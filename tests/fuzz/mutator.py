"""All mutations, in a fixed order."""

from __future__ import annotations

from . import (
    mutate_bytes,
    mutate_contours,
    mutate_diffusion,
    mutate_elements,
    mutate_facts,
    mutate_frames,
    mutate_geometry,
    mutate_pixels,
    mutate_regions,
)
from .mutation import MUTATIONS

__all__ = [
    "MUTATIONS",
    "mutate_bytes",
    "mutate_contours",
    "mutate_diffusion",
    "mutate_elements",
    "mutate_facts",
    "mutate_frames",
    "mutate_geometry",
    "mutate_pixels",
    "mutate_regions",
]

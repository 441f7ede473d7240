"""Small pictures of sections for a report: one image, one over another, two in turn. Conventions as in `imaging.section`."""

from __future__ import annotations

import numpy as np

from lutra.core.transform import Transform
from lutra.core.volume import Volume
from lutra.imaging.colour import Scale, colours, level, png
from lutra.imaging.section import Section

OPACITY = 0.75
"""How much of the anatomy the hottest colours cover. [1]"""
CLEAR_BELOW = 0.35
"""Level up to which colour fades in: background uptake leaves the anatomy to be seen. [1]"""
SQUARES = 6
"""Squares of a checkerboard along each edge."""

Window = tuple[float, float]


def crop_png(volume: Volume, section: Section, window: Window, scale: Scale) -> bytes:
    """Show an image in a section.

    Parameters
    ----------
    window
        Values shown as the first and the last colour. [unit of the volume]
    scale
        See :func:`~lutra.imaging.colour.colours`.

    Returns
    -------
    bytes
        PNG. What lies outside the image is black.
    """
    values, shown = section.sampled(volume)
    return png(colours(level(values, window), scale), shown)


def fused_png(
    anatomy: Volume,
    function: Volume,
    section: Section,
    anatomy_window: Window,
    window: Window,
    transform: Transform | None = None,
) -> bytes:
    """Show uptake in colour over grey anatomy. Where there is little, or no functional image, the anatomy alone is seen.

    Parameters
    ----------
    anatomy
        Image in the frame of the section.
    function
        Image laid over it.
    anatomy_window, window
        Values shown as the first and the last colour of each.
    transform
        From the frame of the anatomy, the fixed one, to that of the functional image; None if they share it.

    Returns
    -------
    bytes
        PNG in colour. What lies outside the anatomical image is black.
    """
    under, shown = section.sampled(anatomy)
    over, covered = section.sampled(function, transform)
    share = level(over, window)
    cover = (OPACITY * np.minimum(share / CLEAR_BELOW, 1) * covered)[..., None]
    grey = colours(level(under, anatomy_window), "grey")[..., None]
    return png((1 - cover) * grey + cover * colours(share, "hot"), shown)


def checkerboard_png(
    fixed: Volume,
    moving: Volume,
    section: Section,
    fixed_window: Window,
    moving_window: Window,
    transform: Transform | None = None,
    scales: tuple[Scale, Scale] = ("grey", "grey"),
) -> bytes:
    """Show two registered images in turn, square by square: borders that run on from one to the next fit.

    Returns
    -------
    bytes
        PNG. The first square, top left, is of the fixed image. What lies outside an image is black in its squares.
    """
    turn = np.arange(section.pixels) * SQUARES // section.pixels
    of_moving = (turn[:, None] + turn) % 2 == 1
    one, on_fixed = section.sampled(fixed)
    other, on_moving = section.sampled(moving, transform)
    pictures = [
        colours(level(one, fixed_window), scales[0]),
        colours(level(other, moving_window), scales[1]),
    ]
    if "hot" in scales:
        pictures = [p if p.ndim == 3 else np.repeat(p[..., None], 3, axis=-1) for p in pictures]
    chosen = of_moving if pictures[0].ndim == 2 else of_moving[..., None]
    return png(np.where(chosen, pictures[1], pictures[0]), np.where(of_moving, on_moving, on_fixed))

"""KIT for geometry in images: contours to partial voxels and back, diameters, pictures.

Two ways lead between polygons and voxels. :func:`~lutra.imaging.contours.rasterise` turns drawn polygons into the share
of each voxel inside; :func:`~lutra.imaging.isolines.outlines` draws the line where that share is one half.

Lengths are measured on the outline behind a mask, which has neither its steps nor the shrinking of smoothing
(:mod:`~lutra.imaging.smooth_outline`). Pictures are cut along a :class:`~lutra.imaging.section.Section`, which also says where
lines and outlines lie in them.
"""

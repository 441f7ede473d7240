"""KIT for geometry in images: contours to partial voxels and back, diameters, pictures.

Two ways lead between polygons and voxels. :func:`~lutra.imaging.contours.rasterise` turns drawn polygons into the share
of each voxel inside; :func:`~lutra.imaging.isolines.outlines` draws the line where that share is one half.
"""

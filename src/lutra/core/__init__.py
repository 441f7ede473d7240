"""VALUES: what every stage speaks in.

Immutable, with their units and with identity by content (:func:`lutra.core.digest.digest`). Nothing here computes
physics, reads files or knows a stage. Coordinates are LPS millimetres, times are aware datetimes or seconds since the
start of administration, and the name of a quantity carries its unit.
"""

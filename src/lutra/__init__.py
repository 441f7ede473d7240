"""Lutra: LUtetium Therapy Response Analysis. Research use only."""

__version__ = "0.1.0"

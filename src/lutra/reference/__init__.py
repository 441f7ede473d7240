"""CONSTANTS as data, each with its source: nuclides, sphere S values, populations, region names, protocols."""

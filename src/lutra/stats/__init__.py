"""KIT  models of clustered data and survival: plain functions of arrays, without names of columns."""

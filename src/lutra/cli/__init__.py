"""DOORS: the command line. Parses words, calls the conductor, prints. Heavy imports happen inside the commands."""

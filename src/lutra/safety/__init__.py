"""STAGE 8, doses + blood + history -> what to do with the next cycle."""

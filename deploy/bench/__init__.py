"""Measured speed with the ceilings of the same machine beside it; ``make bench``."""

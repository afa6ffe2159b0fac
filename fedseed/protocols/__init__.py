"""Protocols: what travels in each direction and how it is aggregated. One file each."""

PROTOCOLS = ("recipe", "weights")
"""Names that ``--protocol`` takes."""

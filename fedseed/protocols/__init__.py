"""Protocols: what travels in each direction and how it is aggregated. One file each."""

PROTOCOLS = ("recipe",)
"""Names that ``--protocol`` takes."""

"""Data: sources, splits, tokens, partitions and shards."""

PARTITIONS = ("iid", "dirichlet", "shards", "quantity")
"""Names that ``--partition`` takes; here, so that reading a command line imports no numpy."""

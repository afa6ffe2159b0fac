"""Data: sources, splits, tokens, partitions and shards."""

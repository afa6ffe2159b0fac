"""Data: options, sources, splits, tokens, partitions and shards."""

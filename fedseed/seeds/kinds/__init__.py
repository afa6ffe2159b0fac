"""Seed kinds: one file or folder each, with its description as ``SEED_KIND``."""

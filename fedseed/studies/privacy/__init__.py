"""The privacy study."""

"""The comparison study."""

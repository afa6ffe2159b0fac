"""The budget study."""

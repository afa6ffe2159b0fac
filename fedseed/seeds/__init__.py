"""Seeds: one file a kind, and the .fseed format."""

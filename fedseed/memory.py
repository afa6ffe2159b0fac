"""Memory: what a client keeps between messages."""

from collections.abc import MutableMapping

Memory = MutableMapping[str, bytes]
"""Values by name."""

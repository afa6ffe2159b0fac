"""The zero shot study."""

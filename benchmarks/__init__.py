"""Timings. They live here, never in tests."""

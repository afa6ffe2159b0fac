"""Measures: accuracy with intervals, retention."""

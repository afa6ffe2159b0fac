"""Runs: from options to a plan, from a plan to a record."""

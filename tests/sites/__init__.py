"""Runs of sites: each client with a table of its own."""

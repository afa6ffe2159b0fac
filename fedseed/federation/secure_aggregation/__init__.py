"""Sums of integer vectors of which nobody sees one alone: SecAgg+ (Bell et al. 2020).

docs/decisions/secure-aggregation.md says what is taken from where, and what it does not protect.
"""

"""Readings of files in a process of their own: what a parser does to itself, it does to nobody else (ADR 21)."""

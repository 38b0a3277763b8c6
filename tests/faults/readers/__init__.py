"""Readers under chaos: `python -m tests.faults.readers --help`. What each of them hears must be its channel, whole and in order."""

"""The embedded stack, `make up`: every part of Headrace on one machine, started, watched and stopped by one process."""

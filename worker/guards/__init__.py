"""Cheap looks at a file before any parser gets it: what it says that it unpacks to. Plain Python over a few bytes, whatever the size."""

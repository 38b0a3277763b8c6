"""Where a worker can be told to die. The applications that do it change the pipeline of the process that imports them, so no test may."""

STAGES = ("fetch", "guard", "sniff", "checksum", "extract", "thumbnail", "store")
STEPS = ("before the commit", "after the commit", "before the inbox record goes")

DIES = "dies-before-it-notes"
"""A file of that name in the data folder: the next worker that takes a message removes it, and dies."""

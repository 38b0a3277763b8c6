"""Logs: one line an entry, on standard error. No keys, no links, no file names in them: ids only."""

from __future__ import annotations

import logging
import sys


def configure(level: str, *, process: str) -> None:
    """`process` names the kind (api, worker, reconciler) in every line."""
    logging.basicConfig(level=level.upper(), stream=sys.stderr, force=True, format=f"%(asctime)s %(levelname)s {process} %(name)s: %(message)s")
    logging.captureWarnings(capture=True)
    for noisy in ("botocore", "boto3", "urllib3", "httpx", "httpcore"):
        logging.getLogger(noisy).setLevel(logging.WARNING)

"""`python -m tests.chaos`: everything dies under load, and nothing may be lost, doubled or left. Exit status 1 when something was."""

from __future__ import annotations

import argparse
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from devstack.ceph import NotInstalled
from tests.chaos.campaign import SHORT_TERMS, Campaign, Terms
from tests.chaos.storage import in_folder, own_ceph


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Everything dies under load, and nothing may be lost, doubled or left.")
    parser.add_argument("--seconds", type=float, default=300, help="length of the load (300)")
    parser.add_argument("--rate", type=float, default=10, help="uploads a second (10)")
    parser.add_argument("--seed", type=int, default=1, help="of load and faults (1)")
    parser.add_argument("--store", choices=("s3", "folder"), default="s3", help="Ceph's gateway behind a valve, or a folder, which has no outage (s3)")
    parser.add_argument("--short-leases", action="store_true", help="lease, grace and inbox scan of seconds, and not those of production")
    parser.add_argument("--outage-seconds", type=float, default=10, help="how long Redis freezes and the store is down (10)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="data and logs of the run are left there")
    options = parser.parse_args()
    terms = Terms(options.seconds, options.rate, options.seed, outage_seconds=options.outage_seconds, settings=SHORT_TERMS if options.short_leases else {})
    with ExitStack() as held:
        folder = options.keep or Path(held.enter_context(tempfile.TemporaryDirectory(prefix="headrace-chaos-")))
        folder = folder.resolve()
        try:
            made = in_folder(folder / "store") if options.store == "folder" else own_ceph(folder / "ceph", seed=options.seed)
            storage = held.enter_context(made)
        except NotInstalled as error:
            sys.exit(f"chaos: {error}, or use --store folder")
        report = Campaign(folder, storage, terms, say=lambda line: print(line, file=sys.stderr, flush=True)).run()
    print(report.text)
    return int(bool(report.violations))


if __name__ == "__main__":
    sys.exit(main())

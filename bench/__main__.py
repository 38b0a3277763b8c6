"""Runs the scripts that are named, or all, and prints one table. Exit status 1 when a bound does not hold; `--quick` does not judge."""

from __future__ import annotations

import argparse
import json
import platform
import signal
import sys
from pathlib import Path

from bench import (
    backlog,
    cold,
    documents,
    events,
    reading,
    recovery,
    redis_memory,
    safety,
    slow_clients,
    socket_connects,
    socket_latency,
    socket_memory,
    two_workers,
    upload_large,
    upload_small,
    wrong_key,
)  # fmt: skip
from bench.claim import Claim, Skipped, table
from bench.session import Session

SCRIPTS = {
    "upload_small": upload_small.run, "upload_large": upload_large.run, "events": events.run, "socket_memory": socket_memory.run,
    "socket_connects": socket_connects.run, "socket_latency": socket_latency.run, "redis_memory": redis_memory.run, "documents": documents.run,
    "reading": reading.run, "two_workers": two_workers.run, "backlog": backlog.run, "cold": cold.run, "recovery": recovery.run, "safety": safety.run,
    "slow_clients": slow_clients.run, "wrong_key": wrong_key.run,
}  # fmt: skip


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench", description="Measures what docs/performance.md says.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(SCRIPTS)}; all when none is named")
    parser.add_argument("--quick", action="store_true", help="some seconds each: shows that the scripts work, not how fast we are")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    options = parser.parse_args()
    if unknown := set(options.names) - set(SCRIPTS):
        parser.error(f"no such script: {', '.join(sorted(unknown))}")
    if not Path("/proc/self/stat").exists():
        sys.exit("bench: this machine has no /proc, from which CPU time and memory are read")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    claims: list[Claim] = []
    with Session(quick=options.quick) as session:
        for name in options.names or SCRIPTS:
            print(f"{name} …", file=sys.stderr, flush=True)
            try:
                for claim in SCRIPTS[name](session):
                    claims.append(claim)
                    print(f"  {claim.name}: {claim.value:.2f} {claim.unit}", file=sys.stderr, flush=True)
            except Skipped as error:
                print(f"  skipped: {error}", file=sys.stderr, flush=True)
    print(table(claims))
    if options.json:
        machine = {"system": platform.platform(), "python": platform.python_version(), "quick": options.quick}
        options.json.write_text(json.dumps({"machine": machine, "claims": [claim.as_json() for claim in claims]}, indent=1) + "\n")
    return int(not options.quick and any(claim.holds is False for claim in claims))


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.faults.readers`: the run at full length, as often as you like, and a table of what came of it."""

from __future__ import annotations

import argparse
import random
import sys

from tests.faults.readers.run import Run
from tests.faults.readers.verdict import WRONG

parser = argparse.ArgumentParser(prog="python -m tests.faults.readers", description="Readers that come and go while everything under them is killed.")
parser.add_argument("--seconds", type=float, default=60)
parser.add_argument("--readers", type=int, default=200)
parser.add_argument("--channels", type=int, default=40)
parser.add_argument("--each-second", type=float, default=150, help="steps of each of the two writers")
parser.add_argument("--times", type=int, default=1)
parser.add_argument("--seed", type=int, help="of the first run; each next one has the next")
parser.add_argument("--kind", choices=["sockets", "streams", "both"], default="both")
parser.add_argument("--lost-tails", action="store_true", help="each crash of Redis costs it the last of its log")


def main() -> int:
    given = parser.parse_args()
    first = random.randrange(10**6) if given.seed is None else given.seed
    kinds = ["sockets", "streams"] if given.kind == "both" else [given.kind]
    runs = [
        Run(kind, first + number, given.seconds, given.readers, given.channels, given.each_second, given.lost_tails)
        for number in range(given.times) for kind in kinds
    ]  # fmt: skip
    for run in runs:
        run.play()
        print(*run.book.remarks, sep="\n\n", file=sys.stderr)
        print(f"{run.kind}, seed {run.seed}: {'clean' if run.book.is_clean else 'NOT CLEAN'}", file=sys.stderr, flush=True)
    names = list(dict.fromkeys(name for run in runs for name in run.figures))
    print(f"| {given.readers} readers, {given.channels} channels, {given.seconds:g} s | " + " | ".join(f"{run.kind}, seed {run.seed}" for run in runs) + " |")
    print("| --- |" + " ---: |" * len(runs))
    for name in names:
        shown = f"**{name}**" if name in WRONG else name
        print(f"| {shown} | " + " | ".join(f"{run.figures.get(name, 0):,}" for run in runs) + " |")
    return 0 if all(run.book.is_clean for run in runs) else 1


if __name__ == "__main__":
    sys.exit(main())

"""`python -m tests.chaos.up APP`: the embedded stack as `make up` runs it, with another Celery application, more reconcilers, or other pools."""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace

from devstack import __main__ as devstack
from devstack import parts
from devstack.process import Command

APP = "worker.celery_app"

_plan = parts.plan


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.up")
    parser.add_argument("app", help="what the workers are started with")
    parser.add_argument("--reconcilers", type=int, default=1)
    parser.add_argument("--threads", type=int, help="a worker is at so many sources at once")
    parser.add_argument("--children", type=int, default=1, help="a worker has so many processes that are at one source each")
    options = parser.parse_args(arguments)

    def changed(command: Command) -> list[Command]:
        if command.kind == "reconciler":
            return [command, *(replace(command, name=f"reconciler{n + 2}") for n in range(options.reconcilers - 1))]
        argv = list(command.argv)
        if command.kind == "worker":
            argv[argv.index(APP)] = options.app
            pool = ["-P", "threads", "-c", str(options.threads)] if options.threads else ["-c", str(options.children)]
            argv[argv.index("-c") : argv.index("-c") + 2] = pool
        return [replace(command, argv=tuple(argv))]

    def plan(*given) -> parts.Plan:
        made = _plan(*given)
        return replace(made, groups=tuple(tuple(each for command in group for each in changed(command)) for group in made.groups))

    parts.plan = plan
    return devstack.main(["up"])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

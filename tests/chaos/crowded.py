"""`python -m tests.chaos.crowded`: the embedded stack, whose worker is at a hundred sources at once, in threads."""

from __future__ import annotations

import sys
from dataclasses import replace

from devstack import __main__ as devstack
from devstack import parts

_plan = parts.plan


def plan(*arguments) -> parts.Plan:
    made = _plan(*arguments)
    groups = [tuple(_crowded(command) if command.kind == "worker" else command for command in group) for group in made.groups]
    return replace(made, groups=tuple(groups))


def _crowded(command: parts.Command) -> parts.Command:
    at = command.argv.index("-c")
    return replace(command, argv=(*command.argv[:at], "-P", "threads", "-c", "100", *command.argv[at + 2 :]))


if __name__ == "__main__":
    parts.plan = plan
    sys.exit(devstack.main(["up"]))

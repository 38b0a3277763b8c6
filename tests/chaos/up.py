"""`python -m tests.chaos.up`: the embedded stack as `make up` runs it, with workers that some documents kill, and with two reconcilers."""

from __future__ import annotations

import sys
from dataclasses import replace

from devstack import __main__ as devstack
from devstack import parts

APP = "worker.celery_app"
FRAGILE = "tests.chaos.fragile"

_plan = parts.plan


def plan(*arguments) -> parts.Plan:
    made = _plan(*arguments)
    groups = [tuple(replace(command, argv=tuple(FRAGILE if word == APP else word for word in command.argv)) for command in group) for group in made.groups]
    second = [replace(command, name="reconciler2") for group in groups for command in group if command.kind == "reconciler"]
    return replace(made, groups=(*groups[:-1], (*groups[-1], *second)))


if __name__ == "__main__":
    parts.plan = plan
    sys.exit(devstack.main(["up"]))

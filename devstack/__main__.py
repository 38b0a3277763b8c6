"""`python -m devstack up`: what `make up` runs. Exit status 0 after Ctrl-C or SIGTERM, 1 when it did not start, 2 for a wrong command line."""

from __future__ import annotations

import asyncio
import os
import sys

from app import settings
from devstack import parts, supervisor
from devstack.datadir import DataDir, Refused
from devstack.process import StartFailed


def main(arguments: list[str]) -> int:
    if arguments != ["up"]:
        print("usage: python -m devstack up", file=sys.stderr)
        return 2
    try:
        wanted = settings.load()
        with DataDir(wanted.data_dir) as data:
            supervisor.end_leftovers(data)
            plan = parts.plan(wanted, data, os.environ)
            asyncio.run(supervisor.Supervisor(plan, data).run())
    except (settings.SettingsError, Refused, StartFailed) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # before anything was started; later it is a signal like SIGTERM
        pass
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

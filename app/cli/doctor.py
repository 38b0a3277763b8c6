"""`headrace doctor`: are the workers of this host at work, and, with `--deployment`, is everything around them as it must be."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from app import wiring
from app.adapters.redis.client import connect, unavailable
from app.adapters.storage import open_store
from app.cli import diagnosis, stack
from app.cli.connection import Failure
from app.cli.diagnosis import Finding, Level
from app.domain.errors import HeadraceError
from app.settings import PREFIX, Settings, SettingsError, load

_MARKS = {Level.OK: "[green]ok[/]     ", Level.WARNING: "[yellow]warning[/]", Level.BAD: "[red]bad[/]    "}


def settings(folder: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """Of the environment; of the stack in the data folder where that names no store and no Redis. Raises Failure."""
    environ = os.environ if environ is None else environ
    if not {f"{PREFIX}STORAGE_URL", f"{PREFIX}REDIS_URL", f"{PREFIX}PULSE_DIR"} & environ.keys():
        try:
            environ = {**environ, **json.loads((folder / stack.ENVIRONMENT).read_text())}
        except (OSError, ValueError):
            raise Failure(f"neither the environment names a deployment (HEADRACE_REDIS_URL, …), nor is there one in {folder}") from None
    try:
        return load(environ)
    except SettingsError as error:
        raise Failure(str(error)) from error


def examine(known: Settings, *, deployment: bool) -> Iterator[Finding]:
    """Never raises for what it finds."""
    if known.pulse_dir is not None:
        yield from diagnosis.workers(known.pulse_dir)
    elif not deployment:
        raise Failure("HEADRACE_PULSE_DIR is not set, so the workers show no pulse")
    if deployment:
        yield from _tried("redis", lambda: _redis(known))
        yield from _tried("storage", lambda: _storage(known))


def show(findings: list[Finding], console: Console, *, as_json: bool) -> bool:
    """Whether nothing is bad."""
    well = all(each.level is not Level.BAD for each in findings)
    if as_json:
        print(json.dumps({"status": "ok" if well else "bad", "findings": [asdict(each) for each in findings]}))
    else:
        for each in findings:
            console.print(f"{_MARKS[each.level]}  {each.part}: ", each.text, sep="", markup=True)
    return well


def _tried(part: str, look: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from look()
    except (HeadraceError, SettingsError) as error:
        yield Finding(part, Level.BAD, str(error))


def _redis(known: Settings) -> Iterator[Finding]:
    with closing(connect(wiring.redis(known))) as server:
        with unavailable():
            info = server.info("everything")
        yield from diagnosis.redis(info)
        yield from diagnosis.clock("redis", lambda: _seconds(server.time()))
    with closing(wiring.fleet(known)) as fleet:
        yield from diagnosis.fleet(fleet.processes())


def _seconds(time: tuple[int, int]) -> float:
    return time[0] + time[1] / 1_000_000


def _storage(known: Settings) -> Iterator[Finding]:
    with closing(open_store(wiring.storage(known))) as store:
        yield from diagnosis.storage(store, known.deployment)
        yield from diagnosis.clock("storage", lambda: diagnosis.storage_clock(store), whole_seconds=True)

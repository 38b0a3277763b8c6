"""The commands of `./headrace`. Exit status 1: a document failed, or the command could not be done."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.cli import dev as dev_commands
from app.cli import doctor as doctor_commands
from app.cli import keys as keys_commands
from app.cli import sources
from app.cli.connection import Connection, Failure, Key, Url, User, connect, data_folder
from app.cli.upload import is_url
from app.cli.upload import upload as upload_all
from app.cli.watch import watch as watch_channel
from app.cli.webhooks import list_webhooks as list_waiting
from app.cli.webhooks import redeliver as redeliver_all
from app.domain.identity import Scope

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Upload documents to Headrace and see what becomes of them.")
dev = typer.Typer(no_args_is_help=True, help="For those who want to see it survive.")
dead = typer.Typer(no_args_is_help=True, help="Dead letters: sources of the user that were tried too often.")
keys = typer.Typer(no_args_is_help=True, help="API keys.")
webhooks = typer.Typer(no_args_is_help=True, help="Who outside has yet to hear of an end.")
app.add_typer(dead, name="dead")
app.add_typer(dev, name="dev")
app.add_typer(keys, name="keys")
app.add_typer(webhooks, name="webhooks")
console = Console(highlight=False, soft_wrap=True)


@contextlib.contextmanager
def _in_one_line() -> Iterator[None]:
    try:
        yield
    except Failure as error:
        typer.echo(f"headrace: {error}", err=True)
        raise typer.Exit(1) from None


@app.command()
def upload(
    targets: Annotated[list[str], typer.Argument(metavar="FILE_OR_URL...", help="Files, or http(s) URLs for Headrace to fetch.")],
    url: Url = None,
    key: Key = None,
    user: User = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print the messages of the channel, one a line, and nothing else.")] = False,
) -> None:
    """Upload documents and follow each to its end."""
    with _in_one_line():
        for target in targets:
            if not is_url(target) and not Path(target).is_file():
                raise Failure(f"{target} is not a file")
        if not asyncio.run(upload_all(connect(url, key, user), targets, console=console, as_json=as_json)):
            raise typer.Exit(1)


@app.command()
def watch(channel: Annotated[str, typer.Argument(metavar="WS", help="A ws-uuid.")], url: Url = None, key: Key = None, user: User = None) -> None:
    """Print the messages of a channel until it is closed."""
    with _in_one_line(), contextlib.suppress(KeyboardInterrupt):
        asyncio.run(watch_channel(connect(url, key, user), channel))


@app.command()
def show(source: Annotated[str, typer.Argument(metavar="ID", help="A source-uuid.")], url: Url = None, key: Key = None, user: User = None) -> None:
    """Show one source and its timeline."""
    with _in_one_line():
        sources.show(connect(url, key, user), source, console)


@app.command("list")
def list_(limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100, url: Url = None, key: Key = None, user: User = None) -> None:
    """List the user's sources."""
    with _in_one_line():
        sources.list_sources(connect(url, key, user), console, limit=limit)


@app.command()
def cancel(source: Annotated[str, typer.Argument(metavar="ID", help="A source-uuid.")], url: Url = None, key: Key = None, user: User = None) -> None:
    """End a source that is open."""
    with _in_one_line():
        sources.cancel(connect(url, key, user), source, console)


@app.command()
def retry(source: Annotated[str, typer.Argument(metavar="ID", help="A source-uuid.")], url: Url = None, key: Key = None, user: User = None) -> None:
    """Run a failed or cancelled source again."""
    with _in_one_line():
        sources.retry(connect(url, key, user), [source], console)


Ids = Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="source-uuids.")]
Every = Annotated[bool, typer.Option("--all", help="Each of them.")]


class Ended(StrEnum):
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@app.command()
def reprocess(
    ids: Ids = None,
    url: Url = None,
    key: Key = None,
    user: User = None,
    *,
    every: Every = False,
    state: Annotated[Ended | None, typer.Option(help="Of all: those that ended so.")] = None,
    media_type: Annotated[list[str] | None, typer.Option("--type", help="Of all: those of this media type, such as image/*. May be repeated.")] = None,
    profile: Annotated[str | None, typer.Option(help="Of all: those that were uploaded under this profile.")] = None,
) -> None:
    """Run sources that have ended again, also those that succeeded. What was read of them stays until that succeeds."""
    with _in_one_line():
        meant = {"state": state and state.value, "media-types": media_type, "profile": profile}
        said = {name: value for name, value in meant.items() if value}
        if bool(ids) == every or (ids and said):
            raise Failure("name some, or say --all, and of which kind")
        connection = connect(url, key, user)
        if ids:
            sources.retry(connection, ids, console, call="reprocess")
        else:
            sources.reprocess(connection, said, console)


@app.command()
def delete(source: Annotated[str, typer.Argument(metavar="ID", help="A source-uuid.")], url: Url = None, key: Key = None, user: User = None) -> None:
    """Delete a source."""
    with _in_one_line():
        sources.delete(connect(url, key, user), source, console)


@app.command()
def doctor(
    *,
    deployment: Annotated[bool, typer.Option("--deployment", help="Look at Redis, the store, the clocks and the versions too.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object, and nothing else.")] = False,
) -> None:
    """Are the workers of this host at work? Exit status 0: nothing is bad; 1: something is; 2: it could not be looked at."""
    try:
        known = doctor_commands.settings(data_folder())
        findings = list(doctor_commands.examine(known, deployment=deployment))
    except Failure as error:
        typer.echo(f"headrace: {error}", err=True)
        raise typer.Exit(2) from None
    if not doctor_commands.show(findings, console, as_json=as_json):
        raise typer.Exit(1)


@dead.command("list")
def dead_list(limit: Annotated[int, typer.Option(min=1, help="At most so many.")] = 100, url: Url = None, key: Key = None, user: User = None) -> None:
    """List them."""
    with _in_one_line():
        sources.list_sources(connect(url, key, user), console, limit=limit, dead=True)


def _meant(connection: Connection, ids: list[str] | None, *, every: bool) -> list[str]:
    if bool(ids) == every:
        raise Failure("name some, or say --all")
    return sources.dead_letters(connection) if every else ids or []


@dead.command("retry")
def dead_retry(ids: Ids = None, url: Url = None, key: Key = None, user: User = None, *, every: Every = False) -> None:
    """Run them again, with all their attempts."""
    with _in_one_line():
        connection = connect(url, key, user)
        sources.retry(connection, _meant(connection, ids, every=every), console)


@dead.command("drop")
def dead_drop(ids: Ids = None, url: Url = None, key: Key = None, user: User = None, *, every: Every = False) -> None:
    """Delete them, bytes and all."""
    with _in_one_line():
        connection = connect(url, key, user)
        for source in _meant(connection, ids, every=every):
            sources.delete(connection, source, console)


@dev.command()
def kill(victim: dev_commands.Victim, *, at_work: Annotated[bool, typer.Option("--at-work", help="Wait for one that is at work.")] = False) -> None:
    """SIGKILL the busiest worker, its child, an API process or the reconciler of the stack that runs here."""
    with _in_one_line():
        typer.echo(dev_commands.kill(data_folder(), victim, at_work=at_work))


KeysFile = Annotated[Path | None, typer.Option("--file", help="The file of keys. Else HEADRACE_API_KEYS_FILE, or that of the stack here.")]


@keys.command()
def create(
    organisation: str,
    scope: Annotated[list[Scope] | None, typer.Option(help="What it is for; may be repeated. Else everything.")] = None,
    file: KeysFile = None,
) -> None:
    """Make a key for an organisation. It is shown once; the second line is what Headrace knows it by, and goes into the file of keys."""
    with _in_one_line():
        key, line = keys_commands.create(organisation, scope or (), data_folder(), file=file)
        typer.echo(f"{key}\n{line}")


@keys.command("list")
def list_keys(file: KeysFile = None) -> None:
    """List the keys in the file: id, organisation, scopes."""
    with _in_one_line():
        for row in keys_commands.listed(data_folder(), file=file):
            typer.echo("  ".join(row))


@keys.command()
def revoke(key_id: Annotated[str, typer.Argument(metavar="ID", help="As `headrace keys list` prints it.")], file: KeysFile = None) -> None:
    """Take a key out of the file. The API refuses it from its next call on."""
    with _in_one_line():
        typer.echo(f"revoked a key of {keys_commands.revoke(key_id, data_folder(), file=file)}")


@webhooks.command("list")
def list_webhooks(url: Url = None, key: Key = None, user: User = None) -> None:
    """List the ends that somebody has yet to hear of, and those that were given up."""
    with _in_one_line():
        list_waiting(connect(url, key, user), console)


@webhooks.command()
def redeliver(source: Annotated[str, typer.Argument(metavar="ID", help="A source-uuid.")], url: Url = None, key: Key = None, user: User = None) -> None:
    """Tell all targets of a source anew."""
    with _in_one_line():
        redeliver_all(connect(url, key, user), source, console)


if __name__ == "__main__":
    app(prog_name="headrace")

"""The API process: `python -m app.main [--fd N]`, where N is a listening socket that a supervisor made."""

from __future__ import annotations

import argparse
import asyncio
import socket
import sys
from contextlib import suppress

import uvicorn
from prometheus_client import start_http_server

from app import settings as configuration
from app import wiring
from app.api.http_protocol import HttpProtocol
from app.api.websocket.lines import MAX_MESSAGE_BYTES, Lines
from app.bootstrap import build, check_store
from app.domain.errors import HeadraceError
from app.telemetry import logging


class Server(uvicorn.Server):
    """Closes the sockets before it stops to listen, so that whoever comes back is told where not to go."""

    def __init__(self, config: uvicorn.Config, lines: Lines, drain_seconds: float) -> None:
        super().__init__(config)
        self._lines = lines
        self._drain_seconds = drain_seconds

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        draining = asyncio.create_task(self._lines.drain(self._drain_seconds))
        while not draining.done() and not self.force_exit:
            await asyncio.wait({draining}, timeout=0.1)
        draining.cancel()
        await super().shutdown(sockets)


def server(settings: configuration.Settings) -> uvicorn.Server:
    """uvicorn as we run it everywhere. X-Forwarded-* are read by api/addresses.py, from trusted proxies only."""
    lines = Lines(parks=settings.park_sockets)
    config = uvicorn.Config(
        build(settings, lines),
        host=settings.host,
        port=settings.port,
        http=HttpProtocol,
        ws="app.api.websocket.protocol:SocketProtocol",
        ws_max_size=MAX_MESSAGE_BYTES,
        proxy_headers=False,
        server_header=False,
        access_log=False,
        log_config=None,
        lifespan="on",
        timeout_graceful_shutdown=settings.stop_seconds,
    )
    return Server(config, lines, settings.drain_seconds)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m app.main", description="The API of Headrace.")
    parser.add_argument("--fd", type=int, help="serve on this inherited listening socket")
    options = parser.parse_args(arguments)
    try:
        settings = configuration.load()
        wiring.announcer(settings)
        check_store(settings)
    except (configuration.SettingsError, HeadraceError) as error:
        print(f"headrace: {error}", file=sys.stderr)
        return 2
    logging.configure(settings.log_level, process="api", form=settings.log_format)
    if settings.metrics_port:
        with suppress(OSError):  # a second API process of this machine finds it taken: the first one is scraped
            start_http_server(settings.metrics_port, "127.0.0.1")
    sockets = [socket.socket(fileno=options.fd)] if options.fd is not None else None
    running = server(settings)
    running.run(sockets=sockets)
    return 0 if running.started else 3


if __name__ == "__main__":
    sys.exit(main())

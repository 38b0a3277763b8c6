"""The API process: `python -m app.main [--fd N]`, where N is a listening socket that a supervisor made."""

from __future__ import annotations

import argparse
import socket
import sys
from contextlib import suppress

import uvicorn
from prometheus_client import start_http_server

from app import settings as configuration
from app import wiring
from app.bootstrap import build, check_store
from app.domain.errors import HeadraceError
from app.telemetry import logging


def server(settings: configuration.Settings) -> uvicorn.Server:
    """uvicorn as we run it everywhere. X-Forwarded-* are read by api/addresses.py, from trusted proxies only."""
    return uvicorn.Server(
        uvicorn.Config(
            build(settings),
            host=settings.host,
            port=settings.port,
            http="httptools",
            ws="websockets-sansio",
            ws_per_message_deflate=False,
            ws_max_size=64 * 1024,
            proxy_headers=False,
            server_header=False,
            access_log=False,
            log_config=None,
            lifespan="on",
            timeout_graceful_shutdown=settings.stop_seconds,
        )
    )


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
    logging.configure(settings.log_level, process="api")
    if settings.metrics_port:
        with suppress(OSError):  # a second API process of this machine finds it taken: the first one is scraped
            start_http_server(settings.metrics_port, "127.0.0.1")
    sockets = [socket.socket(fileno=options.fd)] if options.fd is not None else None
    running = server(settings)
    running.run(sockets=sockets)
    return 0 if running.started else 3


if __name__ == "__main__":
    sys.exit(main())

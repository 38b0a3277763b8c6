"""S3 in this process (moto): it knows all calls, and believes everything, so it proves nothing about signatures or digests."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, MotoRequestHandler, create_backend_app
from werkzeug.serving import make_server


@contextmanager
def memory_s3() -> Iterator[str]:
    """Its URL. What it holds lives as long as the process, whoever serves it."""
    server = make_server("127.0.0.1", 0, _OneAfterTheOther(), threaded=True, request_handler=MotoRequestHandler)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        serving.join()
        server.server_close()


class _OneAfterTheOther:
    """moto looks whether a key is there, and then writes it; S3 does both in one step. Without this a create of two at once is won by both."""

    def __init__(self) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._writing = threading.Lock()

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if "HTTP_IF_NONE_MATCH" not in environ:
            return self._moto(environ, start_response)
        with self._writing:
            return self._moto(environ, start_response)

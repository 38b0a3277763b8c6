"""app.main with the WebSockets that uvicorn has by itself: its own class, and permessage-deflate. `python -m bench.stock_app`, settings as for app.main."""

from __future__ import annotations

from app import main as api
from app.settings import load

if __name__ == "__main__":
    server = api.server(load())
    server.config.ws = "websockets-sansio"
    server.config.ws_per_message_deflate = True
    server.run()

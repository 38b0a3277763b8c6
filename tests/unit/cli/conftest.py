import asyncio
import socket
import threading
import time

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocketDisconnect


class FakeHeadrace:
    """Takes uploads, and tells on the socket what `story` makes of each: a list of messages, where None drops the connection."""

    def __init__(self):
        self.registered = []
        self.uploads = []
        self.calls = []
        self.bodies = []
        self.pages = []
        self.answers = []
        """Statuses for the next uploads; 200 when empty."""
        self.story = lambda source: [success(source)]
        self.sources = {}
        self.messages = []
        self.at_once = self.most_at_once = 0
        self.sockets = 0
        self.handshakes = []
        self.over = False
        self.app = Starlette(
            routes=[
                Route("/public/sources/ws", self.register, methods=["POST"]),
                Route("/public/sources/upload-source", self.upload, methods=["POST"]),
                Route("/public/sources", self.list),
                Route("/public/sources/reprocess", self.reprocess, methods=["POST"]),
                Route("/public/sources/{id}", self.source, methods=["GET", "DELETE"]),
                Route("/public/sources/{id}/{verb}", self.change, methods=["POST"]),
                WebSocketRoute("/ws/{id}", self.tell),
            ]
        )

    async def register(self, request):
        self.registered.append(await request.json())
        self.headers = dict(request.headers)
        return JSONResponse({"ws-address": f"ws://127.0.0.1:{self.port}/ws/{self.registered[-1]['ws-uuid']}?token=t"})

    async def upload(self, request):
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        async with request.form() as form:
            fields = {name: value if isinstance(value, str) else (value.filename, await value.read()) for name, value in form.items()}
        await asyncio.sleep(0)
        self.at_once -= 1
        self.uploads.append(fields)
        status = self.answers.pop(0) if self.answers else 200
        if status != 200:
            problem = {"code": "conflict", "detail": "other bytes\x1b[2J"}
            return JSONResponse(problem, status, headers={"Retry-After": "0"})
        self.messages += self.story(fields["source-uuid"])
        return JSONResponse({"message": "Processing file: " + fields["source-uuid"]})

    async def tell(self, websocket):
        self.sockets += 1
        self.handshakes.append((websocket.headers.get("x-api-key"), websocket.headers.get("x-user-id")))
        await websocket.accept()
        try:
            told = 0
            while not self.over:
                while told < len(self.messages):
                    message = self.messages[told]
                    told += 1
                    if message is None:
                        self.messages[told - 1] = {"step": "dropped"}
                        await websocket.close(1012)
                        return
                    if message == "close":
                        await websocket.close(1000)
                        return
                    await websocket.send_json(message)
                await asyncio.sleep(0.005)
        except WebSocketDisconnect:
            pass

    async def list(self, request):
        self.calls.append(request.url.query)
        every = list(self.sources.values())
        if "cursor" in request.query_params:
            return JSONResponse({"sources": every[1:]})
        return JSONResponse({"sources": every[:1], "next-cursor": "second"})

    async def source(self, request):
        self.calls.append(f"{request.method} {request.path_params['id']}")
        found = self.sources.get(request.path_params["id"])
        if found is None:
            return JSONResponse({"code": "not_found", "detail": "no such source"}, 404)
        return Response(status_code=204) if request.method == "DELETE" else JSONResponse(found)

    async def reprocess(self, request):
        self.bodies.append(await request.json())
        return JSONResponse(self.pages.pop(0))

    async def change(self, request):
        self.calls.append(f"{request.path_params['verb']} {request.path_params['id']} {request.url.query}".strip())
        found = self.sources.get(request.path_params["id"])
        if found is None or (found.get("state") == "succeeded" and request.path_params["verb"] != "reprocess"):
            return JSONResponse({"code": "already_ended", "detail": "run 1 has ended: succeeded"}, 409)
        return JSONResponse(found | {"run": found.get("run", 1) + (request.path_params["verb"] in {"retry", "reprocess"})})


def success(source, **extra):
    result = {"source-id": source, "filename": "f", "url": "u", "size": 5, "pages": 12, "text": {"words": 5204, "characters": 9}}
    return {"result": result, "source-uuid": source, "status": "success", "attempt": 1, "progress": 100, **extra}


@pytest.fixture
def fake(monkeypatch, tmp_path):
    """A Headrace that was made up, on a free port of this machine; the environment points to it."""
    headrace = FakeHeadrace()
    with socket.create_server(("127.0.0.1", 0)) as sock:
        headrace.port = sock.getsockname()[1]
        headrace.url = f"http://127.0.0.1:{headrace.port}"
        server = uvicorn.Server(uvicorn.Config(headrace.app, log_config=None, lifespan="off", ws="websockets-sansio", timeout_graceful_shutdown=1))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        monkeypatch.setenv("HEADRACE_URL", headrace.url)
        monkeypatch.setenv("HEADRACE_API_KEY", "hr_k")
        monkeypatch.setenv("HEADRACE_USER_ID", "anna")
        monkeypatch.setenv("HEADRACE_DATA_DIR", str(tmp_path / "no-data"))
        try:
            yield headrace
        finally:
            headrace.over = server.should_exit = True
            thread.join()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder in which no stack runs yet."""
    made = tmp_path / "data"
    made.mkdir()
    for name in ("HEADRACE_URL", "HEADRACE_API_KEY", "HEADRACE_SECRET_KEYS", "HEADRACE_SECRET_KEYS_FILE", "HEADRACE_API_KEYS_FILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HEADRACE_DATA_DIR", str(made))
    return made


@pytest.fixture
def run(monkeypatch):
    """Runs `headrace …`; answers exit code, stdout, stderr."""
    from typer.testing import CliRunner

    monkeypatch.setenv("COLUMNS", "40")

    def invoke(*arguments):
        from app.cli import __main__ as main

        monkeypatch.setattr(main, "console", main.Console(highlight=False, soft_wrap=True))
        done = CliRunner().invoke(main.app, arguments)
        if done.exception is not None and not isinstance(done.exception, SystemExit):
            raise done.exception
        return done

    return invoke


@pytest.fixture
def eventually():
    """Waits for what must come, up to 20 s, and fails when it does not."""

    def wait(what):
        deadline = time.monotonic() + 20
        while not (found := what()):
            assert time.monotonic() < deadline, "it did not happen"
            time.sleep(0.01)
        return found

    return wait

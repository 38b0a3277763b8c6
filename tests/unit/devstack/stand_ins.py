"""`stand_ins.py up`: the true supervisor and a true valkey, with stand-ins for the other parts, which are this file too."""

import os
import signal
import socket
import sys
import threading


def part(name: str, says: str, fd: str) -> None:
    """Listens where the true part would, and writes its name to <data>/stopped when it is told to stop."""

    def stopped(*_: object) -> None:
        with open(os.environ["HEADRACE_DATA_DIR"] + "/stopped", "a") as file:  # noqa: PTH123 - without site-packages, and quick
            print(name, file=file)
        os._exit(0)

    signal.signal(signal.SIGTERM, stopped)
    if name == os.environ.get("BROKEN"):
        sys.exit("cannot go on")
    if fd != "-":
        threading.Thread(target=serve, args=(socket.socket(fileno=int(fd)),), daemon=True).start()
    elif name == "flower":
        globals()["kept"] = socket.create_server(("127.0.0.1", int(os.environ["HEADRACE_FLOWER_PORT"])))
    if name != os.environ.get("SILENT"):
        print(says, flush=True)
    while True:
        signal.pause()


def serve(server: socket.socket) -> None:
    server.setblocking(True)
    while True:
        client, _ = server.accept()
        client.recv(1000)
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        client.close()


def up() -> None:
    import asyncio
    import dataclasses

    from app import settings
    from devstack import parts, supervisor
    from devstack.datadir import DataDir, Refused
    from devstack.process import Command, StartFailed

    def stand_in(command: Command) -> Command:
        if command.kind == "redis":
            return command
        fd = str(command.fds[0]) if command.fds else "-"
        argv = (sys.executable, "-S", __file__, "part", command.name, command.ready_line or "", fd)
        return dataclasses.replace(command, argv=argv, pause_seconds=float(os.environ.get("PAUSE", "0.01")))

    wanted = settings.load()
    try:
        with DataDir(wanted.data_dir) as data:
            supervisor.end_leftovers(data)
            plan = parts.plan(wanted, data, os.environ)
            plan = dataclasses.replace(plan, groups=tuple(tuple(map(stand_in, group)) for group in plan.groups))
            asyncio.run(supervisor.Supervisor(plan, data).run())
    except (Refused, StartFailed) as error:
        sys.exit(f"headrace: {error}")


if __name__ == "__main__":
    up() if sys.argv[1] == "up" else part(*sys.argv[2:])

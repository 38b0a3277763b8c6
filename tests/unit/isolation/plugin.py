"""A plug-in that does what a file could make a parser do. Written into a folder as an installed distribution is, with its entry point."""

from __future__ import annotations

from pathlib import Path

CODE = """
import ctypes, os, resource, signal, socket, subprocess, sys, threading, time
from headrace_plugin import Extracted, Failed, Heading, Thumbnail, Unsupported


class Odd:
    name = "odd"
    version = "7"
    media_types = ("odd/*",)
    priority = 5

    def process(self, reading):
        return getattr(self, reading.media_type.partition("/")[2])(reading) or Extracted()

    def memory(self, reading):
        kept = []
        while True:
            kept.append(bytearray(1 << 20))

    def giant(self, reading):
        bytearray(1 << 40)

    def cpu(self, reading):
        while True:
            pass

    def deaf(self, reading):
        signal.signal(signal.SIGXCPU, signal.SIG_IGN)
        while True:
            pass

    def sleep(self, reading):
        (reading.folder / "pid").write_text(str(os.getpid()))
        time.sleep(600)

    def family(self, reading):
        child = subprocess.Popen(["sleep", "600"])
        (reading.folder / "pid").write_text(str(child.pid))
        time.sleep(600)

    def orphan(self, reading):
        (reading.folder / "pid").write_text(str(subprocess.Popen(["sleep", "600"]).pid))

    def abort(self, reading):
        os.abort()

    def segfault(self, reading):
        ctypes.string_at(1)

    def leave(self, reading):
        os._exit(0)

    def exit(self, reading):
        sys.exit(0)

    def bug(self, reading):
        raise KeyError("somebody's bug")

    def recursion(self, reading):
        self.recursion(reading)

    def malformed(self, reading):
        raise Failed("malformed", "as it says")

    def unsupported(self, reading):
        reading.write_text("not mine")
        reading.warn("odd")
        raise Unsupported

    def disk(self, reading):
        with (reading.folder / "big").open("wb") as file:
            while True:
                file.write(bytes(1 << 20))

    def look(self, reading):
        def attempt(call):
            try:
                call()
            except OSError as error:
                return error.errno
            return 0

        return Extracted(details={
            "environ": dict(os.environ), "cwd": os.getcwd(), "descriptors": sorted(int(name) for name in os.listdir("/proc/self/fd")) if sys.platform == "linux" else [],
            "tcp": attempt(lambda: socket.socket(socket.AF_INET).close()), "unix": attempt(lambda: socket.socket(socket.AF_UNIX).close()),
            "leave": attempt(os.setsid), "write": attempt(lambda: reading.path.open("r+b").close()), "truncate": attempt(lambda: os.truncate(reading.path, 0)),
            "make": attempt(lambda: (reading.path.parent / "made").touch()), "remove": attempt(reading.path.unlink),
            "nowhere": attempt(lambda: open(os.devnull, "w").close()), "threads": threading.active_count(), "group": os.getpgrp() == os.getpid(),
        })

    def link(self, reading):
        (reading.folder / "text.txt").symlink_to(reading.path)

    def hardlink(self, reading):
        os.link(reading.path, reading.folder / "text.txt")

    def garbage(self, reading):
        os.write(3, b"{garbage\\n")
        time.sleep(600)

    def forged(self, reading):
        os.write(3, b'{"answer": {"files": ["../../secret"]}}\\n')
        time.sleep(600)

    def unknown(self, reading):
        os.write(3, b'{"failed": {"code": "no_such_code"}}\\n')
        time.sleep(600)

    def flood(self, reading):
        while True:
            os.write(3, b"x" * 65536)

    def again(self, reading):
        def pages():
            return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

        [b"x" * (1 << 20) for _ in range(8)]
        before = pages()
        for _ in range(20):
            [b"x" * (1 << 20) for _ in range(8)]
        return Extracted(details={"pages": pages() - before})

    def steps(self, reading):
        for number in range(1, 41):
            reading.progress(number, 40, "steps")
            time.sleep(0.02)

    def all(self, reading):
        reading.write_page("one", label="first")
        reading.write_page("two words")
        reading.write_markdown("# One\\n")
        reading.warn("odd", "said")
        return Extracted(
            pages=2, width=3, height=4, frames=5, duration_seconds=1.5, encoding="utf-8", language="en", document={"title": "T"},
            outline=[Heading("One", 1, 1)], details={"more": [1]},
        )

    def thumbnail(self, reading):
        if reading.media_type == "odd/abort":
            os.abort()
        if reading.media_type == "odd/all":
            (reading.folder / "thumbnail.webp").write_bytes(b"RIFF")
            return Thumbnail(3, 4)


class Broken:
    name = "broken"


class Vague(Odd):
    media_types = None


raise_at_import = None
"""


def install(folder: Path) -> Path:
    """The folder, which is to be on sys.path."""
    (folder / "odd_plugin.py").write_text(CODE)
    (folder / "odd_broken.py").write_text("raise RuntimeError('broken at import')\n")
    known = folder / "odd_plugin-7.dist-info"
    known.mkdir()
    (known / "METADATA").write_text("Metadata-Version: 2.1\nName: odd-plugin\nVersion: 7\n")
    (known / "entry_points.txt").write_text(
        "[headrace.processors]\nbroken = odd_broken:Any\nhalf = odd_plugin:Broken\nodd = odd_plugin:Odd\nvague = odd_plugin:Vague\n"
    )
    return folder

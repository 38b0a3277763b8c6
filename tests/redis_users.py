"""The users of deploy/redis-users.acl, on a test's server."""

from __future__ import annotations

from pathlib import Path

from tests.servers import Valkey

FILE = Path(__file__).parents[1] / "deploy/redis-users.acl"
PREFIX = "headrace:"
"""What keys and pub/sub names begin with in the file."""
PASSWORD = "a-password-of-this-test"


def rules() -> dict[str, list[str]]:
    """User -> what it may, as the file has it."""
    return {user: words for _, user, *words in map(str.split, FILE.read_text().splitlines())}


def let_in(server: Valkey, prefix: str = PREFIX) -> None:
    """Makes them, for keys that begin with `prefix`, which may be a pattern. The default user stays as it is: it is the test's own."""
    with server.client() as raw:
        for user, words in rules().items():
            if user != "default":
                raw.execute_command("ACL", "SETUSER", user, *(_under(prefix, word) for word in words), f">{PASSWORD}")


def url(server: Valkey, user: str) -> str:
    return f"redis://{user}:{PASSWORD}@127.0.0.1:{server.port}/0"


def _under(prefix: str, rule: str) -> str:
    return rule.replace(PREFIX, prefix, 1) if rule[0] in "~%&" else rule

"""Every call of docs/openapi.json with random parameters and bodies, right ones and wrong ones: no server error, and no answer that the document has not.

python -m tests.fuzz --cases 10000 --seed 1
"""

from __future__ import annotations

import argparse
import contextlib
import random
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.schemas import APIOperation
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.client import Client
from tests.stack import ROOT, Stack

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance, response_schema_conformance]
_STREAM_SECONDS = 3
"""An event stream of a channel that is open does not end: it was answered, and that is all that is asked."""


@dataclass
class Fuzz:
    """`cases` in all, over each call of the document alike. `refused` holds what was wrong, each with the request that shows it."""

    client: Client
    cases: int
    seed: int
    statuses: Counter[int] = field(default_factory=Counter)
    refused: list[str] = field(default_factory=list)

    def run(self) -> None:
        document = schemathesis.openapi.from_path(ROOT / "docs/openapi.json")
        calls = sorted((found.ok() for found in document.get_all_operations()), key=lambda call: call.method == "delete")
        things = self._things()
        each = -(-self.cases // (2 * len(calls)))
        for call in calls:
            self._call(call, GenerationMode.POSITIVE, each, things)
            try:
                self._call(call, GenerationMode.NEGATIVE, each, things)
            except Unsatisfiable:  # it has no parameter of which any value is wrong
                self._call(call, GenerationMode.POSITIVE, each, things)

    def _things(self) -> dict[str, list[str]]:
        """What is there to be named: random names alone would be refused as unknown, nearly all."""
        channel = self.client.register()
        sources = [self.client.upload(channel, f"words {number}".encode()) for number in range(10)]
        links = [self.client.wait(source)["result"]["url"].rpartition("/d/")[2] for source in sources]
        return {"source": sources, "ws_uuid": [channel], "token": links}

    def _call(self, call: APIOperation, mode: GenerationMode, count: int, things: dict[str, list[str]]) -> None:
        named = st.fixed_dictionaries({name: st.none() | st.sampled_from(values) for name, values in things.items()})

        @hypothesis.seed(self.seed)
        @settings(max_examples=count, deadline=None, database=None, suppress_health_check=list(HealthCheck), phases=[Phase.generate, Phase.shrink])
        @given(case=call.as_strategy(generation_mode=mode), named=named)
        def one(case: Case, named: dict[str, str | None]) -> None:
            for name, value in named.items():
                if value is not None and name in (case.path_parameters or {}):
                    case.path_parameters[name] = value
            self._send(case)

        try:
            one()
        except (FailureGroup, AssertionError) as error:
            self.refused.append(f"{call.label}: {error}")

    def _send(self, case: Case) -> None:
        is_stream = case.operation.path.endswith("/events")
        try:
            answer = case.call(
                base_url=self.client.base_url,
                headers=dict(self.client.http.headers.items() & {(name, self.client.http.headers[name]) for name in ("x-api-key", "x-user-id")}),
                timeout=_STREAM_SECONDS if is_stream else 75,
                allow_redirects=False,
            )
        except requests.exceptions.ConnectionError as error:
            if is_stream and "Read timed out" in str(error):
                return
            raise
        except requests.exceptions.Timeout:
            if is_stream:
                return
            raise
        self.statuses[answer.status_code] += 1
        case.validate_response(answer, checks=CHECKS)


@contextlib.contextmanager
def _stack() -> Iterator[Stack]:
    with tempfile.TemporaryDirectory(prefix="headrace-fuzz-") as folder:
        stack = Stack(Path(folder)).start()
        try:
            yield stack
        finally:
            stack.stop()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description="Calls the whole document with random parameters and bodies.")
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="as it was printed, for the same cases again")
    asked = parser.parse_args(arguments)
    print(f"fuzz: seed {asked.seed}", flush=True)
    with _stack() as stack, stack.client(f"fuzz-{uuid.uuid4()}") as client:
        fuzz = Fuzz(client, asked.cases, asked.seed)
        fuzz.run()
    for refused in fuzz.refused:
        print(refused)
    told: Any = dict(sorted(fuzz.statuses.items()))
    print(f"fuzz: {sum(fuzz.statuses.values())} answers, {len(fuzz.refused)} calls that broke a rule, by status {told}")
    return 1 if fuzz.refused else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

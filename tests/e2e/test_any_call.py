"""A short run of `make fuzz`: the document says all that the running stack answers."""

from __future__ import annotations

import uuid

from tests.fuzz import Fuzz
from tests.stack import Stack


def test_whatever_a_call_is_given_its_answer_is_one_of_the_document(stack: Stack) -> None:
    with stack.client(f"fuzz-{uuid.uuid4()}") as client:
        fuzz = Fuzz(client, cases=96, seed=20_261_128)
        fuzz.run()
    assert fuzz.refused == []
    assert sum(fuzz.statuses.values()) >= 80

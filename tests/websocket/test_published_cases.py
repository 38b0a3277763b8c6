"""The cases that are played are the published ones, all of them, to the byte."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.websocket.case import PUBLISHED
from tests.websocket.cases import CASES


def test_every_published_case_is_played_and_no_other():
    assert [case.id for case in CASES] == list(PUBLISHED)
    assert Counter(case.id.partition(".")[0] for case in CASES) == {"1": 16, "2": 11, "3": 7, "4": 10, "5": 20, "6": 145, "7": 37, "10": 1}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_it_sends_the_bytes_that_are_published_in_the_same_chunks(case):
    assert case.digest == PUBLISHED[case.id]["sends"]


def test_masks_differ():
    """Zeroes would hide a server that does not unmask."""
    assert len({bytes(part[0][2:6]) for case in CASES for part in case.parts[:1]}) > len(CASES) // 2

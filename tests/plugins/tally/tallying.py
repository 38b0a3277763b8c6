"""Counts vowels: texts with the same vowels are near. `CRASH` takes the process down, `HANG` never ends; more are below."""

import os
import time
from collections.abc import Sequence

from headrace_plugin import Chunk, Failed


class Tally:
    name = "tally"
    version = "1.0"

    def embed(self, chunks: Sequence[Chunk]) -> list[list[float]]:
        return [self._vector(" ".join((*chunk.headings, chunk.text))) for chunk in chunks]

    def _vector(self, text: str) -> list[float]:
        if text.startswith("CRASH"):
            os.abort()
        if text.startswith("HANG"):
            time.sleep(600)
        if text.startswith("GREEDY"):
            bytearray(1 << 30)
        if text.startswith("SECRET"):
            raise Failed("encrypted", "it is a secret")
        if text.startswith("NOTHING"):
            return []
        if text.startswith("SHORT"):
            return [1.0]
        if text.startswith("INFINITE"):
            return [float("inf")] * 5
        return [text.count(vowel) / len(text) for vowel in "aeiou"]

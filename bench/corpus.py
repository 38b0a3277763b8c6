"""A mixed corpus, made here: what people upload, one of each kind, from a note to a book."""

from __future__ import annotations

import json
import random

from tests.documents import pdf, zipped
from tests.office import docx, paragraph, pptx, said, shape, xlsx
from tests.pictures import encoded, picture

_LINE = "Each page has as many lines as a page of a book, and each line as many words."
_PAGE = "\n".join([_LINE] * 40)
_ROWS = "".join(f'<row r="{row}">{"".join(f"<c><v>{row * column}</v></c>" for column in range(1, 9))}</row>' for row in range(1, 301))

_KINDS: dict[str, bytes] = {
    "note.txt": b"a few words, as people write them\n" * 40,
    "letter.pdf": pdf([_PAGE] * 2),
    "report.pdf": pdf([_PAGE] * 20),
    "book.pdf": pdf([_PAGE] * 150),
    "minutes.docx": docx("".join(paragraph(_LINE) for _ in range(200))),
    "talk.pptx": pptx(*[shape(*[said(_LINE)] * 6)] * 20),
    "budget.xlsx": xlsx({"one": _ROWS, "two": _ROWS}),
    "people.csv": "".join(f"{number},A. Writer,{_LINE}\n" for number in range(500)).encode(),
    "page.html": f"<html><title>A page</title><body>{f'<h2>Part</h2><p>{_LINE}</p>' * 200}</body></html>".encode(),
    "log.json": json.dumps([{"number": number, "says": _LINE} for number in range(500)]).encode(),
    "photo.jpg": encoded("image/jpeg", picture(2000, 1500), quality=90),
    "bundle.zip": zipped({f"{number}.txt": _LINE.encode() * 20 for number in range(20)}),
}


def documents(rounds: int) -> list[tuple[str, bytes]]:
    """Name and bytes of as many of each kind, in an order that is mixed and always the same."""
    found = list(_KINDS.items()) * rounds
    random.Random(1).shuffle(found)
    return found

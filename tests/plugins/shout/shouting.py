"""Text in capital letters is shouting, and is read here. `CRASH` takes the process down, `HANG` never ends."""

import os
import time

from headrace_plugin import Extracted, Failed, Reading, Unsupported


class Shout:
    name = "shout"
    version = "1.0"
    media_types = ("text/plain",)
    priority = 10

    def process(self, reading: Reading) -> Extracted:
        text = reading.path.read_text(errors="replace")
        if not text.isupper():
            raise Unsupported
        if text.startswith("CRASH"):
            os.abort()
        if text.startswith("HANG"):
            time.sleep(600)
        if text.startswith("SECRET"):
            raise Failed("encrypted", "it is a secret")
        reading.write_page(text.capitalize())
        reading.progress(1, 1, "pages")
        return Extracted(pages=1, document={"title": text.partition("\n")[0]})

"""Numbers of a spreadsheet that are moments: which formats mean a date, and what date a count of days is."""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from typing import Final

from worker.processors.package import Element, child, local, number

_EAST_ASIAN: Final = dict.fromkeys((*range(27, 37), *range(50, 59)), "d")
_BUILT_IN: Final = _EAST_ASIAN | {
    14: "d", 15: "d", 16: "d", 17: "d", 18: "h", 19: "h", 20: "h", 21: "h", 22: "dh", 45: "m:s", 46: "[h]", 47: "m:s",
}  # fmt: skip
"""The formats that every spreadsheet has, as far as they are moments."""
_LITERAL: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[(?![hms]+\])[^\]]*\]', re.IGNORECASE)
_DATE: Final = re.compile(r"[dy]|(?<![hs:.])m+(?![:s])", re.IGNORECASE)
_CLOCK: Final = re.compile(r"[hs]", re.IGNORECASE)
_ELAPSED: Final = re.compile(r"\[[hms]+\]", re.IGNORECASE)
_EPOCHS: Final = {False: datetime(1899, 12, 30), True: datetime(1904, 1, 1)}  # noqa: DTZ001 - a spreadsheet knows no zone
_PHANTOM_DAY: Final = 60
"""29 February 1900, which never was: what comes before is one day later than it counts."""


class Serials:
    def __init__(self, styles: Element | None, *, since_1904: bool) -> None:
        self._epoch = _EPOCHS[since_1904]
        self._has_phantom = not since_1904
        codes = dict(_BUILT_IN)
        formats = child(styles, "numFmts")
        for found in formats if formats is not None else ():
            codes[number(found.get("numFmtId"))] = _LITERAL.sub("", found.get("formatCode", "").partition(";")[0])
        crossed = child(styles, "cellXfs")
        self._codes = [codes.get(number(found.get("numFmtId")), "") for found in (crossed if crossed is not None else ()) if local(found) == "xf"]

    def shown(self, value: str, style: int) -> str:
        """The number as it was written, without the noise of floating point; a moment where the style means one."""
        try:
            count = float(value)
        except ValueError:
            return value
        code = self._codes[style] if 0 <= style < len(self._codes) else ""
        if code and (moment := self._moment(count, code)):
            return moment
        if count.is_integer() and abs(count) < 1e15:
            return str(int(count))
        return f"{count:.15g}"

    def _moment(self, count: float, code: str) -> str | None:
        is_date, is_clock = bool(_DATE.search(code)), bool(_CLOCK.search(code))
        if not 0 <= count < 2_958_466:  # after 9999
            return None
        if _ELAPSED.search(code) or (count < 1 and is_clock):
            seconds = round(count * 86400)
            return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        if not is_date and not is_clock:
            return None
        days = count + 1 if self._has_phantom and count < _PHANTOM_DAY else count
        moment = self._epoch + timedelta(seconds=round(days * 86400))
        return moment.isoformat(sep=" ") if is_clock else moment.date().isoformat()

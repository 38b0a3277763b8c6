"""What the elements of HTML are to a reader: shown or hidden, in a line or a block of their own, text or what stands around it."""

from __future__ import annotations

import re
from typing import Final

VOID: Final = frozenset(["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"])
HIDDEN: Final = frozenset(
    [
        "script",
        "style",
        "template",
        "noscript",
        "svg",
        "math",
        "select",
        "button",
        "iframe",
        "object",
        "canvas",
        "audio",
        "video",
        "dialog",
        "datalist",
        "title",
    ]
)
INLINE: Final = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "center",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "label",
        "mark",
        "nobr",
        "picture",
        "q",
        "rb",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
    ]
)
HEADINGS: Final = {f"h{level}": level for level in range(1, 7)}
MANNERS: Final = (
    dict.fromkeys(("b", "strong"), "bold") | dict.fromkeys(("i", "em", "cite", "var", "dfn"), "italic") | dict.fromkeys(("code", "kbd", "samp", "tt"), "code")
)
_CELL_ENDS: Final = frozenset(("table", "tr"))
ENDS: Final = {
    "li": (frozenset(("li",)), frozenset(("ul", "ol", "menu", "table"))),
    "dt": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "dd": (frozenset(("dt", "dd")), frozenset(("dl",))),
    "tr": (frozenset(("tr", "td", "th")), frozenset(("table",))),
    "td": (frozenset(("td", "th")), _CELL_ENDS),
    "th": (frozenset(("td", "th")), _CELL_ENDS),
    "tbody": (frozenset(("tr", "td", "th", "thead", "tbody")), frozenset(("table",))),
}
"""Which open elements the start of one ends, and which others they are not looked for behind."""

_MARGINS: Final = frozenset(("nav", "aside", "footer"))
_MARGINAL_ROLES: Final = frozenset(["navigation", "banner", "contentinfo", "complementary", "search", "menu", "menubar", "toolbar", "dialog", "alert"])
_MARGINAL_NAMES: Final = re.compile(
    r"(site|page|global|main|top|bottom|left|right|nav)?[-_]?"
    r"(nav|navbar|navbox|navigation|menu|submenu|sidebar|side-bar|footer|masthead|breadcrumbs?|cookies?|consent|share|sharing|social|related|promo|advert|"
    r"advertisement|ads?|banner|pagination|pager|skip-?link|newsletter|popup|modal|toolbar|noprint|catlinks|sitesub|jump-to-nav)([-_].*)?",
    re.IGNORECASE,
)
_NEVER_MARGINAL: Final = frozenset(("html", "body", "main", "article", *HEADINGS))


def is_hidden(tag: str, says: dict[str, str]) -> bool:
    style = says.get("style", "").replace(" ", "").lower()
    return tag in HIDDEN or "hidden" in says or says.get("aria-hidden") == "true" or "display:none" in style


def is_central(tag: str, says: dict[str, str]) -> bool:
    """By the page's own word: here is what it is for."""
    return tag in {"main", "article"} or says.get("role") in {"main", "article"} or says.get("itemprop") == "articleBody"


def is_marginal(tag: str, says: dict[str, str], *, within_text: bool) -> bool:
    """By its kind, its role, or the names that authors give such things. A header within the text is a part of it."""
    if tag in _MARGINS or says.get("role") in _MARGINAL_ROLES:
        return True
    if tag == "header":
        return not within_text
    if tag in _NEVER_MARGINAL:
        return False
    return any(_MARGINAL_NAMES.fullmatch(name) for name in (*says.get("class", "").split(), says.get("id", "")))

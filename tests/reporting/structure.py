"""Reads a page as a browser would and tells what is wrong with its structure."""

from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}
OUTSIDE = ("http:", "https:", "//", "file:")
LOADING = ("src", "href", "xlink:href", "srcset", "action", "data")


class Structure(HTMLParser):
    """Collects tables and texts; `problems` names what does not close, loads something or has no description."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.problems: list[str] = []
        self.ids: list[str] = []
        self.pictures: list[str] = []
        self.plots: list[str] = []
        self.rows: list[list[str]] = []
        self._open: list[str] = []
        self._cell: list[str] | None = None
        self.feed(page)
        self.close()
        self.problems += [f"<{tag}> is not closed" for tag in self._open]
        self.problems += [f"id {name} twice" for name in set(self.ids) if self.ids.count(name) > 1]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag not in VOID:
            self._open.append(tag)
        self._look(tag, found)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = []

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._look(tag, dict(attrs))

    def handle_endtag(self, tag: str) -> None:
        if not self._open or self._open.pop() != tag:
            self.problems.append(f"</{tag}> closes something else, line {self.getpos()[0]}")
        if tag in ("td", "th") and self._cell is not None:
            self.rows[-1].append("".join(self._cell).strip())
            self._cell = None

    def handle_data(self, data: str) -> None:
        if self._cell is not None:
            self._cell.append(data)
        if self._open[-1:] == ["style"] and ("url(" in data or "@import" in data):
            self.problems.append("the style loads something")

    def _look(self, tag: str, found: dict[str, str | None]) -> None:
        if found.get("id"):
            self.ids.append(str(found["id"]))
        for name in LOADING:
            value = (found.get(name) or "").strip().lower()
            if value.startswith(OUTSIDE) or (value and not value.startswith(("data:", "#"))):
                self.problems.append(f"<{tag} {name}> loads {value[:60]}")
        if tag == "img":
            self.pictures.append(found.get("alt") or "")
            if not found.get("alt"):
                self.problems.append("<img> without alt")
        if tag == "svg":
            self.plots.append(found.get("aria-label") or "")
            if not found.get("aria-label"):
                self.problems.append("<svg> without a description")
        if tag == "script" and found.get("type") != "application/json":
            self.problems.append("a script that runs")

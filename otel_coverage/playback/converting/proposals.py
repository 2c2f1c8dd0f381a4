"""Proposes captures: values of a request that an earlier answer contained, and that the user cannot have typed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from otel_coverage.playback import templates
from otel_coverage.playback.converting.documents import parse_json
from otel_coverage.playback.converting.draft import Draft, Place
from otel_coverage.playback.pages import Page

_ID_NAME = re.compile(
    r"(?i)(?:^|[_-])(?:id|ids|uuid|guid|number|no|nr|key|ref|reference|token|revision|version)$|[a-z]I[dD]$"
)
_VERSION = re.compile(r"v\d+(?:\.\d+)*")
_MOST_LEAVES = 20_000
_LONGEST = 4096  # characters of a value


@dataclass(frozen=True, slots=True)
class Source:
    """Where an answer had a value.

    Attributes:
        draft: of whose answer.
        capture: as in a playback recording.
        name: what it was called there.
        is_id: whether its name, or its place, says that it is an id.
        is_number: whether it is a number there.
    """

    draft: Draft
    capture: Any
    name: str
    is_id: bool
    is_number: bool = False


class Proposals:
    """Walks through the requests in order, and replaces values by names that earlier requests capture."""

    def __init__(self, values: Mapping[str, str] | None = None) -> None:
        """
        Args:
            values: name → value of what is captured already.
        """
        self.names: list[str] = []
        self._sources: dict[str, Source] = {}
        self._typed: set[str] = set()
        self._pages: list[tuple[Draft, str, Page]] = []
        self._captured = {value: name for name, value in (values or {}).items()}  # value → name
        self._taken = {"run", "csrf", *(values or {})}

    def add(self, draft: Draft) -> None:
        """Replace what earlier answers contained; then remember what the request and its answer contain."""
        draft.replace(self._replaced)
        draft.replace(self._remember_typed)
        self._remember_answer(draft)

    def remember(self, draft: Draft) -> None:
        """Remember what a request and its answer contain, and replace in it only what is captured already."""
        draft.replace(self._replaced_again)
        draft.replace(self._remember_typed)
        self._remember_answer(draft)

    # -- the request

    def _replaced_again(self, value: Any, place: Place) -> Any:
        return f"${{{self._captured[str(value)]}}}" if str(value) in self._captured else value

    def _replaced(self, value: Any, place: Place) -> Any:
        prefix, text = "", str(value)
        if place.kind == "header" and place.name == "Authorization" and " " in text:
            scheme, text = text.split(" ", 1)
            prefix = scheme + " "
        if not self._may_be_captured(text, place):
            return value
        name = self._captured.get(text)
        if name is None:
            source = self._source(text, place, isinstance(value, str))
            if source is None:
                return value
            name = self._name(source)
            source.draft.captures[name] = source.capture
            self._captured[text] = name
            self.names.append(name)
            self._taken.add(name)
        elif not isinstance(value, str) and not (text in self._sources and self._sources[text].is_number):
            return value
        return f"{prefix}${{{name}}}"

    def _may_be_captured(self, text: str, place: Place) -> bool:
        if not text or len(text) > _LONGEST or any(templates.names(text)) or text in self._typed:
            return False
        if place.kind == "segment":
            return any(each.isdigit() for each in text) and not _VERSION.fullmatch(text)
        if place.kind == "header":
            return _is_specific(text) and place.name not in ("Accept", "Accept-Language", "Content-Type")
        return place.kind != "body" and (_is_specific(text) or bool(_ID_NAME.search(place.name)))

    def _source(self, text: str, place: Place, is_text: bool) -> Source | None:
        known = self._sources.get(text)
        if known is not None and (known.is_id or _is_specific(text)) and (is_text or known.is_number):
            return known
        found = None
        if is_text and place.kind == "form":
            found = self._field(text, place.name)
        if is_text and found is None:
            found = self._link(text, place)
        if found is not None:
            self._sources[text] = found
        return found

    def _field(self, text: str, name: str) -> Source | None:
        """The hidden field of a page that has that value, and no other of that name beside it."""
        for draft, _, page in reversed(self._pages):
            values = {form.fields[name] for form in page.forms if name in form.hidden}
            if values == {text}:
                return Source(draft, {"field": name}, name, is_id=True)
        return None

    def _link(self, text: str, place: Place) -> Source | None:
        """The newest page that has the value in a link or an attribute, and nothing else in such a place."""
        encoded = re.escape(quote(text, safe=""))
        if place.kind == "segment" and place.name and not any(templates.names(place.name)):
            before = [re.escape(f"/{quote(place.name)}/")]
        else:
            before = [rf"[?&;]{re.escape(quote(place.name))}=", rf"\b{re.escape(place.name)}[\"']?\s*[:=]\s*[\"']?"]
        for draft, html, _ in reversed(self._pages):
            if text not in html and quote(text, safe="") not in html:
                continue
            for each in before:
                pattern = each + r"([^/\"'?&#<>\s,;]+)"
                if re.search(each + encoded, html) and {unquote(one) for one in re.findall(pattern, html)} == {text}:
                    return Source(draft, {"regex": pattern}, _singular(place), is_id=True)
        return None

    def _remember_typed(self, value: Any, place: Place) -> Any:
        text = str(value)
        if not any(templates.names(text)) and place.kind != "header":
            self._typed.add(text)
        return value

    def _name(self, source: Source) -> str:
        base = name = re.sub(r"\W+", "_", source.name).strip("_") or "value"
        number = 2
        while name in self._taken:
            name, number = f"{base}_{number}", number + 1
        return name

    # -- the answer

    def _remember_answer(self, draft: Draft) -> None:
        first, last = draft.exchanges[0], draft.exchanges[-1]
        location = first.answer_header("location")
        segments = urlsplit(location).path.split("/")
        for number, segment in enumerate(segments):
            text = unquote(segment)
            if not any(each.isdigit() for each in text) or _VERSION.fullmatch(text):
                continue
            before = segments[number - 1] if number else ""
            if not re.fullmatch(r"[\w.~-]+", before):
                continue
            capture = {"header": "Location", "regex": f"/{re.escape(before)}/([^/?#]+)"}
            self._remember(text, Source(draft, capture, _singular(Place("segment", before)), is_id=True))
        for name, value in first.answer_headers:
            if name.startswith("x-") and _is_specific(value):
                self._remember(value, Source(draft, {"header": name}, name.removeprefix("x-"), is_id=False))
        if "json" in last.answer_type and last.answer:
            self._remember_json(draft, last.answer)
        elif "html" in last.answer_type:
            self._pages.append((draft, last.answer, Page.parse(last.answer, urlsplit(last.url).path)))

    def _remember_json(self, draft: Draft, text: str) -> None:
        try:
            document = parse_json(text)
        except ValueError:
            return
        for number, (pointer, name, value) in enumerate(_leaves(document, "", "")):
            if number >= _MOST_LEAVES:
                return
            is_number = isinstance(value, int)
            source = Source(draft, pointer, name, bool(_ID_NAME.search(name)), is_number)
            self._remember(str(value), source)

    def _remember(self, text: str, source: Source) -> None:
        if text and text not in self._typed and text not in self._captured:
            self._sources.setdefault(text, source)


def _is_specific(text: str) -> bool:
    """Whether a text is unlikely to stand in two places by chance: an id, a token, a key."""
    has_digit = any(each.isdigit() for each in text)
    return " " not in text and ((len(text) >= 8 and has_digit) or len(text) >= 24)


def _singular(place: Place) -> str:
    name = unquote(place.name)
    if place.kind == "segment":
        return f"{name.removesuffix('s')}_id"
    return name


def _leaves(value: Any, pointer: str, name: str) -> Iterator[tuple[str, str, str | int]]:
    """Texts and whole numbers of a JSON document, each with its pointer and the nearest key."""
    pairs: Sequence[tuple[str, Any]] = ()
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = [(str(number), item) for number, item in enumerate(value)]
    elif isinstance(value, str | int) and not isinstance(value, bool):
        yield pointer, name, value
    is_list = isinstance(value, list)
    for key, item in pairs:
        escaped = key.replace("~", "~0").replace("/", "~1")
        yield from _leaves(item, f"{pointer}/{escaped}", name if is_list else key)

"""Turns exchanges into a playback recording: which requests, with what of theirs, and what each answer gives."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from otel_coverage.errors import ConfigurationError
from otel_coverage.playback import jsonl, pages, templates
from otel_coverage.playback.converting import writer
from otel_coverage.playback.converting.beginning import Beginning
from otel_coverage.playback.converting.draft import Draft, File, Place, substitute
from otel_coverage.playback.converting.exchange import Exchange, Source
from otel_coverage.playback.converting.proposals import Proposals
from otel_coverage.playback.converting.rules import Rules
from otel_coverage.playback.converting.secrets import SHORTEST, Variables, is_secret
from otel_coverage.playback.pages import Page

_REDIRECTS = (301, 302, 303, 307, 308)
_ANALYTICS_COOKIE = re.compile(r"_ga|_gid|_gcl|_fbp|_pk_|_hj|_clck|_clsk|amplitude|mp_|ajs_|intercom")


@dataclass(slots=True)
class Conversion:
    """A playback recording that was made.

    Attributes:
        profile: its slug.
        file: where it is.
        requests: number of its requests.
        redirects: number of further requests that follow from redirects.
        hosts: of the application.
        left_out: rule → number of requests.
        variables: that the environment has to have when it is played.
        captures: names of values that are taken from answers.
        notes: what a person has to look at.
    """

    profile: str
    file: Path
    requests: int = 0
    redirects: int = 0
    hosts: tuple[str, ...] = ()
    left_out: dict[str, int] = field(default_factory=dict)
    variables: list[str] = field(default_factory=list)
    captures: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def convert(
    source: Source,
    out: Path,
    profile: str,
    rules: Rules,
    *,
    fresh: Sequence[str] = (),
    fields: Mapping[str, str] | None = None,
    uploads: Mapping[str, Path] | None = None,
    beginning: Beginning | None = None,
) -> Conversion:
    """Write ``recording.jsonl``, and the files that it uploads, into a folder.

    Args:
        source: the requests and answers.
        out: the folder.
        profile: the slug.
        rules: what is left out. Without hosts, the application's is that of the first page.
        fresh: values that are replaced by ``${run}``, so that each playback has its own.
        fields: form fields of requests whose body is not known.
        uploads: form field → file, for those whose content is not known.
        beginning: lines of the recording that is there, which are kept, and were played before the requests.

    Raises:
        ConfigurationError: the source cannot be read, or nothing of it is left; nothing was written.
    """
    conversion = Conversion(profile, out / "recording.jsonl")
    drafts, rules = _select(source, rules, conversion)
    conversion.hosts = rules.hosts
    kept = beginning or Beginning()
    _complete_forms(drafts, conversion, fields or {}, uploads or {}, first_line=2 + len(kept.steps))
    cookies = _replace_tokens(drafts, kept.cookies)
    if kept.run:
        _replace_fresh(drafts, kept.run)
    for value in fresh:
        if _replace_fresh(drafts, value):
            continue
        message = f"--fresh {value!r}: no request that is left has this value"
        if source.is_lasting:
            raise ConfigurationError(message)
        conversion.notes.append(message)
    proposals = Proposals(kept.values)
    for each in kept.steps:
        if each.draft is not None:
            proposals.remember(each.draft)
    for draft in drafts:
        proposals.add(draft)
    variables = Variables(kept.variables)
    cookies = {name: f"${{env:{variables.name(value, f'cookie_{name}')}}}" for name, value in cookies.items()}
    _replace_secrets(drafts, variables)
    conversion.variables = variables.names
    conversion.captures = list(proposals.names)
    conversion.requests = len(kept.steps) + len(drafts)
    conversion.redirects = sum(len(draft.exchanges) - 1 for draft in drafts)
    if cookies:
        conversion.notes.append(
            f"cookies were sent that no recorded answer had set: {', '.join(sorted(cookies))}; the recording takes "
            f"them from the environment. Better: {source.with_login}"
        )
    header: dict[str, Any] = {"recording": jsonl.VERSION, "profile": profile, "hosts": list(conversion.hosts)}
    writer.write(conversion.file, header | ({"cookies": cookies} if cookies else {}), drafts, beginning)
    return conversion


def _select(source: Source, rules: Rules, conversion: Conversion) -> tuple[list[Draft], Rules]:
    """The requests of the workflow; those that redirects led to are with the first one."""
    left_out: Counter[str] = Counter()
    drafts: list[Draft] = []
    pending: dict[tuple[str, str], Draft] = {}  # method and URL that a redirect leads to
    for exchange in source.exchanges:
        if not rules.hosts:
            is_page = exchange.kind == "document" or "html" in exchange.answer_type
            if not is_page or exchange.status <= 0 or not urlsplit(exchange.url).hostname:
                left_out["hosts"] += 1
                continue
            rules = _with_host(rules, exchange.url)
        origin = pending.pop((exchange.method, _bare(exchange.url)), None)
        if origin is not None and 0 < exchange.status < 400 and not _leads_away(exchange, rules):
            origin.exchanges.append(exchange)
            _expect(origin, exchange, pending, rules)
            continue
        if origin is not None:
            _stop_following(origin, drafts)
        reason = rules.reason(exchange)
        if reason is not None:
            left_out[reason] += 1
            continue
        drafts.append(Draft.of(exchange))
        _expect(drafts[-1], exchange, pending, rules)
    for draft in pending.values():
        _stop_following(draft, drafts)
    if not drafts:
        counts = ", ".join(f"{number} {rule}" for rule, number in left_out.most_common())
        raise ConfigurationError(
            f"{source.name}: no request is left ({counts} left out); --host names the application's, "
            "--keep keeps what a rule leaves out"
        )
    previous = None
    for draft in drafts:
        if previous is not None and draft.exchange.began:
            draft.think = max(draft.exchange.began - previous, 0.0)
        last = draft.exchanges[-1]
        previous = last.began + last.seconds if last.began else None
    conversion.left_out = dict(sorted(left_out.items()))
    return drafts, rules


def _with_host(rules: Rules, url: str) -> Rules:
    return Rules((_host(url),), rules.job_status, rules.kept, rules.with_paths, rules.without_paths)


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]


def _bare(url: str) -> str:
    return url.partition("#")[0]


def _expect(draft: Draft, exchange: Exchange, pending: dict[tuple[str, str], Draft], rules: Rules) -> None:
    """Note where a redirect leads, if it is one."""
    location = exchange.answer_header("location")
    if exchange.status not in _REDIRECTS or not location:
        return
    if _leads_away(exchange, rules):
        draft.follow = False
        return
    target = urljoin(exchange.url, location)
    if exchange is draft.exchange:
        segments = [unquote(each) for each in urlsplit(target).path.split("/")]
        draft.redirect = ["*" if any(map(str.isdigit, each)) else templates.escape(each) for each in segments]
    method = exchange.method
    if exchange.status == 303 or (exchange.status in (301, 302) and method == "POST"):
        method = "GET"
    pending[method, _bare(target)] = draft


def _leads_away(exchange: Exchange, rules: Rules) -> bool:
    """Whether it redirects to another host."""
    location = exchange.answer_header("location")
    return exchange.status in _REDIRECTS and bool(location) and not rules.is_own(urljoin(exchange.url, location))


def _stop_following(draft: Draft, drafts: list[Draft]) -> None:
    """Make requests that redirects led to steps of their own: the last of them leads where playing must not follow."""
    further = draft.exchanges[1:]
    del draft.exchanges[1:]
    draft.follow = False
    place = next(number for number, each in enumerate(drafts, 1) if each is draft)
    for exchange in reversed(further):
        drafts.insert(place, Draft.of(exchange))
        drafts[place].follow = False


def _complete_forms(
    drafts: Sequence[Draft],
    conversion: Conversion,
    fields: Mapping[str, str],
    uploads: Mapping[str, Path],
    *,
    first_line: int,
) -> None:
    """Give requests whose body is not known the fields of the page's form: HAR files lack those of forms with files."""
    forms: list[pages.Form] = []
    for number, draft in enumerate(drafts, first_line):
        if draft.lost_body:
            path = urlsplit(draft.exchange.url).path
            form = next((each for each in reversed(forms) if each.path == path), None)
            where = f"line {number}, {draft.exchange.method} {path}: {draft.exchange.lost or 'the HAR lacks the body'}"
            if draft.exchange.lost:
                conversion.notes.append(where)
            elif form is None:
                conversion.notes.append(f"{where}, and no page before it has a form for it: write it yourself")
            else:
                values = {**form.fields, **{name: fields[name] for name in form.fields if name in fields}}
                draft.form = [(templates.escape(name), templates.escape(value)) for name, value in values.items()]
                draft.is_multipart = True
                draft.files = [
                    File(name, uploads[name].name if name in uploads else f"{name}.bin") for name in form.files
                ]
                typed = [name for name in form.fields if name not in (*fields, *form.hidden)]
                if typed:
                    conversion.notes.append(
                        f"{where}; its fields are those of the page, with what the page had in them: "
                        f"correct {', '.join(typed)}, or convert with --field {typed[0]}=…"
                    )
        for file in draft.files:
            if file.field in uploads and file.content is None:
                file.content = uploads[file.field].read_bytes()
            if file.name is not None and file.content is None:
                conversion.notes.append(
                    f"line {number}: the HAR lacks the file of {file.field!r}: put it where the line says, or convert "
                    f"with --upload {file.field}=FILE"
                )
        last = draft.exchanges[-1]
        if "html" in last.answer_type:
            forms += Page.parse(last.answer, urlsplit(last.url).path).forms[1:]


def _replace_tokens(drafts: Sequence[Draft], cookies: Collection[str]) -> dict[str, str]:
    """Replace CSRF tokens. Returns the cookies that were sent, that no answer had set, and that are not given."""
    known = set(cookies)
    unknown: dict[str, str] = {}
    for draft in drafts:
        sent = dict(_cookies(draft.exchange))

        def replaced(value: Any, place: Place, sent: Mapping[str, str] = sent) -> Any:
            is_token = pages.is_token_header(place.name) if place.kind == "header" else pages.is_token_field(place.name)
            if not is_token or not isinstance(value, str) or place.kind in ("segment", "body"):
                return value
            cookie = next((name for name, each in sent.items() if value and unquote(each) == unquote(value)), None)
            return "${csrf}" if cookie is None else f"${{cookie:{cookie}}}"

        draft.replace(replaced)
        for name, value in sent.items():
            if name not in known and not _ANALYTICS_COOKIE.match(name):
                unknown.setdefault(name, value)
        for exchange in draft.exchanges:
            for header, value in exchange.answer_headers:
                if header == "set-cookie":
                    known |= {line.partition("=")[0].strip() for line in value.split("\n")}
        known |= sent.keys()
    return unknown


def _cookies(exchange: Exchange) -> Iterable[tuple[str, str]]:
    for pair in exchange.header("cookie").split(";"):
        name, _, value = pair.strip().partition("=")
        if name:
            yield name, value


def _replace_fresh(drafts: Sequence[Draft], value: str) -> bool:
    """Replace a value everywhere, in URLs and redirect targets, too. Returns whether any request had it."""
    local, at, domain = value.partition("@")
    placeholder = "${run}" + (at + domain if at and local else "")
    escaped = templates.escape(value)
    found = False

    def replaced(text: Any, place: Place) -> Any:
        nonlocal found
        if not isinstance(text, str):
            return text
        changed = substitute(text, escaped, placeholder)
        found |= changed != text
        return changed

    for draft in drafts:
        draft.replace(replaced)
        if draft.redirect is not None:
            segments = [unquote(each) for each in urlsplit(draft.exchange.answer_header("location")).path.split("/")]
            if len(segments) == len(draft.redirect):
                draft.redirect = [
                    substitute(templates.escape(segment), escaped, placeholder) if value in segment else each
                    for each, segment in zip(draft.redirect, segments, strict=True)
                ]
    return found


def _replace_secrets(drafts: Sequence[Draft], variables: Variables) -> None:
    """Replace secrets by variables: where their field says so, then wherever else they are."""

    def named(value: Any, place: Place) -> Any:
        text = str(value)
        if place.kind in ("segment", "body") or not text or any(templates.names(text)):
            return value
        if not is_secret(place.name, in_query=place.kind == "query"):
            return value
        scheme, space, rest = text.partition(" ")
        if place.kind == "header" and space and scheme.isalpha():
            return f"{scheme} ${{env:{variables.name(rest, place.name)}}}"
        return f"${{env:{variables.name(text, place.name)}}}"

    for draft in drafts:
        draft.replace(named)
    for secret, name in variables:
        if len(secret) < SHORTEST:
            continue

        def replaced(value: Any, place: Place, secret: str = secret, name: str = name) -> Any:
            return substitute(value, secret, f"${{env:{name}}}") if isinstance(value, str) else value

        for draft in drafts:
            draft.replace(replaced)
            if draft.redirect is not None:
                draft.redirect = [replaced(each, Place("segment", "")) for each in draft.redirect]

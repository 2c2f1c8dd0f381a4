"""What a change concerns, for people: tables for a terminal, Markdown for a pull request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from urllib.parse import quote

from otel_coverage.impact.impact import Found
from otel_coverage.printable import counted, printable
from otel_coverage.source import encodable
from otel_coverage.store import Result
from otel_coverage.store.formats import as_markdown, markdown
from otel_coverage.store.table import as_table

_SHOWN = 20  # rows of a table
_REASONS = 2  # of one profile

_Table = tuple[tuple[str, ...], list[tuple[object, ...]]]


def tables(found: Found, width: int | None, *, everything: bool = False) -> str:
    """The sentences and tables for a terminal.

    Args:
        found: what to show.
        width: of the terminal; None for as wide as the tables are.
        everything: all rows and reasons.
    """
    parts = ["".join(f"{printable(sentence)}\n" for sentence in sentences(found))]
    for columns, rows in _tables(found, everything):
        shown = rows if everything else rows[:_SHOWN]
        more = f"{len(rows) - len(shown)} more: --all shows them\n" if len(rows) > len(shown) else ""
        parts.append(as_table(Result(columns, list(shown)), width) + more)
    return "\n".join(parts)


def as_comment(found: Found, page_url: str = "") -> str:
    """The same in Markdown.

    Args:
        found: what to show.
        page_url: of a report's ``index.html``, whose views of the profiles are linked; empty for none.
    """
    parts = ["### Profiles to replay\n", "".join(f"{markdown(sentence)}\n" for sentence in sentences(found))]
    if page_url and found.impact.selected:
        parts.append(_links([*found.impact.selected], page_url))
    for columns, rows in _tables(found, everything=False):
        more = f"\n{len(rows) - _SHOWN} more\n" if len(rows) > _SHOWN else ""
        parts.append(as_markdown(Result(columns, rows[:_SHOWN])) + more)
    return "\n".join(parts)


def _links(profiles: Sequence[str], page_url: str) -> str:
    shown = [f"[{markdown(name)}]({page_url}#/profile/{quote(name, safe='')})" for name in profiles[:_SHOWN]]
    more = f" and {len(profiles) - len(shown)} more" if len(profiles) > len(shown) else ""
    return f"What they execute, as of the last night: {', '.join(shown)}{more}.\n"


def sentences(found: Found) -> Iterator[str]:
    """How many profiles are to be replayed of how many, for which change."""
    impact = found.impact
    since = found.merge_base[:12]
    if not impact.files:
        yield f"Nothing differs from {since}: no profile is to be replayed."
        return
    files = (
        f"{impact.files} file{'' if impact.files == 1 else 's'} differ{'s' if impact.files == 1 else ''} from {since}"
    )
    if len(impact.inert) == impact.files:
        yield f"{files}, in nothing that the interpreter sees or a profile reads: no profile is to be replayed."
        return
    inert = f", {len(impact.inert)} of them in nothing that matters" if impact.inert else ""
    yield f"{files}{inert}. Replay {len(impact.selected)} of {len(impact.profiles)} profiles."
    if impact.not_reached:
        count = len(impact.not_reached)
        yield f"{counted(count, 'changed function')} that no profile is known to reach."


def _tables(found: Found, everything: bool) -> Iterator[_Table]:
    impact = found.impact
    every = [reason for reason in impact.reasons if reason.everyone]
    if every:
        rows: list[tuple[object, ...]] = [(encodable(reason.detail),) for reason in every]
        yield ("why all profiles",), rows
    others = {
        name: own
        for name, reasons in impact.selected.items()
        if (own := [each for each in reasons if not each.everyone])
    }
    if others and not (every and not everything):
        yield (
            ("profile", "why"),
            [(name, _few([each.detail for each in own], everything)) for name, own in others.items()],
        )
    if impact.not_reached:
        yield (
            ("function that no profile reaches", "change", "where"),
            [(each.symbol, each.change, f"{encodable(each.file)}:{each.line}") for each in impact.not_reached],
        )
    if impact.entry_points:
        yield (
            ("entry point that is touched", "service", "kind"),
            [(name, service, kind) for service, kind, name in impact.entry_points],
        )


def _few(details: Sequence[str], everything: bool) -> str:
    shown = details if everything else details[:_REASONS]
    more = len(details) - len(shown)
    return "; ".join(map(encodable, shown)) + (f"; and {more} more" if more else "")

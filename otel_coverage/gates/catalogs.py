"""Whether a catalog fits the source tree and what was executed, as a check."""

from __future__ import annotations

from collections.abc import Iterator

from otel_coverage.catalog.check import Check as CatalogCheck
from otel_coverage.gates.outcome import FAILED, PASSED, Check, Finding
from otel_coverage.gates.places import places
from otel_coverage.printable import counted
from otel_coverage.source import SourceTree


def check_of(checked: CatalogCheck, tree: SourceTree) -> Check:
    """The outcome of ``catalog check`` as a check: each difference is a finding, at its file and line.

    Args:
        checked: the outcome.
        tree: says where the files of the catalog lie.
    """
    verdict = PASSED if checked.fits else FAILED
    figures = {
        "symbols": checked.symbols,
        "executed": checked.executed,
        "drift": len(checked.drift),
        "unknown": len(checked.unknown),
    }
    return Check(f"catalog {checked.catalog}", verdict, _rest(checked), tuple(_findings(checked, tree)), figures)


def sentence(checked: CatalogCheck) -> str:
    """The outcome in a sentence."""
    return f"{checked.catalog}: {_rest(checked)}"


def _rest(checked: CatalogCheck) -> str:
    held = counted(checked.symbols, "symbol")
    if checked.executed is not None:
        held += f"; {counted(checked.executed, 'function')} executed at revision {checked.revision}"
    if checked.fits:
        known = "" if checked.executed is None else ", each of which it has"
        return f"{held}{known}; fits the source tree"
    drifted = f"differs from the source tree in {counted(len(checked.drift), 'place')}" if checked.drift else ""
    unknown = f"lacks {counted(len(checked.unknown), 'executed function')}" if checked.unknown else ""
    return f"{held}; the catalog {' and '.join(filter(None, [drifted, unknown]))}"


def _findings(checked: CatalogCheck, tree: SourceTree) -> Iterator[Finding]:
    known = dict(places(tree)) if not checked.fits else {}
    for each in checked.drift:
        detail = f": {each.detail}" if each.detail else ""
        where = known.get(each.file, each.file)
        yield Finding(f"{each.name}: {each.change}{detail}", "Catalog", where, each.line)
    for found in checked.unknown:
        who = ", ".join(found.executed.profiles)
        text = (
            f"{found.executed.symbol.id}, which {who} executed, is not in the catalog: {found.reason}: {found.detail}"
        )
        yield Finding(text, "Executed, not in the catalog")

"""What the clients' journal says, compared with the rows of ``otel_traces``, span by span."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from tests.faults.deployment import Deployment

_SPANS = """
SELECT TraceId, SpanId, ParentSpanId, SpanAttributes, count() AS times, uniqExact(SpanAttributes) AS contents
FROM otel_traces
WHERE SpanAttributes['playback.profile'] != ''
GROUP BY TraceId, SpanId, ParentSpanId, SpanAttributes
"""
_FUNCTIONS = """
SELECT DISTINCT profile, format('{}:{}@{}', module, qualname, toString(line))
FROM coverage_functions
WHERE run = {run:String}
"""
_COUNTED_TWICE = """
SELECT trace, span, count() AS times FROM run_completeness WHERE arrived GROUP BY trace, span HAVING times > 1
"""


@dataclass(frozen=True)
class Work:
    """A request or a job that the journals know of.

    Attributes:
        kind: ``request`` or ``job``.
        id: what tells it from all others.
        profile: that it belongs to.
        run: that it belongs to.
        parts: the numbers of the parts that it executes.
        outcome: ``answered``, ``failed`` or, where the application never had it, ``unheard``; of a job ``enqueued``,
            ``begun`` or ``done``.
        status: of the response; 0 where there is none.
    """

    kind: str
    id: str
    profile: str
    run: str
    parts: frozenset[int]
    outcome: str
    status: int = 0


@dataclass
class Comparison:
    """The result.

    Attributes:
        works: everything in the journals.
        whole: what is there with all of its functions.
        short: what is there without some of them.
        absent: what is not there.
        underived: run and profile → functions that raw spans have and the tables lack.
        roles: the number of spans of each role in the store.
        repeated: ids of spans with more than one row.
        marked: run and profile → the reasons that ``verify`` names.
        repeated_in_views: ids of requests and jobs that the views list more than once.
    """

    works: list[Work] = field(default_factory=list)
    whole: list[Work] = field(default_factory=list)
    short: list[Work] = field(default_factory=list)
    absent: list[Work] = field(default_factory=list)
    underived: dict[tuple[str, str], set[str]] = field(default_factory=dict)
    roles: Counter[str] = field(default_factory=Counter)
    repeated: list[str] = field(default_factory=list)
    marked: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    repeated_in_views: list[str] = field(default_factory=list)

    @property
    def lost(self) -> list[Work]:
        """What was begun, and is not or not wholly there."""
        return self.short + [work for work in self.absent if work.outcome != "unheard"]

    @property
    def unmarked(self) -> list[Work]:
        """What was lost in a profile of a run that is said to be complete."""
        return [work for work in self.lost if (work.run, work.profile) not in self.marked]

    @property
    def unmarked_in_tables(self) -> dict[tuple[str, str], set[str]]:
        """What the tables lack of a profile of a run that is said to be complete."""
        return {key: functions for key, functions in self.underived.items() if key not in self.marked}

    @property
    def false_alarms(self) -> dict[tuple[str, str], list[str]]:
        """Profiles that are marked though nothing of them was lost."""
        lost = {(work.run, work.profile) for work in self.lost} | self.underived.keys()
        return {key: reasons for key, reasons in self.marked.items() if key not in lost}

    @property
    def errors(self) -> list[Work]:
        """Requests that the application answered with an error."""
        return [work for work in self.works if work.status >= 500]

    @property
    def unanswered(self) -> list[Work]:
        """Requests without an answer."""
        return [work for work in self.works if work.outcome in ("failed", "unheard")]

    def summary(self) -> str:
        """The figures in one line."""
        reasons = Counter(reason for found in self.marked.values() for reason in set(found))
        return (
            f"{len(self.works)} requests and jobs: {len(self.whole)} whole, {len(self.short)} short, "
            f"{len(self.absent)} absent, {len(self.underived)} profiles short in the tables; "
            f"not marked {len(self.unmarked)} and {len(self.unmarked_in_tables)}, repeated {len(self.repeated)} "
            f"(in views {len(self.repeated_in_views)}), application errors {len(self.errors)}, "
            f"unanswered {len(self.unanswered)}; "
            f"marked {len(self.marked)} profiles {dict(reasons)}, of them without a loss {len(self.false_alarms)}; "
            f"spans {dict(sorted(self.roles.items()))}"
        )

    def check(self, *, is_killed: bool = False) -> None:
        """Fail where something was lost and not marked, counted twice, or where the application failed.

        Args:
            is_killed: whether requests may have failed, as their process was killed.
        """
        assert self.works, "the journal is empty"
        assert not self.unmarked, f"lost and not marked: {self.unmarked[:5]}; {self.summary()}"
        assert not self.unmarked_in_tables, f"tables short and not marked: {self.unmarked_in_tables}; {self.summary()}"
        assert not self.repeated, f"stored twice: {self.repeated[:5]}; {self.summary()}"
        assert not self.repeated_in_views, f"counted twice: {self.repeated_in_views[:5]}; {self.summary()}"
        assert is_killed or not self.unanswered, f"no answer: {self.unanswered[:5]}; {self.summary()}"
        assert not self.errors, f"application errors: {self.errors[:5]}; {self.summary()}"


def compare(deployment: Deployment, runs: Iterable[str]) -> Comparison:
    """Compare what the journals say of these runs with what the store holds."""
    wanted = set(runs)
    found = Comparison(works=[work for work in works_of(deployment) if work.run in wanted])
    executed = _executed(deployment, found)
    for work in found.works:
        parts = executed.get(work.id)
        if parts is None:
            found.absent.append(work)
        elif work.parts <= parts:
            found.whole.append(work)
        else:
            found.short.append(work)
    for (run, profile), functions in _functions_of(deployment).items():
        if run in wanted:
            rows = deployment.query(_FUNCTIONS, {"run": run}).rows
            missing = functions - {symbol for of, symbol in rows if of == profile}
            if missing:
                found.underived[run, profile] = missing
    with ThreadPoolExecutor(2) as pool:
        for run, findings in zip(wanted, pool.map(deployment.verify, wanted), strict=True):
            for finding in findings:
                found.marked.setdefault((run, finding["profile"]), []).append(finding["reason"])
    found.repeated_in_views = [f"{trace}/{span}" for trace, span, _ in deployment.query(_COUNTED_TWICE).rows]
    return found


def works_of(deployment: Deployment) -> list[Work]:
    """All requests and jobs in the journals."""
    sent: dict[str, dict[str, Any]] = {}
    outcomes: dict[str, tuple[str, int]] = {}
    for line in deployment.requests():
        if line["event"] == "sent":
            sent[line["id"]] = line
        else:
            outcomes[line["id"]] = (line["event"], line.get("status", 0))
    begun = {line["id"]: line["event"] for line in deployment.begun()}
    works = []
    for id_, line in sent.items():
        _, action, numbers, *_rest = line["path"].split("/")
        parts = frozenset(map(int, numbers.split("-")))
        outcome, status = outcomes.get(id_, ("failed", 0))
        if outcome == "failed" and id_ not in begun:
            outcome = "unheard"
        is_job = action == "enqueue"
        works.append(
            Work("request", id_, line["profile"], line["run"], frozenset() if is_job else parts, outcome, status)
        )
        job = f"job-{id_}"
        if is_job and (job in begun or status == 202):
            works.append(Work("job", job, line["profile"], line["run"], parts, begun.get(job, "enqueued")))
    return works


def _executed(deployment: Deployment, found: Comparison) -> Mapping[str, set[int]]:
    """Request or job → the parts that raw spans say it executed."""
    ids: dict[str, str] = {}  # span → request or job
    parts: dict[str, set[int]] = defaultdict(set)
    rows = deployment.query(_SPANS).rows
    times: Counter[str] = Counter()
    for trace, span, _parent, attributes, count, _contents in rows:
        times[f"{trace}/{span}"] += count
        found.roles[attributes.get("coverage.role", "none")] += 1
        if attributes.get("coverage.role") in ("server", "consumer"):
            target = attributes.get("http.target") or attributes.get("url.path") or ""
            path = target.partition("?")[0]
            ids[f"{trace}/{span}"] = attributes.get("messaging.message.id") or path.rpartition("/")[2]
    for trace, span, parent, attributes, _count, _contents in rows:
        entry = f"{trace}/{span}" if f"{trace}/{span}" in ids else f"{trace}/{parent}"
        if entry not in ids:
            continue
        of_entry = parts[ids[entry]]
        for symbol in json.loads(attributes.get("coverage.functions", "[]")):
            module, _, name = symbol.partition("@")[0].partition(":")
            if module == "desk.parts" and name.startswith("part_"):
                of_entry.add(int(name.removeprefix("part_")))
    found.repeated = [key for key, number in times.items() if number > 1]
    return parts


def _functions_of(deployment: Deployment) -> Mapping[tuple[str, str], set[str]]:
    """Run and profile → the functions of all raw spans."""
    functions: dict[tuple[str, str], set[str]] = defaultdict(set)
    for _trace, _span, _parent, attributes, _count, _contents in deployment.query(_SPANS).rows:
        if "coverage.functions" in attributes:
            key = (attributes.get("playback.run_id", ""), attributes["playback.profile"])
            functions[key] |= set(json.loads(attributes["coverage.functions"]))
    return functions

/** What changed since the baseline: functions, code, entry points and profiles. */
import { useMemo } from "preact/hooks";
import type { Baseline, Changes, EntryPointChange, FunctionChange, ProfileChange } from "../data/changes";
import type { Model } from "../data/model";
import { href, route } from "../state/route";
import { useModel } from "../ui/context";
import { count, plural, ranges, shortRevision, time } from "../ui/format";
import { Badge, Card, Empty, EntryName, ProfileLink, SymbolLink, Tile } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { entryHref } from "./entries";

const PARTS = { functions: "Functions", code: "New and changed code", entries: "Entry points", profiles: "Profiles" };

export function ChangesView() {
  const model = useModel();
  const { baseline } = model.head;
  if (!baseline || !model.changes)
    return <Empty>This report was made without a baseline: otel-coverage report --baseline previous.</Empty>;
  const part = route.value.settings.get("part") ?? "functions";
  return (
    <>
      <div class="title">
        <h1>
          Since <span class="mono">{shortRevision(baseline.revision)}</span>
        </h1>
        <p class="dim">
          Compared with {baseline.selection.runs ? `runs ${baseline.selection.runs.join(", ")} of ` : ""}
          {shortRevision(baseline.revision)}, newest span {time(baseline.newest_span)}. Functions are the same where
          module and name are; lines are compared where the text is unchanged.
        </p>
      </div>
      <Doubts baseline={baseline} />
      <ChangeTiles baseline={baseline} />
      <nav class="segments parts-of-changes" aria-label="Parts">
        {Object.entries(PARTS).map(([key, title]) => (
          <a
            key={key}
            href={href("changes", [], key === "functions" ? {} : { part: key })}
            aria-current={part === key ? "page" : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
      {part === "code" ? (
        <CodeTable changes={model.changes} />
      ) : part === "entries" ? (
        <EntriesTable changes={model.changes} />
      ) : part === "profiles" ? (
        <ProfilesTable changes={model.changes} />
      ) : (
        <FunctionsTable changes={model.changes} />
      )}
    </>
  );
}

function Doubts({ baseline }: { baseline: Baseline }) {
  const { head } = useModel();
  const reasons = [
    !head.complete && "Coverage of this report is missing, so what seems lost may have been executed.",
    !baseline.complete && "Coverage of the baseline is missing, so what seems gained may have been executed before.",
    !baseline.catalog && "One of the two revisions has no catalog: what became of the code, and of lines, is unknown.",
  ].filter(Boolean);
  if (!reasons.length) return null;
  return (
    <section class="banner banner-warn">
      <ul>
        {reasons.map((reason) => (
          <li key={String(reason)}>{reason}</li>
        ))}
      </ul>
    </section>
  );
}

/** Gained and lost, as +3 −2; a question mark where it is unknown. */
export function Delta({ gained, lost }: { gained: number | null | undefined; lost: number | null | undefined }) {
  return (
    <span class="delta">
      <span class={gained ? "change" : "dim"}>+{gained == null ? "?" : count(gained)}</span>{" "}
      <span class={lost ? "change down" : "dim"}>−{lost == null ? "?" : count(lost)}</span>
    </span>
  );
}

export function ChangeTiles({ baseline }: { baseline: Baseline }) {
  const { counts } = baseline;
  const doubt = useModel().head.complete ? "" : ", not certain";
  const unknown = (value: number | null | undefined) => (value ? `, ${count(value)} unknown` : "");
  const tile = (label: string, key: string, to: string, note = "") => (
    <Tile
      label={label}
      value={<Delta gained={counts[`${key}_gained`]} lost={counts[`${key}_lost`]} />}
      note={`gained and lost${note}${unknown(counts[`${key}_unknown`])}`}
      to={to}
    />
  );
  const removed = counts.functions_lost_removed;
  return (
    <div class="tiles">
      {tile("Functions", "functions", href("changes"), removed ? ` (${count(removed)} removed)` : "")}
      {tile("Lines", "lines", href("changes"), " in unchanged functions")}
      {tile("Entry points", "entry_points", href("changes", [], { part: "entries" }))}
      <Tile
        label="New, not run"
        value={count(counts.new_not_run)}
        note={`of ${sum(counts.new_not_run, counts.new_run)} functions${counts.new_not_run ? doubt : ""}`}
        to={href("changes", [], { part: "code" })}
      />
      <Tile
        label="Changed, not run"
        value={count(counts.changed_not_run)}
        note={`of ${sum(counts.changed_not_run, counts.changed_run)} functions${counts.changed_not_run ? doubt : ""}`}
        to={href("changes", [], { part: "code" })}
      />
    </div>
  );
}

function sum(a: number | null | undefined, b: number | null | undefined): string {
  return a == null || b == null ? "an unknown number of" : count(a + b);
}

/** What became of something that profiles execute. */
export function ChangeBadge({ change, certain }: { change: string; certain: boolean }) {
  if (!change) return <span class="dim">–</span>;
  if (!certain) return <Badge kind="quiet">{change}?</Badge>;
  return change === "lost" ? <Badge kind="warn">lost</Badge> : <Badge kind="good">gained</Badge>;
}

interface FunctionRow {
  symbol: number;
  id: string;
  code: string;
  change: string;
  certain: boolean;
  by: FunctionChange | null;
}

/** What became of functions that other profiles execute than before, those that were lost first. */
export function functionRows(model: Model, changes: Changes): FunctionRow[] {
  const rows: FunctionRow[] = changes.block.gone.map(([id, code, certain]) => {
    return { symbol: -1, id, code, change: "lost", certain, by: null };
  });
  for (const [symbol] of changes.block.functions) {
    rows.push({
      symbol,
      id: model.id(symbol),
      code: changes.code(symbol) || "unknown",
      change: changes.change(symbol),
      certain: changes.isCertain(symbol),
      by: changes.of(symbol),
    });
  }
  const rank = (row: FunctionRow) => (row.change === "lost" ? 0 : row.change ? 2 : 3) + (row.certain ? 0 : 1);
  return rows.sort((a, b) => rank(a) - rank(b) || (a.id < b.id ? -1 : 1));
}

function FunctionsTable({ changes }: { changes: Changes }) {
  const model = useModel();
  const rows = useMemo(() => functionRows(model, changes), [model, changes]);
  const sets = model.sets;
  const columns: Column<FunctionRow>[] = [
    {
      key: "function",
      title: "Function",
      value: (row) => row.id,
      show: (row) =>
        row.symbol >= 0 ? (
          <SymbolLink symbol={row.symbol} />
        ) : (
          <span class="symbol" title={row.id}>
            <bdi>{row.id}</bdi>
          </span>
        ),
      width: "minmax(12rem, 4fr)",
      narrow: "minmax(0, 1fr)",
    },
    {
      key: "change",
      title: "All profiles",
      value: (row) => (row.change ? row.change + (row.certain ? "" : "?") : ""),
      show: (row) => <ChangeBadge change={row.change} certain={row.certain} />,
      width: "7.5rem",
      narrow: "6.5rem",
      hint: "Whether some profile executes it and none did, or the other way round; ? where coverage is missing",
    },
    { key: "code", title: "Code", value: (row) => row.code, width: "7rem", hide: 2 },
    {
      key: "profiles",
      title: "Profiles",
      value: (row) => (row.by ? sets.size(row.by.gainedBy) - sets.size(row.by.lostBy) : null),
      show: (row) =>
        row.by ? <Delta gained={sets.size(row.by.gainedBy)} lost={sets.size(row.by.lostBy)} /> : <span>–</span>,
      width: "6.5rem",
      align: "end",
      hide: 1,
      hint: "How many profiles gained and lost it",
    },
    {
      key: "lines_gained",
      title: "Lines gained",
      value: (row) => (row.by ? ranges(row.by.linesGained) : ""),
      width: "minmax(5rem, 1fr)",
      hide: 1,
    },
    {
      key: "lines_lost",
      title: "Lines lost",
      value: (row) => (row.by ? ranges(row.by.linesLost) : ""),
      width: "minmax(5rem, 1fr)",
      hide: 2,
    },
  ];
  return (
    <Table
      id="functions"
      label="Functions"
      rows={rows}
      columns={columns}
      rowKey={(row) => row.id}
      text={(row) => `${row.id} ${row.change} ${row.code}`}
      empty="None: every profile executes what it executed."
    />
  );
}

function CodeTable({ changes }: { changes: Changes }) {
  const model = useModel();
  const rows = useMemo(() => {
    const found: number[] = [];
    for (let symbol = 0; symbol < model.count; symbol++) {
      const code = changes.code(symbol);
      if (code === "new" || code === "changed") found.push(symbol);
    }
    const rank = (symbol: number) => (model.isRun(symbol) ? 1 : 0);
    return found.sort((a, b) => rank(a) - rank(b) || a - b);
  }, [model, changes]);
  const columns: Column<number>[] = [
    {
      key: "function",
      title: "Function",
      value: (symbol) => model.id(symbol),
      show: (symbol) => <SymbolLink symbol={symbol} />,
      width: "minmax(12rem, 4fr)",
      narrow: "minmax(0, 1fr)",
    },
    { key: "code", title: "Code", value: (symbol) => changes.code(symbol), width: "6.5rem", narrow: "5.5rem" },
    {
      key: "run",
      title: "Run",
      value: (symbol) => model.isRun(symbol),
      show: (symbol) =>
        model.isRun(symbol) ? (
          <Badge kind="good">run</Badge>
        ) : (
          <Badge kind={model.isAtStartup(symbol) || !model.head.complete ? "quiet" : "warn"}>
            {model.isAtStartup(symbol) ? "at start only" : model.head.complete ? "not run" : "not run?"}
          </Badge>
        ),
      width: "8rem",
      narrow: "6.5rem",
    },
    {
      key: "lines_run",
      title: "Lines run",
      value: (symbol) => model.linesRun[symbol] as number,
      show: (symbol) => (
        <span class="figure">
          {count(model.linesRun[symbol])} <span class="dim">/ {count(model.lines[symbol])}</span>
        </span>
      ),
      width: "6.5rem",
      align: "end",
      hide: 2,
    },
    {
      key: "file",
      title: "File",
      value: (symbol) => `${model.fileOf(symbol)}:${model.line[symbol]}`,
      width: "minmax(8rem, 3fr)",
      hide: 1,
    },
  ];
  return (
    <Table
      id="code"
      label="New and changed code"
      rows={rows}
      columns={columns}
      rowKey={(symbol) => symbol}
      text={(symbol) => `${model.id(symbol)} ${changes.code(symbol)}`}
      empty={model.head.baseline?.catalog ? "None." : "Unknown: one of the two revisions has no catalog."}
    />
  );
}

function EntriesTable({ changes }: { changes: Changes }) {
  const model = useModel();
  const { sets } = model;
  const rows = useMemo(() => {
    // what is lost, what is new and not reached, and what is gained come first
    const rank = (row: EntryPointChange) => (row.change === "lost" ? 0 : row.change ? 2 : row.is_new ? 1 : 3);
    return [...changes.block.entry_points].sort((a, b) => rank(a) - rank(b)); // else by service, kind and name
  }, [changes]);
  const said = (row: EntryPointChange) => (row.change ? row.change : row.is_new ? "new, not reached" : "");
  const columns: Column<EntryPointChange>[] = [
    {
      key: "entry_point",
      title: "Entry point",
      value: (row) => row.name,
      show: (row) => {
        return model.entry(row.service, row.kind, row.name) >= 0 ? (
          <a class="name mono" href={entryHref(row)}>
            <EntryName name={row.name} />
          </a>
        ) : (
          <span class="mono cut" title={row.name}>
            <EntryName name={row.name} />
          </span>
        );
      },
      width: "minmax(12rem, 4fr)",
      narrow: "minmax(0, 1fr)",
    },
    { key: "service", title: "Service", value: (row) => row.service, width: "7rem", hide: 2 },
    {
      key: "change",
      title: "All profiles",
      value: said,
      show: (row) =>
        row.change || !row.is_new ? (
          <ChangeBadge change={row.change} certain={row.certain} />
        ) : (
          <Badge kind="warn">new, not reached</Badge>
        ),
      width: "10.5rem",
      narrow: "9rem",
    },
    {
      key: "exists",
      title: "There",
      value: (row) => (row.exists == null ? "unknown" : row.exists ? "yes" : "no"),
      width: "6rem",
      hide: 1,
      hint: "Whether the application still has it, by its URL map",
    },
    {
      key: "profiles",
      title: "Profiles",
      value: (row) => sets.size(row.who[0]) - sets.size(row.who[1]),
      show: (row) => <Delta gained={sets.size(row.who[0])} lost={sets.size(row.who[1])} />,
      width: "6.5rem",
      align: "end",
      hide: 2,
    },
  ];
  return (
    <Table
      id="entries"
      label="Entry points"
      rows={rows}
      columns={columns}
      rowKey={(row) => `${row.service} ${row.kind} ${row.name}`}
      text={(row) => `${row.name} ${row.service} ${said(row)}`}
      empty="None: every profile reaches what it reached."
    />
  );
}

function ProfilesTable({ changes }: { changes: Changes }) {
  const model = useModel();
  const figure = (
    key: "functions_gained" | "functions_lost" | "lines_gained" | "lines_lost" | "functions_unknown",
    title: string,
    hide: 1 | 2 | undefined,
  ): Column<ProfileChange> => ({
    key,
    title,
    value: (row) => row[key],
    show: (row) => <span class={row[key] ? "" : "dim"}>{count(row[key])}</span>,
    width: "6.5rem",
    narrow: "4rem",
    align: "end",
    ...(hide && { hide }),
  });
  const columns: Column<ProfileChange>[] = [
    {
      key: "profile",
      title: "Profile",
      value: (row) => row.profile,
      show: (row) => {
        const number = model.profile(row.profile);
        return number >= 0 ? <ProfileLink number={number} /> : <span class="cut">{row.profile}</span>;
      },
      width: "minmax(10rem, 3fr)",
      narrow: "minmax(0, 1fr)",
    },
    {
      key: "status",
      title: "Compared",
      value: (row) => (row.status === "compared" ? (row.reason ? "in part" : "whole") : row.status),
      show: (row) => (
        <span class="cut" title={row.reason}>
          {row.status === "compared" ? row.reason ? <Badge kind="warn">in part</Badge> : "whole" : row.status}
        </span>
      ),
      width: "7rem",
      narrow: "5.5rem",
      hint: "In part where coverage is missing: then a dash stands for what is unknown",
    },
    figure("functions_gained", "Gained", undefined),
    figure("functions_lost", "Lost", undefined),
    figure("functions_unknown", "Unknown", 2),
    figure("lines_gained", "Lines +", 1),
    figure("lines_lost", "Lines −", 1),
  ];
  return (
    <Table
      id="profiles"
      label="Profiles"
      rows={changes.block.profiles}
      columns={columns}
      rowKey={(row) => row.profile}
      text={(row) => `${row.profile} ${row.status}`}
    />
  );
}

/** What became of one function, for its own view. */
export function FunctionChanges({ symbol }: { symbol: number }) {
  const model = useModel();
  const { changes } = model;
  const { baseline } = model.head;
  if (!changes || !baseline) return null;
  const code = changes.code(symbol);
  const change = changes.change(symbol);
  const by = changes.of(symbol);
  if (!by && (code === "" || code === "unchanged")) return null;
  const who = (title: string, set: number) =>
    set > 0 && (
      <li>
        <span>{title}</span>
        <span class="list-end wrap">
          {model.sets
            .members(set)
            .slice(0, 8)
            .map((number) => (
              <ProfileLink number={number} key={number} />
            ))}
          {model.sets.size(set) > 8 && <span class="dim">{plural(model.sets.size(set) - 8, "more", "more")}</span>}
        </span>
      </li>
    );
  const lines = (title: string, found: number[]) =>
    found.length > 0 && (
      <li>
        <span>{title}</span>
        <span class="list-end mono wrap">{ranges(found)}</span>
      </li>
    );
  return (
    <Card title={`Since ${shortRevision(baseline.revision)}`} more={<a href={href("changes")}>All changes</a>}>
      <ul class="list">
        <li>
          <span>Its text</span>
          <span class="list-end">{code || "unknown"}</span>
        </li>
        {change && (
          <li>
            <span>All profiles together</span>
            <span class="list-end">
              <ChangeBadge change={change} certain={changes.isCertain(symbol)} />
            </span>
          </li>
        )}
        {by && who("Gained by", by.gainedBy)}
        {by && who("Lost by", by.lostBy)}
        {by && who("Unknown", by.unknown)}
        {by && lines("Lines gained", by.linesGained)}
        {by && lines("Lines lost", by.linesLost)}
        {by && lines("Lines unknown", by.linesUnknown)}
      </ul>
    </Card>
  );
}

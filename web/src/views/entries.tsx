/** Routes, jobs and commands, and the code that each leads to. */
import { useMemo } from "preact/hooks";
import type { EntryPoint, EntryPointGap } from "../data/model";
import { href, route } from "../state/route";
import { useModel } from "../ui/context";
import { count, milliseconds, plural } from "../ui/format";
import { FunctionTable } from "../ui/functiontable";
import { Badge, Card, Crumbs, Empty, EntryName, ProfileLink, Tile, Trace } from "../ui/parts";
import { type Column, Table } from "../ui/table";

export function EntriesView() {
  const { head } = useModel();
  const part = route.value.settings.get("part") ?? "reached";
  const gaps = head.entry_point_gaps;
  return (
    <>
      <div class="title">
        <h1>Entry points</h1>
        <p class="dim">Routes, jobs and commands that profiles reached, with the functions that run under them</p>
      </div>
      {gaps && (
        <nav class="parts" aria-label="Which entry points">
          <a href={href("entries")} aria-current={part === "reached" ? "page" : undefined}>
            Reached {count(head.entry_points?.length)}
          </a>
          <a href={href("entries", [], { part: "gaps" })} aria-current={part === "gaps" ? "page" : undefined}>
            Not reached {count(gaps.length)}
          </a>
        </nav>
      )}
      {part === "gaps" && gaps ? <GapTable gaps={gaps} /> : <EntryTable entries={head.entry_points ?? []} />}
    </>
  );
}

/** The address of an entry point: by its names, for its number changes when others come. */
export function entryHref({ service, kind, name }: { service: string; kind: string; name: string }): string {
  return href("entry", [service, kind, name]);
}

export function EntryTable({ entries }: { entries: readonly EntryPoint[] }) {
  const model = useModel();
  const columns = useMemo((): Column<EntryPoint>[] => {
    return [
      {
        key: "entry_point",
        title: "Entry point",
        value: (entry) => entry.name,
        show: (entry) => (
          <a class="name mono" href={entryHref(entry)}>
            <EntryName name={entry.name} />
          </a>
        ),
        width: "minmax(12rem, 7fr)",
        narrow: "minmax(0, 1fr)",
      },
      { key: "kind", title: "Kind", value: (entry) => entry.kind, width: "4.5rem", hide: 2 },
      { key: "service", title: "Service", value: (entry) => entry.service, width: "minmax(6.5rem, 1.2fr)", hide: 1 },
      {
        key: "profiles",
        title: "Profiles",
        value: (entry) => model.sets.size(entry.profiles),
        width: "4.5rem",
        align: "end",
        hide: 2,
      },
      {
        key: "requests",
        title: "Times",
        value: (entry) => entry.requests,
        width: "4rem",
        narrow: "3.5rem",
        align: "end",
      },
      {
        key: "functions",
        title: "Functions",
        value: (entry) => entry.functions,
        width: "5rem",
        align: "end",
        hide: 2,
      },
      {
        key: "p50_ms",
        title: "Median",
        value: (entry) => entry.p50,
        show: (entry) => milliseconds(entry.p50),
        width: "4.5rem",
        align: "end",
        hide: 2,
      },
      {
        key: "p95_ms",
        title: "p95",
        value: (entry) => entry.p95,
        show: (entry) => milliseconds(entry.p95),
        width: "4.5rem",
        narrow: "4.2rem",
        align: "end",
      },
      {
        key: "trace",
        title: "Trace",
        value: (entry) => entry.trace,
        show: (entry) => <Trace id={entry.trace} />,
        width: "6.5rem",
        hide: 1,
      },
    ];
  }, [model]);
  return (
    <Table
      id="entries"
      label="Entry points"
      rows={entries}
      columns={columns}
      rowKey={(entry) => `${entry.service} ${entry.kind} ${entry.name}`}
      sort="-requests"
      text={(entry) => `${entry.name} ${entry.kind} ${entry.service}`}
    />
  );
}

function GapTable({ gaps }: { gaps: readonly EntryPointGap[] }) {
  const model = useModel();
  const columns = useMemo(
    (): Column<EntryPointGap>[] => [
      {
        key: "entry_point",
        title: "Entry point",
        value: (gap) => gap.name,
        show: (gap) => (
          <span class="name mono">
            <EntryName name={gap.name} />
          </span>
        ),
        width: "minmax(12rem, 3fr)",
        narrow: "minmax(0, 1fr)",
      },
      { key: "kind", title: "Kind", value: (gap) => gap.kind, width: "6rem", hide: 2 },
      { key: "service", title: "Service", value: (gap) => gap.service, width: "minmax(7rem, 1.5fr)", hide: 1 },
      {
        key: "function",
        title: "Function",
        value: (gap) => gap.symbol,
        show: (gap) =>
          model.find(gap.symbol) >= 0 ? (
            <a class="name mono" href={href("function", [gap.symbol])}>
              <bdi>{gap.symbol}</bdi>
            </a>
          ) : (
            <span class="dim">unknown</span>
          ),
        width: "minmax(10rem, 3fr)",
        narrow: "minmax(0, 1fr)",
      },
    ],
    [model],
  );
  return (
    <Table
      id="entry-gaps"
      label="Entry points not reached"
      rows={gaps}
      columns={columns}
      rowKey={(gap) => `${gap.service} ${gap.kind} ${gap.name}`}
      text={(gap) => `${gap.name} ${gap.symbol}`}
      empty="Profiles reach every route and job that the application reported."
    />
  );
}

export function EntryView({ names }: { names: readonly string[] }) {
  const model = useModel();
  const [service = "", kind = "", name = ""] = names;
  const number = model.entry(service, kind, name);
  const entry = model.head.entry_points?.[number];
  const symbols = useMemo(() => {
    const found: number[] = [];
    for (let symbol = 0; symbol < model.count; symbol++) {
      if (model.entrySets.has(model.entrySet[symbol] as number, number)) found.push(symbol);
    }
    return found;
  }, [model, number]);
  if (!entry) return <Empty>This report has no such entry point.</Empty>;
  return (
    <>
      <Crumbs
        parts={[
          { name: "Entry points", to: href("entries") },
          { name: entry.name, to: entryHref(entry) },
        ]}
      />
      <div class="title">
        <h1 class="mono">
          <bdi>{entry.name}</bdi> <Badge kind="quiet">{entry.kind}</Badge>
        </h1>
        <p class="dim">
          Service {entry.service}
          {model.find(entry.symbol) >= 0 && (
            <>
              , function{" "}
              <a class="mono" href={href("function", [entry.symbol])}>
                <bdi>{entry.symbol}</bdi>
              </a>
            </>
          )}
        </p>
      </div>
      <div class="tiles">
        <Tile label="Times" value={count(entry.requests)} note={plural(model.sets.size(entry.profiles), "profile")} />
        <Tile label="Median" value={milliseconds(entry.p50)} note={`p95 ${milliseconds(entry.p95)}`} />
        <Tile
          label="Functions"
          value={count(entry.functions)}
          note={entry.lines == null ? "" : plural(entry.lines, "line")}
        />
        <Tile
          label="Example"
          value=""
          note={
            <>
              trace <Trace id={entry.trace} />
            </>
          }
        />
      </div>
      <Card title="Profiles">
        <ul class="chips">
          {model.sets.members(entry.profiles).map((profile) => (
            <li key={profile}>
              <ProfileLink number={profile} />
            </li>
          ))}
        </ul>
      </Card>
      <FunctionTable id="reached" label="Functions" symbols={symbols} />
    </>
  );
}

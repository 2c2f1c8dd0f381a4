/** One function: who runs it, which of its lines, and why not where nobody does. */
import { useMemo } from "preact/hooks";
import type { EntryPoint, Line } from "../data/model";
import { ancestors, findNode } from "../data/tree";
import { href } from "../state/route";
import { useModel } from "../ui/context";
import { count, fromTemplate, percent, plural, ranges } from "../ui/format";
import { Badge, Card, CoveragePage, Crumbs, Empty, EntryName, ProfileLink, Tile, Trace } from "../ui/parts";
import { FunctionChanges } from "./changes";
import { entryHref } from "./entries";

export function FunctionView({ id }: { id: string }) {
  const model = useModel();
  const symbol = model.find(id);
  if (symbol < 0) return <Empty>This report knows no function {id}.</Empty>;
  return <Detail symbol={symbol} key={symbol} />;
}

function Detail({ symbol }: { symbol: number }) {
  const model = useModel();
  const id = model.id(symbol);
  const node = useMemo(() => findNode(model.tree, id), [model, id]);
  const lines = useMemo(() => model.linesOf(symbol), [model, symbol]);
  const profiles = model.sets.members(model.set[symbol] as number);
  const entries = model.entrySets.members(model.entrySet[symbol] as number);
  const file = model.fileOf(symbol);
  const values = { file, line: String(model.line[symbol]), revision: model.head.revision };
  const source = fromTemplate(model.head.links.source, values);
  const run = model.linesRun[symbol] as number;
  const total = model.lines[symbol] as number;
  const crumbs = [{ name: "Code", to: href("code") }].concat(
    node
      ? ancestors(node).map((each) => ({
          name: each.name,
          to: href(each.kind === "function" ? "function" : "code", [each.path]),
        }))
      : [],
  );
  return (
    <>
      <Crumbs parts={crumbs} />
      <div class="title">
        <h1 class="mono">
          <bdi>{model.qualname(symbol)}</bdi>{" "}
          {model.isRun(symbol) ? (
            <Badge kind="good">run</Badge>
          ) : (
            <Badge kind={model.isAtStartup(symbol) ? "quiet" : "warn"}>
              {model.isAtStartup(symbol) ? "at start only" : "not run"}
            </Badge>
          )}
        </h1>
        <p class="dim mono">
          {source ? (
            <a href={source} target="_blank" rel="noreferrer noopener">
              {file || model.moduleOf(symbol)}:{model.line[symbol]}
            </a>
          ) : (
            <>
              {file || model.moduleOf(symbol)}:{model.line[symbol]}
            </>
          )}
          {(model.endLine[symbol] as number) > (model.line[symbol] as number) && `–${model.endLine[symbol]}`}{" "}
          <CoveragePage pages={model.head.links.pages} name={file} line={model.line[symbol] as number} />
        </p>
      </div>
      {!model.isRun(symbol) && !model.isClass(symbol) && <Why symbol={symbol} />}
      {model.isUncataloged(symbol) && (
        <p class="banner banner-warn">
          It was executed, and the catalog of this revision does not have it: see “Names” in the documentation.
        </p>
      )}
      <div class="tiles">
        <Tile
          label="Profiles"
          value={count(profiles.length)}
          note={`of ${count(model.profiles.length)}`}
          share={profiles.length / Math.max(model.profiles.length, 1)}
        />
        <Tile
          label="Lines run"
          value={total ? percent(run / total) : "–"}
          note={`${count(run)} of ${count(total)}`}
          share={total ? run / total : null}
        />
        {model.head.entry_points && <Tile label="Entry points" value={count(entries.length)} note="that lead here" />}
        {model.isRun(symbol) && (
          <Tile
            label="Example"
            value=""
            note={
              <>
                trace <Trace id={model.traceOf(symbol)} />
              </>
            }
          />
        )}
      </div>
      <div class="columns">
        <LinesCard lines={lines} symbol={symbol} />
        <div>
          <FunctionChanges symbol={symbol} />
          <Card title="Profiles that run it">
            {profiles.length === 0 && <Empty>None.</Empty>}
            <ul class="list">
              {profiles.slice(0, 200).map((profile) => {
                const executed = lines.filter((line) => model.sets.has(line.set, profile)).length;
                return (
                  <li key={profile}>
                    <ProfileLink number={profile} />
                    <span class="list-end dim">{total ? `${executed} of ${plural(total, "line")}` : ""}</span>
                  </li>
                );
              })}
            </ul>
            {profiles.length > 200 && <p class="dim">{profiles.length - 200} more</p>}
          </Card>
          {model.head.entry_points && entries.length > 0 && (
            <Card title="Entry points that lead here">
              <ul class="list">
                {entries.map((number) => {
                  const entry = model.head.entry_points?.[number] as EntryPoint;
                  return (
                    <li key={number}>
                      <a class="name mono" href={entryHref(entry)}>
                        <EntryName name={entry.name} />
                      </a>
                      <span class="list-end dim">{plural(model.sets.size(entry.profiles), "profile")}</span>
                    </li>
                  );
                })}
              </ul>
            </Card>
          )}
        </div>
      </div>
    </>
  );
}

/** Lines in a row that the same profiles execute. */
export function groups(lines: readonly Line[]): { set: number; lines: number[] }[] {
  const found: { set: number; lines: number[] }[] = [];
  for (const { line, set } of lines) {
    const last = found.at(-1);
    if (last && last.set === set) last.lines.push(line);
    else found.push({ set, lines: [line] });
  }
  return found;
}

function LinesCard({ lines, symbol }: { lines: Line[]; symbol: number }) {
  const model = useModel();
  const own = model.set[symbol] as number;
  const size = model.sets.size(own);
  return (
    <Card title="Lines">
      {lines.length === 0 && <Empty>No executable line is known.</Empty>}
      <ol class="lines">
        {groups(lines).map((group) => {
          const members = model.sets.members(group.set);
          return (
            <li key={group.lines[0]} class={members.length ? "" : "is-gap"}>
              <span class="mono line-range">{ranges(spanned(group.lines))}</span>
              <span class="line-share" aria-hidden="true">
                <span class="bar-fill" style={{ width: `${size ? (members.length / size) * 100 : 0}%` }} />
              </span>
              <span class="line-who">
                {members.length === 0 ? (
                  <span>no profile</span>
                ) : group.set === own && size > 3 ? (
                  <span class="dim">all {size} profiles</span>
                ) : (
                  <>
                    {members.slice(0, 4).map((profile, at) => (
                      <span key={profile}>
                        {at > 0 && ", "}
                        <ProfileLink number={profile} />
                      </span>
                    ))}
                    {members.length > 4 && <span class="dim"> and {members.length - 4} more</span>}
                  </>
                )}
              </span>
            </li>
          );
        })}
      </ol>
    </Card>
  );
}

/** From the first to the last: lines between that hold nothing executable belong to them. */
function spanned(lines: readonly number[]): number[] {
  const first = lines[0] as number;
  const last = lines.at(-1) as number;
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}

function Why({ symbol }: { symbol: number }) {
  const model = useModel();
  const id = model.id(symbol);
  const reason = useMemo(() => {
    const missed = model.head.entry_point_gaps?.filter((gap) => gap.symbol === id) ?? [];
    if (missed.length) return `It serves ${missed.map((gap) => gap.name).join(", ")}, which no profile requests.`;
    if (model.isAtStartup(symbol)) return "It runs when a process starts, before any request: no profile can reach it.";
    if (!model.head.entry_points) return null;
    const near = new Set<number>();
    const module = model.module[symbol] as number;
    for (let other = 0; other < model.count; other++) {
      if (model.module[other] === module)
        model.entrySets.each(model.entrySet[other] as number, (entry) => near.add(entry));
    }
    if (near.size === 0) return "No entry point that profiles reached runs anything of its module.";
    const names = [...near].slice(0, 3).map((entry) => model.head.entry_points?.[entry]?.name);
    return `Profiles reach its module through ${names.join(", ")}${near.size > 3 ? ` and ${near.size - 3} more` : ""}, and it was not taken.`;
  }, [model, symbol, id]);
  return (
    <p class="banner banner-warn">
      <strong>No profile runs it.</strong> {reason}
      {!model.head.complete && " This is not certain: coverage is missing."}
    </p>
  );
}

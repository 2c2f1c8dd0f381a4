/** What a person wants to know first: is it whole, how much runs, what stands out. */
import { useMemo } from "preact/hooks";
import { duration, type HistoryPoint, type Profile } from "../data/model";
import type { TreeNode } from "../data/tree";
import { href } from "../state/route";
import { useModel } from "../ui/context";
import { count, milliseconds, percent, plural, shortRevision, time } from "../ui/format";
import { Bar, Card, Empty, ProfileLink, Status, Tile } from "../ui/parts";
import { Sparkline } from "../ui/sparkline";
import { ChangeTiles } from "./changes";

export function OverviewView() {
  const model = useModel();
  const { head } = model;
  const { totals, baseline } = head;
  const share = (part: number, whole: number) => (whole ? part / whole : null);
  const gaps = totals.functions_total - totals.functions_covered;
  const entries = head.entry_points;
  const missed = head.entry_point_gaps?.length ?? 0;
  return (
    <>
      <div class="title">
        <h1>
          Coverage of <span class="mono">{shortRevision(head.revision)}</span>
        </h1>
        <p class="dim">
          {plural(head.runs, "run")} of {plural(head.profiles.length, "profile")}, services{" "}
          {head.services.join(", ") || "–"}, newest span {time(head.newest_span)}
          {selection(head.selection)}
        </p>
      </div>
      <Completeness />
      <div class="tiles">
        {head.catalog ? (
          <>
            <Tile
              label="Functions run"
              value={percent(share(totals.functions_covered, totals.functions_total))}
              share={share(totals.functions_covered, totals.functions_total)}
              note={
                <>
                  {count(totals.functions_covered)} of {count(totals.functions_total)}
                  {baseline?.totals && (
                    <Change now={totals.functions_covered} before={baseline.totals.functions_covered} />
                  )}
                </>
              }
              to={href("code")}
            />
            <Tile
              label="Lines run"
              value={percent(share(totals.lines_covered, totals.lines_total))}
              share={share(totals.lines_covered, totals.lines_total)}
              note={
                <>
                  {count(totals.lines_covered)} of {count(totals.lines_total)} in functions
                  {baseline?.totals && <Change now={totals.lines_covered} before={baseline.totals.lines_covered} />}
                </>
              }
              to={href("code")}
            />
            <Tile
              label="Functions not run"
              value={count(gaps)}
              note={head.startup ? `${count(totals.functions_at_startup)} of them run at start only` : "by no profile"}
              to={href("gaps")}
            />
          </>
        ) : (
          <Tile
            label="Functions run"
            value={count(totals.functions)}
            note="without a catalog, of an unknown number"
            to={href("code")}
          />
        )}
        <Tile
          label="Profiles"
          value={count(head.profiles.length)}
          note={`${count(head.smallest_set.length)} of them run as much as all`}
          to={href("profiles")}
        />
        {entries && (
          <Tile
            label="Entry points"
            value={count(entries.length)}
            note={
              missed
                ? `${plural(missed, "route or job", "routes and jobs")} not reached`
                : head.url_maps?.length
                  ? "all routes and jobs of the application"
                  : "the application reported no URL map"
            }
            to={href("entries")}
          />
        )}
      </div>
      {baseline && (
        <section aria-labelledby="since">
          <h2 id="since" class="section-head">
            Since <span class="mono">{shortRevision(baseline.revision)}</span> <a href={href("changes")}>All changes</a>
          </h2>
          <ChangeTiles baseline={baseline} />
        </section>
      )}
      {head.history && head.history.length > 1 && <History points={head.history} />}
      <div class="columns">
        <ProfilesCard />
        <GapsCard />
      </div>
      {head.notes.length > 0 && (
        <Card title="Notes">
          <ul class="notes">
            {head.notes.map((note) => (
              <li key={note}>{note}</li>
            ))}
          </ul>
        </Card>
      )}
    </>
  );
}

function selection(chosen: { runs: string[] | null; since: string | null; profiles: string[] | null }): string {
  const parts = [
    chosen.since && `runs since ${chosen.since}`,
    chosen.runs && plural(chosen.runs.length, "run"),
    chosen.profiles && plural(chosen.profiles.length, "profile"),
  ].filter(Boolean);
  return parts.length ? `. Selected: ${parts.join(", ")}` : "";
}

function Completeness() {
  const { head } = useModel();
  const doubtful = head.profiles
    .map((profile, number) => ({ profile, number }))
    .filter(({ profile }) => profile.doubts);
  if (head.complete && head.caveats?.length) {
    return (
      <section class="banner banner-warn" aria-labelledby="caveats">
        <h2 id="caveats">Complete as far as is known, within these limits</h2>
        <ul>
          <Sentences of={head.caveats} />
        </ul>
        <p>A function that is not run here may be executed by these.</p>
      </section>
    );
  }
  if (head.complete) {
    return (
      <p class="banner banner-good">
        <strong>Complete.</strong> Every request and job that was played arrived with its coverage: what is not run here
        was not executed.
      </p>
    );
  }
  return (
    <section class="banner banner-warn" aria-labelledby="incomplete">
      <h2 id="incomplete">Incomplete: coverage is missing, so no gap is certain</h2>
      <ul>
        <Sentences of={[...head.problems, ...(head.caveats ?? [])]} />
        {doubtful.slice(0, 5).map(({ profile, number }) => (
          <li key={profile.name}>
            <ProfileLink number={number} />: {profile.doubts}
          </li>
        ))}
      </ul>
      {doubtful.length > 5 && (
        <p>
          <a href={href("profiles", [], { "profiles-sort": "status" })}>{doubtful.length - 5} more profiles</a>
        </p>
      )}
    </section>
  );
}

function Sentences({ of }: { of: string[] }) {
  return of.map((sentence) => <li key={sentence}>{sentence}</li>);
}

function Change({ now, before }: { now: number; before: number }) {
  const change = now - before;
  return (
    <span class={change < 0 ? "change down" : "change"}>
      {" "}
      {change > 0 ? "+" : change < 0 ? "−" : "±"}
      {count(Math.abs(change))}
    </span>
  );
}

function ProfilesCard() {
  const model = useModel();
  const groups = useMemo(() => {
    const all = model.profiles.map((profile, number) => ({ profile, number }));
    const doubtful = all.filter(({ profile }) => profile.doubts);
    const slowest = all
      .filter(({ profile }) => duration(profile) != null)
      .sort((a, b) => (duration(b.profile) as number) - (duration(a.profile) as number))
      .slice(0, 4);
    const least = all
      .filter(({ profile }) => profile.unique != null)
      .sort(
        (a, b) =>
          (a.profile.unique as number) - (b.profile.unique as number) || a.profile.functions - b.profile.functions,
      )
      .slice(0, 4);
    return { doubtful: doubtful.slice(0, 4), slowest, least };
  }, [model]);
  const list = (
    title: string,
    rows: { profile: Profile; number: number }[],
    figure: (profile: Profile) => preact.ComponentChildren,
  ) =>
    rows.length > 0 && (
      <>
        <h3>{title}</h3>
        <ul class="list">
          {rows.map(({ profile, number }) => (
            <li key={number}>
              <ProfileLink number={number} />
              <span class="list-end">{figure(profile)}</span>
            </li>
          ))}
        </ul>
      </>
    );
  return (
    <Card title="Profiles" more={<a href={href("profiles")}>All {count(model.profiles.length)}</a>}>
      {list("Failed or incomplete", groups.doubtful, (profile) => (
        <Status profile={profile} />
      ))}
      {list("Slowest", groups.slowest, (profile) => milliseconds(duration(profile)))}
      {list("Smallest addition", groups.least, (profile) =>
        profile.unique ? `${plural(profile.unique, "function")} only here` : "nothing of its own",
      )}
    </Card>
  );
}

function GapsCard() {
  const model = useModel();
  const modules = useMemo(() => {
    const found: TreeNode[] = [];
    const walk = (node: TreeNode) => {
      if (node.kind === "module") {
        if (node.functionsRun < node.functions) found.push(node);
      } else node.children.forEach(walk);
    };
    walk(model.tree);
    const missing = (node: TreeNode) => node.lines - node.linesRun || node.functions - node.functionsRun;
    return found.sort((a, b) => missing(b) - missing(a) || (a.path < b.path ? -1 : 1)).slice(0, 12);
  }, [model]);
  return (
    <Card title="Largest gaps" more={<a href={href("gaps")}>All</a>}>
      {!model.head.catalog && (
        <Empty>Unknown: no catalog was pushed for this revision (otel-coverage catalog push).</Empty>
      )}
      {model.head.catalog && modules.length === 0 && <Empty>None: profiles run every function.</Empty>}
      <ul class="list">
        {modules.map((node) => (
          <li key={node.path}>
            <a class="name" href={href("code", [node.path])}>
              <bdi>{node.path}</bdi>
            </a>
            <span class="list-end">
              <span class="dim wide-only">
                {node.linesRun < node.lines
                  ? `${plural(node.lines - node.linesRun, "line")} not run`
                  : `${plural(node.functions - node.functionsRun, "function")} not run`}
              </span>
              <Bar share={node.lines ? node.linesRun / node.lines : node.functionsRun / node.functions} />
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

function History({ points }: { points: HistoryPoint[] }) {
  const share = (value: number | null) => percent(value == null ? null : value / 100);
  const incomplete = points.filter((point) => !point.complete).length;
  const [first, last] = [points[0] as HistoryPoint, points.at(-1) as HistoryPoint];
  return (
    <Card
      title="History"
      more={
        <span class="dim wide-only">
          {plural(points.length, "revision")}, {time(first.newest_span).slice(0, 10)} to{" "}
          {time(last.newest_span).slice(0, 10)}
        </span>
      }
    >
      <div class="sparks">
        <Sparkline label="Functions run" points={points} value={(point) => point.percent} show={share} />
        <Sparkline label="Lines run" points={points} value={(point) => point.lines_percent} show={share} />
        <Sparkline label="Profiles" points={points} value={(point) => point.profiles} show={count} />
        <Sparkline label="Duration of a run" points={points} value={(point) => point.duration_ms} show={milliseconds} />
      </div>
      {incomplete > 0 && (
        <p class="dim">
          Hollow points: coverage is missing at {plural(incomplete, "revision")}, so the figures may be too low.
        </p>
      )}
    </Card>
  );
}

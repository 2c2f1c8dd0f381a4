/** One profile: what it runs, what only it runs, whom it overlaps. */
import { useMemo } from "preact/hooks";
import { duration, type Profile } from "../data/model";
import { href, route } from "../state/route";
import { useModel } from "../ui/context";
import { count, milliseconds, percent, plural, shortRevision, time } from "../ui/format";
import { FunctionTable } from "../ui/functiontable";
import { Badge, Bar, Card, CoveragePage, Crumbs, Empty, ProfileLink, Status, Tile, Trace } from "../ui/parts";
import { type Column, Table } from "../ui/table";
import { Delta } from "./changes";
import { EntryTable } from "./entries";

export function ProfileView({ name }: { name: string }) {
  const model = useModel();
  const number = model.profile(name);
  const profile = model.profiles[number];
  if (!profile) return <Empty>This report has no profile {name}.</Empty>;
  return <Detail number={number} profile={profile} key={number} />;
}

function Detail({ number, profile }: { number: number; profile: Profile }) {
  const model = useModel();
  const functions = useMemo(() => model.functionsOf(number), [model, number]);
  const { totals } = model.head;
  const part = route.value.settings.get("part") ?? "functions";
  const entries = useMemo(() => (model.head.entry_points ? model.entriesOf(profile) : null), [model, profile]);
  const parts = [
    ["functions", `Functions ${count(functions.length)}`],
    ...(entries ? [["entries", `Entry points ${count(entries.length)}`]] : []),
    ["only", `Only here ${count(profile.unique)}`],
    ["overlap", "Overlap"],
    ["runs", `Runs ${count(profile.played.length)}`],
  ] as [string, string][];
  return (
    <>
      <Crumbs
        parts={[
          { name: "Profiles", to: href("profiles") },
          { name: profile.name, to: href("profile", [profile.name]) },
        ]}
      />
      <div class="title">
        <h1>
          <bdi>{profile.name}</bdi> <Status profile={profile} />
        </h1>
        <Redundancy profile={profile} />
        <p class="dim">
          <CoveragePage pages={model.head.links.profile_pages} name={profile.name} />
        </p>
      </div>
      {profile.doubts && (
        <p class="banner banner-warn">
          <strong>May run more than this.</strong> {profile.doubts}
        </p>
      )}
      <div class="tiles">
        <Tile
          label="Functions"
          value={count(profile.functions)}
          share={
            profile.functions_covered != null && totals.functions_total
              ? profile.functions_covered / totals.functions_total
              : null
          }
          note={profile.percent == null ? "of an unknown number" : `${percent(profile.percent / 100)} of all`}
        />
        <Tile
          label="Lines"
          value={count(profile.lines_covered)}
          share={
            profile.lines_covered != null && totals.lines_total ? profile.lines_covered / totals.lines_total : null
          }
          note={
            profile.lines_percent == null
              ? "recorded by function alone"
              : `${percent(profile.lines_percent / 100)} of all`
          }
        />
        <SinceTile name={profile.name} />
        <Tile label="Only here" value={count(profile.unique)} note="functions that no other profile runs" />
        <Tile
          label="Took"
          value={milliseconds(duration(profile))}
          note={
            <>
              {plural(profile.requests, "request")}, {plural(profile.jobs, "job")}, trace{" "}
              <Trace id={profile.exemplar_trace_id} />
            </>
          }
        />
      </div>
      <nav class="parts" aria-label="Parts of the profile">
        {parts.map(([key, title]) => (
          <a
            key={key}
            href={href("profile", [profile.name], { part: key })}
            aria-current={part === key ? "page" : undefined}
          >
            {title}
          </a>
        ))}
      </nav>
      {part === "functions" && <FunctionTable id="functions" label="Functions" symbols={functions} profile={number} />}
      {part === "entries" && entries && <EntryTable entries={entries} />}
      {part === "only" && (
        <FunctionTable
          id="only"
          label="Functions only here"
          symbols={functions.filter((symbol) => model.sets.size(model.set[symbol] as number) === 1)}
          profile={number}
        />
      )}
      {part === "overlap" && <Overlap number={number} functions={functions} />}
      {part === "runs" && <Runs profile={profile} />}
    </>
  );
}

function Redundancy({ profile }: { profile: Profile }) {
  if (profile.doubts)
    return <p class="dim">Whether it is redundant is unknown: coverage of a run that counts is missing.</p>;
  if (profile.contained_in.length === 0) return <p class="dim">No other profile runs all that it runs.</p>;
  return (
    <p class="dim">
      Redundant: all that it runs is also run by{" "}
      {profile.contained_in.slice(0, 4).map((other, at) => (
        <span key={other}>
          {at > 0 && ", "}
          <ProfileLink number={other} />
        </span>
      ))}
      {profile.contained_in.length > 4 && ` and ${profile.contained_in.length - 4} more`}
    </p>
  );
}

function Overlap({ number, functions }: { number: number; functions: number[] }) {
  const model = useModel();
  const rows = useMemo(() => {
    const shared = new Int32Array(model.profiles.length);
    const sizes = new Int32Array(model.profiles.length);
    for (const symbol of functions)
      model.sets.each(model.set[symbol] as number, (other) => (shared[other] as number)++);
    model.profiles.forEach((profile, other) => {
      sizes[other] = profile.functions;
    });
    return model.profiles
      .map((_, other) => ({ other, shared: shared[other] as number, size: sizes[other] as number }))
      .filter(({ other }) => other !== number)
      .map((row) => ({ ...row, jaccard: row.shared / Math.max(functions.length + row.size - row.shared, 1) }))
      .sort((a, b) => b.jaccard - a.jaccard);
  }, [model, number, functions]);
  type Row = (typeof rows)[number];
  const own = model.profiles[number] as Profile;
  const columns: Column<Row>[] = [
    {
      key: "profile",
      title: "Profile",
      value: ({ other }) => (model.profiles[other] as Profile).name,
      show: ({ other }) => <ProfileLink number={other} />,
      width: "minmax(10rem, 3fr)",
      narrow: "minmax(0, 1fr)",
    },
    {
      key: "jaccard",
      title: "In common",
      value: ({ jaccard }) => jaccard,
      show: ({ jaccard }) => <Bar share={jaccard} />,
      width: "minmax(7rem, 1.4fr)",
      narrow: "4rem",
      align: "end",
      hint: "Functions that both run, of those that either runs",
    },
    { key: "shared", title: "Both", value: ({ shared }) => shared, width: "6rem", align: "end", hide: 2 },
    {
      key: "only_here",
      title: "Only here",
      value: ({ shared }) => functions.length - shared,
      width: "6rem",
      align: "end",
      hide: 2,
    },
    {
      key: "only_there",
      title: "Only there",
      value: ({ size, shared }) => size - shared,
      width: "6.5rem",
      align: "end",
      hide: 2,
    },
    {
      key: "compare",
      title: "Side by side",
      value: () => null,
      show: ({ other }) => <a href={href("compare", [own.name, (model.profiles[other] as Profile).name])}>Compare</a>,
      width: "6.5rem",
    },
  ];
  return (
    <Table
      id="overlap"
      label="Overlap"
      rows={rows}
      columns={columns}
      rowKey={({ other }) => other}
      sort="-jaccard"
      text={({ other }) => (model.profiles[other] as Profile).name}
      empty="There is no other profile."
    />
  );
}

function Runs({ profile }: { profile: Profile }) {
  return (
    <Card title="Runs">
      {profile.played.length === 0 && <Empty>No run is known.</Empty>}
      <ul class="list">
        {profile.played.map((run) => (
          <li key={run.run}>
            <span class="name mono" title={run.run}>
              <bdi>{run.run}</bdi>
            </span>
            <span class="list-end">
              <span class="dim wide-only">{time(run.first_seen)}</span>
              <span class="dim wide-only">
                {plural(run.requests, "request")}, {plural(run.jobs, "job")}
              </span>
              {!run.counted && <Badge kind="quiet">does not count</Badge>}
              <Badge kind={run.outcome === "failed" ? "bad" : run.complete ? "good" : "warn"}>
                {run.outcome === "failed"
                  ? "failed"
                  : run.complete
                    ? "complete"
                    : `${plural(run.missing, "part")} missing`}
              </Badge>
            </span>
          </li>
        ))}
      </ul>
    </Card>
  );
}

/** What it gained and lost since the baseline. */
function SinceTile({ name }: { name: string }) {
  const model = useModel();
  const { baseline } = model.head;
  const change = model.changes?.profile(name);
  if (!baseline || !change) return null;
  const lines = change.lines_gained ?? change.lines_lost;
  return (
    <Tile
      label={`Since ${shortRevision(baseline.revision)}`}
      value={change.status === "new" ? "new" : <Delta gained={change.functions_gained} lost={change.functions_lost} />}
      note={
        change.status === "new" ? (
          "not played at the time"
        ) : (
          <>
            functions{change.functions_unknown > 0 && `, ${count(change.functions_unknown)} unknown`}
            {lines != null && (
              <>
                ; lines <Delta gained={change.lines_gained} lost={change.lines_lost} />
              </>
            )}
          </>
        )
      }
      to={href("changes", [], { part: "profiles" })}
    />
  );
}

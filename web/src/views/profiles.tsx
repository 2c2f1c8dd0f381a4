/** All profiles in a table. */
import { useMemo } from "preact/hooks";
import { duration, type Profile } from "../data/model";
import { change, href, route } from "../state/route";
import { useModel } from "../ui/context";
import { milliseconds, percent } from "../ui/format";
import { Bar, ProfileLink, Status, statusOf } from "../ui/parts";
import { type Column, Table } from "../ui/table";

interface Row {
  number: number;
  profile: Profile;
}

export function ProfilesView() {
  const model = useModel();
  const chosen = new Set((route.value.settings.get("with") ?? "").split(",").filter(Boolean));
  const rows = useMemo(() => model.profiles.map((profile, number) => ({ number, profile })), [model]);
  const toggle = (name: string) => {
    const next = new Set(chosen);
    if (!next.delete(name)) next.add(name);
    change({ with: [...next].slice(-2).join(",") });
  };
  const total = model.head.totals.functions_total;
  const columns: Column<Row>[] = [
    {
      key: "profile",
      title: "Profile",
      value: ({ profile }) => profile.name,
      show: ({ number, profile }) => (
        <>
          <input
            type="checkbox"
            aria-label={`Compare ${profile.name}`}
            title="Choose two to compare"
            checked={chosen.has(profile.name)}
            onChange={() => toggle(profile.name)}
          />
          <ProfileLink number={number} />
        </>
      ),
      width: "minmax(11rem, 3fr)",
      narrow: "minmax(0, 1fr)",
    },
    {
      key: "status",
      title: "Coverage",
      value: ({ profile }) => statusOf(profile),
      show: ({ profile }) => <Status profile={profile} />,
      width: "7.5rem",
      hint: "Whether all requests and jobs arrived with their coverage",
    },
    {
      key: "functions",
      title: "Functions",
      value: ({ profile }) => profile.functions,
      width: "5.5rem",
      align: "end",
      hide: 2,
    },
    {
      key: "share",
      title: "Of all",
      value: ({ profile }) => profile.percent,
      show: ({ profile }) => (
        <Bar share={profile.functions_covered == null || !total ? null : profile.functions_covered / total} />
      ),
      width: "minmax(6.5rem, 1.4fr)",
      narrow: "4rem",
      align: "end",
      hint: "Share of the functions of the source",
    },
    {
      key: "lines",
      title: "Lines",
      value: ({ profile }) => profile.lines_covered,
      width: "4.5rem",
      align: "end",
      hide: 1,
    },
    {
      key: "only_here",
      title: "Only here",
      value: ({ profile }) => profile.unique,
      width: "5.5rem",
      align: "end",
      hide: 2,
      hint: "Functions that no other profile runs",
    },
    {
      key: "requests",
      title: "Requests",
      value: ({ profile }) => profile.requests,
      width: "5.25rem",
      align: "end",
      hide: 1,
    },
    { key: "jobs", title: "Jobs", value: ({ profile }) => profile.jobs, width: "3.5rem", align: "end", hide: 1 },
    {
      key: "duration_ms",
      title: "Took",
      value: ({ profile }) => duration(profile),
      show: ({ profile }) => milliseconds(duration(profile)),
      width: "4.5rem",
      align: "end",
      hide: 2,
      hint: "The newest run that counts, from its first span to its last",
    },
    {
      key: "contained_in",
      title: "Part of",
      value: ({ profile }) => profile.contained_in.map((other) => model.profiles[other]?.name).join(" "),
      show: ({ profile }) =>
        profile.doubts ? (
          <span class="dim">unknown</span>
        ) : profile.contained_in.length === 0 ? (
          <span class="dim">–</span>
        ) : (
          <span class="cut">
            <ProfileLink number={profile.contained_in[0] as number} />
            {profile.contained_in.length > 1 && <span class="dim"> +{profile.contained_in.length - 1}</span>}
          </span>
        ),
      width: "minmax(7rem, 2fr)",
      hide: 1,
      hint: "Profiles that run everything that this one runs",
    },
  ];
  const two = [...chosen];
  return (
    <>
      <div class="title">
        <h1>Profiles</h1>
        <p class="dim">
          {model.head.smallest_set.length} of {model.profiles.length} run as much as all of them:{" "}
          {model.head.smallest_set.slice(0, 6).map((step, at) => (
            <span key={step.profile}>
              {at > 0 && ", "}
              <ProfileLink number={step.profile} /> {percent(step.percent / 100)}
            </span>
          ))}
          {model.head.smallest_set.length > 6 && " …"}
        </p>
      </div>
      <Table
        id="profiles"
        label="Profiles"
        rows={rows}
        columns={columns}
        rowKey={({ number }) => number}
        sort="-functions"
        text={({ profile }) => `${profile.name} ${statusOf(profile)}`}
        tools={
          two.length === 2 ? (
            <a class="button" href={href("compare", two)}>
              Compare both
            </a>
          ) : (
            <span class="dim">Choose two to compare</span>
          )
        }
      />
    </>
  );
}

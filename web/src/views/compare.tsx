/** Two profiles side by side: what both run, and what only one does. */
import { useMemo } from "preact/hooks";
import type { Profile } from "../data/model";
import { href, route } from "../state/route";
import { useModel } from "../ui/context";
import { count, percent } from "../ui/format";
import { FunctionTable } from "../ui/functiontable";
import { Crumbs, Empty, ProfileLink, Status, Tile } from "../ui/parts";

export function CompareView({ names }: { names: readonly string[] }) {
  const model = useModel();
  const [here, there] = names.map((name) => model.profile(name));
  if (here === undefined || there === undefined || here < 0 || there < 0) {
    return <Empty>Two profiles of this report are needed: choose them in the table of profiles.</Empty>;
  }
  return <Compare here={here} there={there} key={`${here} ${there}`} />;
}

function Compare({ here, there }: { here: number; there: number }) {
  const model = useModel();
  const sides = useMemo(() => {
    const found = { both: [] as number[], here: [] as number[], there: [] as number[] };
    for (let symbol = 0; symbol < model.count; symbol++) {
      const inHere = model.runs(here, symbol);
      const inThere = model.runs(there, symbol);
      if (inHere && inThere) found.both.push(symbol);
      else if (inHere) found.here.push(symbol);
      else if (inThere) found.there.push(symbol);
    }
    return found;
  }, [model, here, there]);
  const left = model.profiles[here] as Profile;
  const right = model.profiles[there] as Profile;
  const names = [left.name, right.name];
  const side = (route.value.settings.get("side") ?? "here") as keyof typeof sides;
  const union = sides.both.length + sides.here.length + sides.there.length;
  const doubt = left.doubts || right.doubts;
  return (
    <>
      <Crumbs
        parts={[
          { name: "Profiles", to: href("profiles") },
          { name: "Compare", to: href("compare", names) },
        ]}
      />
      <div class="title">
        <h1 class="versus">
          <span>
            <ProfileLink number={here} /> <Status profile={left} />
          </span>
          <span class="dim">and</span>
          <span>
            <ProfileLink number={there} /> <Status profile={right} />
          </span>
        </h1>
        {doubt && (
          <p class="banner banner-warn">Coverage is missing of one of them: what stands on one side may be on both.</p>
        )}
      </div>
      <div class="tiles">
        <Tile
          label="Only the first"
          value={count(sides.here.length)}
          share={union ? sides.here.length / union : null}
          note={left.name}
        />
        <Tile
          label="Both"
          value={count(sides.both.length)}
          share={union ? sides.both.length / union : null}
          note={`${percent(union ? sides.both.length / union : null)} in common`}
        />
        <Tile
          label="Only the second"
          value={count(sides.there.length)}
          share={union ? sides.there.length / union : null}
          note={right.name}
        />
      </div>
      <nav class="parts" aria-label="Sides">
        {(
          [
            ["here", `Only ${left.name}`],
            ["both", "Both"],
            ["there", `Only ${right.name}`],
          ] as const
        ).map(([key, title]) => (
          <a key={key} href={href("compare", names, { side: key })} aria-current={side === key ? "page" : undefined}>
            <bdi>{title}</bdi> {count(sides[key].length)}
          </a>
        ))}
      </nav>
      <FunctionTable id="compared" label="Functions" symbols={sides[side] ?? sides.here} />
    </>
  );
}

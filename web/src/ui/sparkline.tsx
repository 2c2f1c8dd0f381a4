/** A figure of each of the last revisions, as a line; where coverage is missing, the point is hollow. */
import type { HistoryPoint } from "../data/model";
import { shortRevision, time } from "./format";

const WIDTH = 240;
const HEIGHT = 48;
const INSET = 5;

interface Props {
  label: string;
  points: readonly HistoryPoint[];
  value: (point: HistoryPoint) => number | null;
  show: (value: number | null) => string;
}

export interface Place {
  x: number;
  y: number;
  value: number;
  point: HistoryPoint;
}

/** Where each known value stands: from the smallest, at the bottom, to the largest; in the middle where all are the same. */
export function places(points: readonly HistoryPoint[], value: (point: HistoryPoint) => number | null): Place[] {
  const known = points.flatMap((point, at) => {
    const found = value(point);
    return found == null ? [] : [{ point, at, value: found }];
  });
  const low = Math.min(...known.map((each) => each.value));
  const high = Math.max(...known.map((each) => each.value));
  return known.map(({ point, at, value }) => ({
    x: points.length > 1 ? INSET + (at / (points.length - 1)) * (WIDTH - 2 * INSET) : WIDTH / 2,
    y: high > low ? HEIGHT - INSET - ((value - low) / (high - low)) * (HEIGHT - 2 * INSET) : HEIGHT / 2,
    value,
    point,
  }));
}

export function Sparkline({ label, points, value, show }: Props) {
  const found = places(points, value);
  const last = found.at(-1);
  if (!last) return null;
  const values = found.map((each) => each.value);
  const [low, high] = [Math.min(...values), Math.max(...values)];
  return (
    <figure class="spark">
      <figcaption>
        <span class="tile-label">{label}</span>
        <span class="spark-now">{show(last.point === points.at(-1) ? last.value : null)}</span>
      </figcaption>
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        role="img"
        aria-label={`${label} at the last ${found.length} revisions: ${found.map((each) => show(each.value)).join(", ")}`}
      >
        <polyline points={found.map((each) => `${each.x.toFixed(1)},${each.y.toFixed(1)}`).join(" ")} />
        {found.map((each) => (
          <circle
            key={each.x}
            class={each.point.complete ? "" : "is-incomplete"}
            cx={each.x}
            cy={each.y}
            r={each === last ? 4 : 3}
          >
            <title>
              {`${shortRevision(each.point.revision)}, ${time(each.point.newest_span)}: ${show(each.value)}${each.point.complete ? "" : " (incomplete)"}`}
            </title>
          </circle>
        ))}
      </svg>
      <span class="dim spark-range">{low < high ? `${show(low)} to ${show(high)}` : "always the same"}</span>
    </figure>
  );
}

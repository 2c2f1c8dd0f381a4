/** A table of any length: only the rows on the screen are in the document. Sorted and filtered by the address. */
import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { download, toCsv } from "../data/csv";
import { change, route } from "../state/route";
import { count, plural } from "./format";
import { type Group, grouped, type Item, items } from "./grouping";
import { RowFilter } from "./rowfilter";

export interface Column<Row> {
  key: string;
  title: string;
  /** What sorting and CSV take; it depends on the row alone. */
  value: (row: Row) => string | number | boolean | null;
  show?: (row: Row) => ComponentChildren;
  /** What it has in the heading of a group. */
  heading?: (group: Group<Row>) => ComponentChildren;
  /** A track of a CSS grid. */
  width: string;
  /** The same below 640 pixels. */
  narrow?: string;
  align?: "end";
  /** Columns of a higher number go first where the screen is narrow: 1 below 1000 pixels, 2 below 640. */
  hide?: 1 | 2;
  /** Why the figure is what it is. */
  hint?: string;
}

interface Props<Row> {
  /** Names its settings in the address, and its CSV file. */
  id: string;
  label: string;
  rows: readonly Row[];
  columns: readonly Column<Row>[];
  rowKey: (row: Row) => string | number;
  /** Key of the column that sorts at first; `-` in front for the largest first. */
  sort?: string;
  /** Text that the filter looks into, which depends on the row alone; without it there is no filter. */
  text?: (row: Row) => string;
  tools?: ComponentChildren;
  rowHeight?: number;
  rowClass?: (row: Row) => string;
  empty?: string;
  /** Show all rows at once, for short tables. */
  short?: boolean;
  /** The rows come in the order that the address asks for. */
  presorted?: boolean;
  /** Rows with the same name here stand below a heading, which closes and opens them. */
  groupOf?: ((row: Row) => string) | undefined;
}

/** Rows that are printed at most. */
const PRINTED = 2000;

function compare(a: string | number | boolean | null, b: string | number | boolean | null): number {
  if (a === b) return 0;
  if (a === null) return 1;
  if (b === null) return -1;
  return typeof a === "string" && typeof b === "string" ? (a < b ? -1 : 1) : Number(a) - Number(b);
}

export function sorted<Row>(rows: readonly Row[], columns: readonly Column<Row>[], sort: string): readonly Row[] {
  const descending = sort.startsWith("-");
  const column = columns.find((each) => each.key === (descending ? sort.slice(1) : sort));
  if (!column) return rows;
  const keyed = rows.map((row, at) => ({ row, at, value: column.value(row) }));
  keyed.sort((a, b) => {
    if (a.value === null || b.value === null) return compare(a.value, b.value) || a.at - b.at; // unknown ones last
    return (descending ? -1 : 1) * compare(a.value, b.value) || a.at - b.at;
  });
  return keyed.map((each) => each.row);
}

export function Table<Row>(props: Props<Row>) {
  const { id, columns, rows, text, presorted, groupOf } = props;
  const settings = route.value.settings;
  const sort = settings.get(`${id}-sort`) ?? props.sort ?? "";
  const filter = text ? (settings.get(`${id}-filter`) ?? "") : "";
  const rowFilter = useMemo(() => text && new RowFilter(rows, text), [rows]);
  useEffect(() => rowFilter?.prepare(), [rowFilter]);
  const shown = useMemo(() => {
    const matching = rowFilter ? rowFilter.matching(filter) : rows;
    return presorted ? matching : sorted(matching, columns, sort);
  }, [rows, sort, filter, presorted]);

  const [closed, setClosed] = useState<ReadonlySet<string>>(new Set());
  const toggle = (key: string) =>
    setClosed((now) => {
      const next = new Set(now);
      if (!next.delete(key)) next.add(key);
      return next;
    });
  const groups = useMemo(() => (groupOf ? grouped(shown, groupOf) : null), [shown, groupOf]);
  const lines = useMemo(
    (): readonly Item<Row>[] => (groups ? items(groups, closed) : shown.map((row) => ({ row, group: null }))),
    [groups, shown, closed],
  );

  const height = props.rowHeight ?? 36;
  const body = useRef<HTMLDivElement>(null);
  const [range, setRange] = useState<[number, number]>([0, props.short ? lines.length : 60]);
  const focus = useRef<number | null>(null);
  const [printing, setPrinting] = useState(false);
  const flows = props.short || printing; // its rows stand one after the other, not each at its place

  useEffect(() => {
    if (props.short) return;
    const update = () => {
      const top = body.current?.getBoundingClientRect().top ?? 0;
      const first = Math.max(0, Math.floor(-top / height) - 12);
      const last = Math.min(lines.length, Math.ceil((innerHeight - top) / height) + 12);
      setRange(([from, to]) => (from === first && to === last ? [from, to] : [first, Math.max(first, last)]));
    };
    const print = () => setPrinting(true);
    const printed = () => setPrinting(false);
    update();
    addEventListener("scroll", update, { passive: true });
    addEventListener("resize", update);
    addEventListener("beforeprint", print);
    addEventListener("afterprint", printed);
    return () => {
      removeEventListener("scroll", update);
      removeEventListener("resize", update);
      removeEventListener("beforeprint", print);
      removeEventListener("afterprint", printed);
    };
  }, [lines.length, height, props.short]);

  useLayoutEffect(() => {
    if (focus.current === null) return;
    const row = body.current?.querySelector<HTMLElement>(`[data-row="${focus.current}"]`);
    (row?.querySelector<HTMLElement>("a, button, input") ?? row)?.focus({ preventScroll: true });
    if (row) focus.current = null;
  });

  const move = (to: number) => {
    const at = Math.min(Math.max(to, 0), lines.length - 1);
    focus.current = at;
    const top = (body.current?.getBoundingClientRect().top ?? 0) + scrollY + at * height;
    const bar = (document.querySelector<HTMLElement>(".top")?.offsetHeight ?? 0) + 50; // what stands above it
    if (top < scrollY + bar) scrollTo({ top: top - bar });
    else if (top + height > scrollY + innerHeight) scrollTo({ top: top + height - innerHeight + 8 });
    setRange(([from, to]) => [Math.min(from, at), Math.max(to, at + 1)]);
  };

  const onKey = (event: KeyboardEvent) => {
    if (
      event.altKey ||
      event.ctrlKey ||
      event.metaKey ||
      (event.target as HTMLElement).matches("input:not([type=checkbox])")
    )
      return;
    const at = Number((event.target as HTMLElement).closest<HTMLElement>("[data-row]")?.dataset.row ?? Number.NaN);
    if (Number.isNaN(at)) return;
    const page = Math.max(1, Math.floor((innerHeight - 160) / height));
    const to = {
      ArrowDown: at + 1,
      j: at + 1,
      ArrowUp: at - 1,
      k: at - 1,
      PageDown: at + page,
      PageUp: at - page,
      Home: 0,
      End: lines.length - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    move(to);
  };

  const save = () => {
    const values = shown.map((row) => columns.map((column) => column.value(row)));
    download(
      `${id}.csv`,
      toCsv(
        columns.map((column) => column.key),
        values,
      ),
    );
  };

  const [first, last] = flows
    ? [0, props.short ? lines.length : Math.min(lines.length, PRINTED)]
    : [Math.min(range[0], lines.length), Math.min(range[1], lines.length)];
  const visible = lines.slice(first, last);
  const tracks = (narrow: 0 | 1 | 2) =>
    columns
      .filter((column) => !(narrow >= 1 && column.hide === 1) && !(narrow === 2 && column.hide))
      .map((column) => (narrow === 2 && column.narrow) || column.width)
      .join(" ");
  const cellClass = (column: Column<Row>) =>
    `cell${column.align === "end" ? " end" : ""}${column.hide ? ` hide-${column.hide}` : ""}`;

  return (
    <div class="table-wrap">
      <div class="tools">
        {text && (
          <input
            type="search"
            class="filter"
            placeholder={`Filter ${props.label.toLowerCase()}`}
            aria-label={`Filter ${props.label.toLowerCase()}`}
            value={filter}
            onInput={(event) => change({ [`${id}-filter`]: event.currentTarget.value })}
          />
        )}
        {props.tools}
        <span class="tools-end">
          <span class="dim" role="status">
            {shown.length === rows.length
              ? plural(rows.length, "row")
              : `${count(shown.length)} of ${plural(rows.length, "row")}`}
          </span>
          <button
            type="button"
            class="button quiet"
            onClick={save}
            aria-label={`Save ${props.label.toLowerCase()} as CSV`}
          >
            CSV
          </button>
        </span>
      </div>
      <div
        class={`table${groups ? " is-grouped" : ""}`}
        role="table"
        aria-label={props.label}
        aria-rowcount={lines.length + 1}
        onKeyDown={onKey}
        style={{ "--tracks": tracks(0), "--tracks-1": tracks(1), "--tracks-2": tracks(2) } as Record<string, string>}
      >
        <div role="rowgroup" class="table-head">
          <div role="row" class="row" aria-rowindex={1}>
            {columns.map((column) => {
              const active = sort.replace("-", "") === column.key;
              const numeric = column.align === "end";
              const next = active
                ? sort.startsWith("-")
                  ? column.key
                  : `-${column.key}`
                : numeric
                  ? `-${column.key}`
                  : column.key;
              return (
                <div
                  key={column.key}
                  role="columnheader"
                  class={cellClass(column)}
                  title={column.hint}
                  aria-sort={active ? (sort.startsWith("-") ? "descending" : "ascending") : undefined}
                >
                  <button type="button" class="sort" onClick={() => change({ [`${id}-sort`]: next })}>
                    {column.title}
                    {active && <span aria-hidden="true">{sort.startsWith("-") ? "↓" : "↑"}</span>}
                  </button>
                </div>
              );
            })}
          </div>
        </div>
        <div
          role="rowgroup"
          class="table-body"
          ref={body}
          style={flows ? {} : { height: `${lines.length * height}px` }}
        >
          {visible.map(({ row, group }, offset) => {
            const at = first + offset;
            const place = {
              role: "row" as const,
              "data-row": at,
              "aria-rowindex": at + 2,
              style: flows ? {} : { top: `${at * height}px`, height: `${height}px` },
            };
            const placed = flows ? "" : " placed";
            return group ? (
              <div key={`group ${group.name}`} class={`row row-group${placed}`} {...place}>
                {columns.map((column, number) => (
                  <div key={column.key} role="cell" class={cellClass(column)}>
                    {number === 0 && (
                      <Twist name={group.name} open={!closed.has(group.name)} toggle={() => toggle(group.name)} />
                    )}
                    {column.heading?.(group)}
                  </div>
                ))}
              </div>
            ) : (
              <div key={props.rowKey(row)} class={`row${placed} ${props.rowClass?.(row) ?? ""}`} {...place}>
                {columns.map((column) => (
                  <div key={column.key} role="cell" class={cellClass(column)}>
                    {column.show ? column.show(row) : <span class="cut">{shownValue(column.value(row))}</span>}
                  </div>
                ))}
              </div>
            );
          })}
        </div>
      </div>
      {printing && last < lines.length && (
        <p class="empty">
          The first {count(last)} of {plural(lines.length, "row")}; the CSV file has all.
        </p>
      )}
      {shown.length === 0 && (
        <p class="empty">{rows.length ? "Nothing matches the filter." : (props.empty ?? "None.")}</p>
      )}
    </div>
  );
}

/** Opens and closes what stands below it: by click, Enter, → and ←. */
export function Twist({ name, open, toggle }: { name: string; open: boolean; toggle: () => void }) {
  return (
    <button
      type="button"
      class="twist"
      aria-expanded={open}
      aria-label={name}
      onClick={toggle}
      onKeyDown={(event) => {
        if ((event.key === "ArrowRight" && !open) || (event.key === "ArrowLeft" && open)) {
          event.preventDefault();
          toggle();
        }
      }}
    >
      <span aria-hidden="true">{open ? "▾" : "▸"}</span>
    </button>
  );
}

function shownValue(value: string | number | boolean | null): string {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  return typeof value === "number" ? count(value) : value;
}

/** What no profile runs. */
import { useMemo } from "preact/hooks";
import type { Model } from "../data/model";
import { href } from "../state/route";
import { useModel } from "../ui/context";
import { count } from "../ui/format";
import { Badge, SymbolLink } from "../ui/parts";
import { type Column, Table } from "../ui/table";

/** The functions that no profile runs, in the order of the source. */
export function gapsOf(model: Model): number[] {
  const found: number[] = [];
  for (let symbol = 0; symbol < model.count; symbol++) {
    if (!model.isRun(symbol) && !model.isClass(symbol)) found.push(symbol);
  }
  return found;
}

/** The next gap after a function, or before it; the first one where the function is none of the report. */
export function nextGap(model: Model, id: string, step: 1 | -1): string | null {
  const gaps = gapsOf(model);
  const at = model.find(id);
  const next = step > 0 ? (gaps.find((gap) => gap > at) ?? gaps[0]) : (gaps.findLast((gap) => gap < at) ?? gaps.at(-1));
  return next === undefined ? null : href("function", [model.id(next)]);
}

export function GapsView() {
  const model = useModel();
  const rows = useMemo(() => gapsOf(model), [model]);
  const columns = useMemo(
    (): Column<number>[] => [
      {
        key: "function",
        title: "Function",
        value: (symbol) => model.id(symbol),
        show: (symbol) => <SymbolLink symbol={symbol} />,
        width: "minmax(12rem, 5fr)",
        narrow: "minmax(0, 1fr)",
      },
      {
        key: "lines",
        title: "Lines",
        value: (symbol) => model.lines[symbol] as number,
        width: "5rem",
        align: "end",
        hint: "Executable lines",
      },
      {
        key: "at_startup",
        title: "At start",
        value: (symbol) => (model.head.startup ? model.isAtStartup(symbol) : null),
        show: (symbol) =>
          !model.head.startup ? (
            <span class="dim">unknown</span>
          ) : model.isAtStartup(symbol) ? (
            <Badge kind="quiet">at start only</Badge>
          ) : (
            <span class="dim">–</span>
          ),
        width: "8rem",
        hide: 2,
        hint: "Whether it ran when a process started, where no profile can reach it",
      },
      {
        key: "file",
        title: "File",
        value: (symbol) => `${model.fileOf(symbol)}:${model.line[symbol]}`,
        show: (symbol) => (
          <span class="mono dim cut">
            {model.fileOf(symbol)}:{model.line[symbol]}
          </span>
        ),
        width: "minmax(8rem, 3fr)",
        hide: 1,
      },
    ],
    [model],
  );
  const { totals } = model.head;
  return (
    <>
      <div class="title">
        <h1>Gaps</h1>
        <p class="dim">
          {count(rows.length)} of {count(totals.functions_total)} functions that no profile runs. <kbd>n</kbd> and{" "}
          <kbd>p</kbd> go from one to the next.
        </p>
      </div>
      {!model.head.complete && (
        <p class="banner banner-warn">None of these is certain: coverage is missing, so each may have been executed.</p>
      )}
      <Table
        id="gaps"
        label="Gaps"
        rows={rows}
        columns={columns}
        rowKey={(symbol) => symbol}
        text={(symbol) => model.id(symbol)}
        empty={
          model.head.catalog
            ? "None: profiles run every function."
            : "Unknown: no catalog was pushed for this revision."
        }
      />
    </>
  );
}

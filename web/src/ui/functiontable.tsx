/** Functions by module, with their lines: of all profiles or those of one. */
import { useCallback, useMemo } from "preact/hooks";
import { change, href, route } from "../state/route";
import { useModel } from "./context";
import { count, plural } from "./format";
import { Bar, Figure, SymbolLink, Trace } from "./parts";
import { type Column, Table } from "./table";

interface Props {
  id: string;
  label: string;
  symbols: readonly number[];
  /** Whose lines count; all profiles' without it. */
  profile?: number;
}

export function FunctionTable({ id, label, symbols, profile }: Props) {
  const model = useModel();
  const byModule = route.value.settings.get(`${id}-by`) !== "function";
  const columns = useMemo((): Column<number>[] => {
    const run = (symbol: number) =>
      profile === undefined ? (model.linesRun[symbol] as number) : model.linesRunBy(profile, symbol);
    const lines = (symbol: number) => model.lines[symbol] as number;
    const sum = (rows: readonly number[], of: (symbol: number) => number) =>
      rows.reduce((total, symbol) => total + of(symbol), 0);
    return [
      {
        key: "function",
        title: "Function",
        value: (symbol) => model.id(symbol),
        show: (symbol) => <SymbolLink symbol={symbol} short={byModule} />,
        heading: ({ name, rows }) => (
          <>
            <a class="name" href={href("code", [name])} title={name}>
              <bdi>{name}</bdi>
            </a>
            <span class="dim group-count">
              {count(rows.length)} of{" "}
              {plural(model.functionsIn[model.module[rows[0] as number] as number] as number, "function")}
            </span>
          </>
        ),
        width: "minmax(12rem, 5fr)",
        narrow: "minmax(0, 1fr)",
      },
      {
        key: "lines_run",
        title: "Lines run",
        value: run,
        show: (symbol) => <Figure value={run(symbol)} of={lines(symbol)} />,
        heading: ({ rows }) => <Figure value={sum(rows, run)} of={sum(rows, lines)} />,
        width: "7.5rem",
        align: "end",
        hide: 2,
      },
      {
        key: "lines_share",
        title: "Of their lines",
        value: (symbol) => (lines(symbol) ? run(symbol) / lines(symbol) : null),
        show: (symbol) => <Bar share={lines(symbol) ? run(symbol) / lines(symbol) : null} />,
        heading: ({ rows }) => <Bar share={sum(rows, lines) ? sum(rows, run) / sum(rows, lines) : null} />,
        width: "minmax(7rem, 1.4fr)",
        narrow: "4rem",
        align: "end",
      },
      {
        key: "profiles",
        title: "Profiles",
        value: (symbol) => model.sets.size(model.set[symbol] as number),
        width: "5.5rem",
        align: "end",
        hide: 2,
        hint: "How many profiles run it",
      },
      {
        key: "trace",
        title: "Trace",
        value: (symbol) => model.traceOf(symbol),
        show: (symbol) => <Trace id={model.traceOf(symbol)} />,
        width: "6.5rem",
        hide: 1,
      },
    ];
  }, [model, profile, byModule]);
  const moduleOf = useCallback((symbol: number) => model.moduleOf(symbol), [model]);
  return (
    <Table
      id={id}
      label={label}
      rows={symbols}
      columns={columns}
      rowKey={(symbol) => symbol}
      text={(symbol) => model.id(symbol)}
      groupOf={byModule ? moduleOf : undefined}
      tools={
        <label class="check">
          <input
            type="checkbox"
            checked={byModule}
            onChange={(event) => change({ [`${id}-by`]: event.currentTarget.checked ? "" : "function" })}
          />
          By module
        </label>
      }
    />
  );
}

/** The tree of code as a table: opened and closed by click, Enter, → and ←. */
import { useMemo, useState } from "preact/hooks";
import { STATES } from "../data/changes";
import { functionsShare, linesShare, type TreeNode } from "../data/tree";
import { href, route } from "../state/route";
import { useModel } from "./context";
import { Bar, Figure } from "./parts";
import { type Column, sorted, Table, Twist } from "./table";

const NODE_COLUMNS: Column<TreeNode>[] = [
  { key: "name", title: "Name", value: (node) => node.name, width: "minmax(12rem, 4fr)", narrow: "minmax(0, 1fr)" },
  {
    key: "functions_not_run",
    title: "Not run",
    value: (node) => node.functions - node.functionsRun,
    width: "6rem",
    narrow: "4rem",
    align: "end",
    hint: "Functions that no profile runs",
  },
  {
    key: "functions",
    title: "Functions",
    value: (node) => functionsShare(node),
    show: (node) => <Figure value={node.functionsRun} of={node.functions} />,
    width: "7rem",
    align: "end",
    hide: 2,
  },
  {
    key: "lines",
    title: "Lines",
    value: (node) => node.lines,
    show: (node) => <Figure value={node.linesRun} of={node.lines} />,
    width: "8rem",
    align: "end",
    hide: 2,
  },
  {
    key: "lines_share",
    title: "Lines run",
    value: linesShare,
    show: (node) => <Bar share={linesShare(node)} />,
    width: "minmax(6.5rem, 1.4fr)",
    narrow: "4.2rem",
    align: "end",
  },
];

/** Lines of functions in each state of `STATES`. */
const changed = (states: readonly number[]) => (states[1] ?? 0) + notRun(states);
const notRun = (states: readonly number[]) => (states[2] ?? 0) + (states[3] ?? 0);

const CHANGED: Column<TreeNode> = {
  key: "changed_not_run",
  title: "Changed, not run",
  value: ({ states }) => (states?.[4] === sum(states) ? null : states && notRun(states)),
  show: ({ kind, states }) => states && <States states={states} isFunction={kind === "function"} />,
  width: "9.5rem",
  align: "end",
  hide: 1,
  hint: "Lines of new and changed functions that no profile runs, of those of all new and changed functions",
};

/** What became of the code since the baseline. */
function States({ states, isFunction }: { states: readonly number[]; isFunction: boolean }) {
  if (isFunction) {
    const state = STATES[states.findIndex((lines) => lines > 0)] ?? "unknown";
    return <span class={`state ${state.endsWith("not run") ? "not-run" : "dim"}`}>{state.replace(" and", ",")}</span>;
  }
  if (states[4] === sum(states)) return <span class="dim">unknown</span>;
  if (changed(states) === 0) return <span class="dim">unchanged</span>;
  return <Figure value={notRun(states)} of={changed(states)} />;
}

function sum(numbers: readonly number[] | null): number {
  return numbers?.reduce((a, b) => a + b, 0) ?? 0;
}

const key = (node: TreeNode) => `${node.kind} ${node.path}`;

export function TreeTable({ root, hide }: { root: TreeNode; hide: boolean }) {
  const model = useModel();
  const sort = route.value.settings.get("tree-sort") ?? "";
  const [toggled, setToggled] = useState<ReadonlySet<string>>(
    new Set(),
  ) /* by path: nodes are others when the data are */;
  const openAtFirst = (node: TreeNode) => node.kind === "package" && node.depth <= root.depth + 1;
  const isOpen = (node: TreeNode) => openAtFirst(node) !== toggled.has(key(node));
  const toggle = (node: TreeNode) =>
    setToggled((now) => {
      const next = new Set(now);
      if (!next.delete(key(node))) next.add(key(node));
      return next;
    });
  const figures = model.head.baseline?.catalog ? [...NODE_COLUMNS, CHANGED] : NODE_COLUMNS;
  const rows = useMemo(() => {
    const found: TreeNode[] = [];
    const walk = (node: TreeNode) => {
      for (const child of sorted(node.children, figures, sort)) {
        if (hide && child.functions > 0 && child.functionsRun === child.functions && child.linesRun === child.lines)
          continue;
        if (hide && child.functions === 0) continue;
        found.push(child);
        if (isOpen(child)) walk(child);
      }
    };
    walk(root);
    return found;
  }, [root, sort, hide, toggled]);
  const columns = useMemo(
    () =>
      [
        {
          ...NODE_COLUMNS[0],
          value: (node: TreeNode) => node.path,
          show: (node: TreeNode) => {
            const level = node.depth - root.depth - 1;
            const open = isOpen(node);
            return (
              <span class="tree-name" style={{ paddingInlineStart: `${level * 1.25}rem` }}>
                {node.children.length ? (
                  <Twist name={`${node.name} ${node.kind}`} open={open} toggle={() => toggle(node)} />
                ) : (
                  <span class="twist" />
                )}
                <a
                  class={`name kind-${node.kind}`}
                  href={
                    node.kind === "function"
                      ? href("function", [node.path])
                      : href("code", [node.path], { show: "tree" })
                  }
                  title={node.path}
                >
                  <bdi>{node.name}</bdi>
                </a>
                {node.symbol >= 0 && model.isUncataloged(node.symbol) && <span class="dim">not in the catalog</span>}
              </span>
            );
          },
        },
        ...figures.slice(1),
      ] as Column<TreeNode>[],
    [root, toggled, model],
  );
  return (
    <Table
      id="tree"
      label="Code"
      rows={rows}
      columns={columns}
      rowKey={key}
      rowClass={(node) => (node.functions > 0 && node.functionsRun === 0 ? "is-gap" : "")}
      presorted
      empty={hide ? "Everything here is covered." : "None."}
    />
  );
}

/** Code as rectangles: sized by executable lines, coloured by the share of them that runs, or by what changed. */
import { type HierarchyRectangularNode, hierarchy, treemap } from "d3-hierarchy";
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { STATES } from "../data/changes";
import { linesShare, type TreeNode } from "../data/tree";
import { href } from "../state/route";
import { context, fitted, useColors, useWidth } from "./canvas";
import { mix, resolve, rgb } from "./colors";
import { percent, plural } from "./format";

type Cell = HierarchyRectangularNode<TreeNode>;

const HEADER = 20;
const LINKS = 300;
const MOST = 3000; // functions

export function layout(root: TreeNode, width: number, height: number): Cell {
  // of very many functions none could be seen: then modules are the smallest cells
  const smallest = root.functions > MOST ? "module" : "function";
  const tree = hierarchy(root, (node) => (node.kind === smallest ? [] : node.children))
    .sum((node) => (node.kind === smallest || node.kind === "function" ? Math.max(node.lines, 1) : 0))
    .sort((a, b) => (b.value ?? 0) - (a.value ?? 0) || (a.data.path < b.data.path ? -1 : 1));
  return treemap<TreeNode>()
    .size([width, height])
    .paddingOuter((cell) => (cell.depth < 2 ? 2 : cell.children && cell.depth < 4 ? 1 : 0))
    .paddingTop((cell) => (cell.depth === 1 && cell.children ? HEADER : cell.depth < 2 ? 2 : 1))
    .paddingInner((cell) => (cell.depth === 0 ? 4 : 1))
    .round(true)(tree);
}

/** What colours mean: the share that runs, or what became of the code since the baseline. */
export type Colouring = "share" | "changes";

export function Treemap({ root, by }: { root: TreeNode; by: Colouring }) {
  const { place, width } = useWidth<HTMLDivElement>();
  const height = width < 600 ? 480 : Math.max(420, Math.min(640, Math.round(width * 0.52)));
  const canvas = useRef<HTMLCanvasElement>(null);
  const colors = useColors();
  const [over, setOver] = useState<{ cell: Cell; x: number; y: number } | null>(null);
  const cells = useMemo(() => (width ? layout(root, width, height) : null), [root, width, height]);

  useLayoutEffect(() => {
    if (canvas.current && cells) draw(canvas.current, cells, width, height, by);
  }, [cells, width, height, colors, by]);

  const at = (event: MouseEvent): { cell: Cell; x: number; y: number } | null => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box || !cells) return null;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    let cell = cells;
    for (;;) {
      const inside = cell.children?.find((each) => x >= each.x0 && x < each.x1 && y >= each.y0 && y < each.y1);
      if (!inside) return cell === cells ? null : { cell, x, y };
      cell = inside;
    }
  };

  return (
    // biome-ignore lint/a11y/noStaticElementInteractions: what can be chosen are links
    <div class="treemap" ref={place} onMouseMove={(event) => setOver(at(event))} onMouseLeave={() => setOver(null)}>
      <canvas ref={canvas} aria-hidden="true" />
      {cells?.children?.slice(0, LINKS).map((cell) => (
        <a
          key={cell.data.path}
          class="treemap-link"
          href={cell.data.kind === "function" ? href("function", [cell.data.path]) : href("code", [cell.data.path])}
          style={{
            left: `${cell.x0}px`,
            top: `${cell.y0}px`,
            width: `${cell.x1 - cell.x0}px`,
            height: `${cell.y1 - cell.y0}px`,
          }}
        >
          <span class="hidden">
            {cell.data.name}, {cell.data.kind}, {plural(cell.data.lines, "line")}, {percent(linesShare(cell.data))} run
            {by === "changes" && `, ${stateText(cell.data)}`}
          </span>
        </a>
      ))}
      {over && (
        <div
          class="tooltip"
          style={{
            left: `${Math.min(over.x + 14, Math.max(width - 300, 0))}px`,
            top: `${over.y + (over.y > height - 110 ? -92 : 16)}px`,
          }}
        >
          <strong class="mono">
            <bdi>{over.cell.data.path}</bdi>
          </strong>
          <span>
            {plural(over.cell.data.linesRun, "line")} of {over.cell.data.lines} run,{" "}
            {percent(linesShare(over.cell.data))}
          </span>
          {by === "changes" && <span>{stateText(over.cell.data)}</span>}
        </div>
      )}
    </div>
  );
}

/** What became of the code below a node, in words. */
export function stateText(node: TreeNode): string {
  const found = (node.states ?? []).flatMap((lines, state) =>
    lines ? [{ lines, name: STATES[state] as string }] : [],
  );
  if (node.kind === "function" || found.length === 1) return found[0]?.name ?? "";
  return found.map(({ lines, name }) => `${plural(lines, "line")} ${name}`).join(", ");
}

function draw(canvas: HTMLCanvasElement, root: Cell, width: number, height: number, by: Colouring): void {
  const names = resolve(
    "gap-fill",
    "run-fill",
    "new-fill",
    "unknown-fill",
    "surface",
    "panel",
    "text",
    "on-fill",
    "border",
  );
  // as in STATES; what is not known looks like what did not change, and a note says so
  const states = [
    names["unknown-fill"],
    names["run-fill"],
    names["gap-fill"],
    names["new-fill"],
    names["unknown-fill"],
  ];
  const from = rgb(names["gap-fill"]);
  const to = rgb(names["run-fill"]);
  const scale = Array.from({ length: 21 }, (_, step) => mix(from, to, step / 20));
  const color = (node: TreeNode) => {
    const share = linesShare(node);
    return share === null ? names["unknown-fill"] : (scale[Math.round(share * 20)] as string);
  };
  const drawing = context(canvas, width, height);
  drawing.textBaseline = "middle";
  const visit = (cell: Cell) => {
    const w = cell.x1 - cell.x0;
    const h = cell.y1 - cell.y0;
    if (w < 1 || h < 1) return;
    const small = cell.children && cell.depth > 0 && (w < 5 || h < 5);
    if (!cell.children || small) {
      if (by === "changes" && cell.data.states) {
        // a module, as the smallest cell, is of several states: a band for each
        const sum = cell.data.states.reduce((total, lines) => total + lines, 0);
        let from = cell.y0;
        cell.data.states.forEach((lines, state) => {
          const band = (lines / sum) * h;
          drawing.fillStyle = states[state] as string;
          drawing.fillRect(cell.x0, from, w, band);
          from += band;
        });
      } else {
        drawing.fillStyle = color(cell.data);
        drawing.fillRect(cell.x0, cell.y0, w, h);
      }
      if (h >= 15 && w >= 36) {
        drawing.font = "11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace";
        drawing.fillStyle = names["on-fill"];
        drawing.fillText(fitted(drawing, cell.data.name, w - 8), cell.x0 + 4, cell.y0 + Math.min(h / 2, 10));
      }
      return;
    }
    if (cell.depth === 1) {
      drawing.fillStyle = names.panel;
      drawing.beginPath();
      drawing.roundRect(cell.x0, cell.y0, w, h, 4);
      drawing.fill();
      if (h >= HEADER && w >= 30) {
        const share = by === "changes" ? "" : percent(linesShare(cell.data));
        drawing.font = "600 12px system-ui, sans-serif";
        drawing.fillStyle = names.text;
        const name = fitted(drawing, cell.data.name, w - 12);
        drawing.fillText(name, cell.x0 + 6, cell.y0 + HEADER / 2 + 1);
        const used = drawing.measureText(name).width;
        drawing.font = "11px system-ui, sans-serif";
        const room = drawing.measureText(share).width;
        if (used + room + 24 < w) {
          drawing.globalAlpha = 0.7;
          drawing.fillText(share, cell.x1 - room - 6, cell.y0 + HEADER / 2 + 1);
          drawing.globalAlpha = 1;
        }
      }
    } else if (cell.depth > 1) {
      drawing.fillStyle = names.border;
      drawing.fillRect(cell.x0, cell.y0, w, h);
    }
    for (const child of cell.children) visit(child);
  };
  visit(root);
}

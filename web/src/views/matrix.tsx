/** Profiles × modules: how much of each part every profile runs. */
import { useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Profile } from "../data/model";
import { ancestors, findNode, functionsBelow, type TreeNode } from "../data/tree";
import { change, go, href, route } from "../state/route";
import { context, fitted, useColors, useWidth } from "../ui/canvas";
import { mix, resolve, rgb } from "../ui/colors";
import { useModel } from "../ui/context";
import { percent, plural } from "../ui/format";
import { Crumbs, Empty } from "../ui/parts";
import { inhabited } from "./code";

const ROW = 22;

export function MatrixView({ path }: { path: string }) {
  const model = useModel();
  const node = useMemo(() => findNode(model.tree, path), [model, path]);
  if (!node) return <Empty>This report knows no code called {path}.</Empty>;
  const crumbs = [{ name: "Matrix", to: href("matrix") }].concat(
    ancestors(node).map((each) => ({ name: each.name, to: href("matrix", [each.path]) })),
  );
  return (
    <>
      <Crumbs parts={crumbs} />
      <div class="title">
        <h1>{path ? <bdi>{path}</bdi> : "Matrix"}</h1>
        <p class="dim">
          Functions of each {node.parent ? "part" : "package or module"} that each profile runs. Click a column to open
          it, a profile’s name to pin it to the top.
        </p>
      </div>
      {node.children.length ? <Heat node={inhabited(node)} key={path} /> : <Empty>It has no parts.</Empty>}
    </>
  );
}

function Heat({ node }: { node: TreeNode }) {
  const model = useModel();
  const { place, width } = useWidth<HTMLDivElement>();
  const canvas = useRef<HTMLCanvasElement>(null);
  const scroller = useRef<HTMLDivElement>(null);
  const colors = useColors();
  const [cursor, setCursor] = useState<{ row: number; column: number } | null>(null);
  const [scroll, setScroll] = useState({ left: 0, top: 0 });
  const pinned = (route.value.settings.get("pin") ?? "").split(",").filter(Boolean);

  const columns = useMemo(() => node.children.filter((each) => each.functions > 0 || each.symbol >= 0), [node]);
  const counts = useMemo(() => {
    const profiles = model.profiles.length;
    return columns.map((column) => {
      const found = new Int32Array(profiles);
      for (const symbol of functionsBelow(column))
        model.sets.each(model.set[symbol] as number, (profile) => (found[profile] as number)++);
      return found;
    });
  }, [columns, model]);
  const rows = useMemo(() => {
    const all = model.profiles.map((profile, number) => ({ profile, number }));
    const isPinned = new Set(pinned);
    return [
      ...all.filter(({ profile }) => isPinned.has(profile.name)),
      ...all.filter(({ profile }) => !isPinned.has(profile.name)),
    ];
  }, [model, pinned.join()]);

  const label = width < 600 ? 96 : 200;
  const cell = Math.max(width < 600 ? 11 : 14, Math.min(72, Math.floor((width - label) / Math.max(columns.length, 1))));
  const slanted = cell >= 40;
  const longest = Math.min(24, Math.max(4, ...columns.map((column) => column.name.length)));
  const head = Math.round(longest * 7 * (slanted ? 0.71 : 0.97)) + 22;
  const wide = label + cell * columns.length;
  const tall = head + ROW * rows.length;
  const viewHeight = Math.min(tall, Math.max(320, innerHeight - 250));

  const share = (row: number, column: number) => {
    const profile = rows[row]?.number ?? 0;
    const functions = columns[column]?.functions || 1;
    return Math.min(1, (counts[column]?.[profile] ?? 0) / functions);
  };

  useLayoutEffect(() => {
    if (!canvas.current || !width) return;
    const names = resolve("heat-low", "heat-high", "surface", "text", "muted", "border", "accent", "panel");
    const [low, high] = [rgb(names["heat-low"]), rgb(names["heat-high"])];
    const drawing = context(canvas.current, width, viewHeight);
    drawing.textBaseline = "middle";
    drawing.font = "12px system-ui, sans-serif";
    const firstRow = Math.floor(scroll.top / ROW);
    const lastRow = Math.min(rows.length, Math.ceil((scroll.top + viewHeight - head) / ROW));
    const firstColumn = Math.floor(scroll.left / cell);
    const lastColumn = Math.min(columns.length, Math.ceil((scroll.left + width - label) / cell));
    drawing.save();
    drawing.beginPath();
    drawing.rect(label, head, width - label, viewHeight - head);
    drawing.clip();
    for (let row = firstRow; row < lastRow; row++) {
      for (let column = firstColumn; column < lastColumn; column++) {
        const value = share(row, column);
        drawing.fillStyle = value ? mix(low, high, 0.15 + 0.85 * value) : names.panel;
        const [x, y] = [label + column * cell - scroll.left, head + row * ROW - scroll.top];
        drawing.fillRect(x + 1, y + 1, cell - 2, ROW - 2);
        if (cell >= 40 && value) {
          drawing.fillStyle = value > 0.45 ? names.surface : names.text;
          drawing.textAlign = "center";
          drawing.font = "11px system-ui, sans-serif";
          drawing.fillText(String(Math.round(value * 100)), x + cell / 2, y + ROW / 2 + 1);
        }
      }
    }
    if (cursor) {
      drawing.strokeStyle = names.accent;
      drawing.lineWidth = 1.5;
      drawing.strokeRect(label - 2, head + cursor.row * ROW - scroll.top, width, ROW);
      drawing.strokeRect(label + cursor.column * cell - scroll.left, head - 2, cell, viewHeight);
    }
    drawing.restore();
    drawing.textAlign = "left";
    drawing.save();
    drawing.beginPath();
    drawing.rect(0, head, label, viewHeight - head);
    drawing.clip();
    for (let row = firstRow; row < lastRow; row++) {
      const profile = rows[row]?.profile as Profile;
      const isPinned = pinned.includes(profile.name);
      drawing.font = `${isPinned || cursor?.row === row ? "600 " : ""}12px system-ui, sans-serif`;
      drawing.fillStyle = isPinned ? names.accent : names.text;
      drawing.fillText(fitted(drawing, profile.name, label - 12), 0, head + row * ROW - scroll.top + ROW / 2);
    }
    drawing.restore();
    drawing.save();
    drawing.beginPath();
    drawing.rect(label - 4, 0, width - label + 4, head);
    drawing.clip();
    for (let column = firstColumn; column < lastColumn; column++) {
      drawing.save();
      drawing.translate(label + column * cell - scroll.left + cell / 2, head - 8);
      drawing.rotate(-Math.PI / (slanted ? 4 : 2.2));
      drawing.font = `${cursor?.column === column ? "600 " : ""}12px system-ui, sans-serif`;
      drawing.fillStyle = names.text;
      drawing.fillText(fitted(drawing, columns[column]?.name ?? "", (head - 12) / (slanted ? 0.71 : 0.97)), 0, 0);
      drawing.restore();
    }
    drawing.restore();
  }, [width, viewHeight, rows, columns, counts, cursor, scroll, colors, cell, label]);

  const at = (event: MouseEvent) => {
    const box = canvas.current?.getBoundingClientRect();
    if (!box) return null;
    const [x, y] = [event.clientX - box.left, event.clientY - box.top];
    const row = y < head ? -1 : Math.floor((y - head + scroll.top) / ROW);
    const column = x < label ? -1 : Math.floor((x - label + scroll.left) / cell);
    return row < rows.length && column < columns.length ? { row, column } : null;
  };
  const pin = (row: number) => {
    const name = rows[row]?.profile.name;
    if (!name) return;
    change({ pin: (pinned.includes(name) ? pinned.filter((each) => each !== name) : [...pinned, name]).join(",") });
  };
  const open = (column: number) => {
    const chosen = columns[column];
    if (!chosen) return;
    if (chosen.kind === "function") go(href("function", [chosen.path]));
    else go(href("matrix", [chosen.path]));
  };
  const onKey = (event: KeyboardEvent) => {
    const now = cursor ?? { row: 0, column: 0 };
    const steps: Record<string, [number, number]> = {
      ArrowDown: [1, 0],
      ArrowUp: [-1, 0],
      ArrowRight: [0, 1],
      ArrowLeft: [0, -1],
    };
    const step = steps[event.key];
    if (step) {
      event.preventDefault();
      const next = {
        row: Math.min(Math.max(now.row + (cursor ? step[0] : 0), 0), rows.length - 1),
        column: Math.min(Math.max(now.column + (cursor ? step[1] : 0), 0), columns.length - 1),
      };
      setCursor(next);
      const box = scroller.current;
      if (box) {
        const top = next.row * ROW;
        const left = next.column * cell;
        if (top < box.scrollTop) box.scrollTop = top;
        if (top + ROW > box.scrollTop + viewHeight - head) box.scrollTop = top + ROW - viewHeight + head;
        if (left < box.scrollLeft) box.scrollLeft = left;
        if (left + cell > box.scrollLeft + width - label) box.scrollLeft = left + cell - width + label;
      }
    } else if (event.key === "Enter" && cursor) {
      open(cursor.column);
    } else if (event.key === " " && cursor) {
      event.preventDefault();
      pin(cursor.row);
    }
  };
  const pointed =
    cursor && rows[cursor.row] && columns[cursor.column]
      ? `${rows[cursor.row]?.profile.name} runs ${counts[cursor.column]?.[rows[cursor.row]?.number ?? 0]} of ${plural(columns[cursor.column]?.functions ?? 0, "function")} of ${columns[cursor.column]?.path} (${percent(share(cursor.row, cursor.column))})`
      : "";

  return (
    <div ref={place} class="heat">
      {width > 0 && (
        <div
          class="heat-scroll"
          ref={scroller}
          // biome-ignore lint/a11y/noNoninteractiveTabindex: arrow keys move the crosshair
          tabIndex={0}
          role="application"
          aria-label={`Heat map of ${plural(rows.length, "profile")} and ${plural(columns.length, "part")}: arrow keys move, Enter opens the column, space pins the profile`}
          style={{ height: `${viewHeight}px` }}
          onScroll={(event) => setScroll({ left: event.currentTarget.scrollLeft, top: event.currentTarget.scrollTop })}
          onMouseMove={(event) => {
            const found = at(event);
            setCursor(found && found.row >= 0 && found.column >= 0 ? found : null);
          }}
          onMouseLeave={() => setCursor(null)}
          onClick={(event) => {
            const found = at(event);
            if (!found) return;
            if (found.column >= 0) open(found.column);
            else if (found.row >= 0) pin(found.row);
          }}
          onKeyDown={onKey}
        >
          <div class="heat-size" style={{ width: `${wide}px`, height: `${tall}px` }}>
            <canvas ref={canvas} aria-hidden="true" />
          </div>
        </div>
      )}
      <p class="heat-status" role="status">
        {pointed || " "}
      </p>
    </div>
  );
}

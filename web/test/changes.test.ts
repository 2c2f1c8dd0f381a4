import assert from "node:assert/strict";
import { test } from "node:test";
import { type ChangesBlock, STATES } from "../src/data/changes";
import type { Head, HistoryPoint } from "../src/data/model";
import { Model } from "../src/data/model";
import { places } from "../src/ui/sparkline";
import { stateText } from "../src/ui/treemap";
import { functionRows } from "../src/views/changes";

/** Module shop: kept, changed and not run, lost, and new and run. */
function model(): Model {
  const columns: [string, number[]][] = [
    ["symbol.module", [0, 0, 0, 0]],
    ["symbol.line", [2, 4, 4, 4]],
    ["symbol.length", [1, 1, 1, 1]],
    ["symbol.kind", [0, 0, 0, 0]],
    ["symbol.set", [1, 0, 0, 1]],
    ["symbol.trace", [0, 0, 0, 0]],
    ["symbol.change", [1, 2 + 8 + 16, 1 + 8, 3 + 4]],
    ["line.step", [1, 2, 1, 2, 1, 2, 1, 2]],
    ["line.set", [0, 1, 0, 0, 0, 0, 0, 1]],
  ];
  const head = {
    columns: columns.map(([name, values]) => [name, values.length]),
    set_width: 1,
    profiles: [{ name: "browse", played: [], functions: 2 }],
    links: {},
  } as unknown as Head;
  const names = { modules: ["shop"], files: ["shop.py"], qualnames: ["kept", "pay", "ship", "bill"], traces: [] };
  const changes: ChangesBlock = {
    functions: [
      [1, 0, 0, 1, [], [], []],
      [2, 0, 1, 0, [], [6], []],
      [3, 1, 0, 0, [], [], []],
    ],
    gone: [["shop:refund@9", "removed", true]],
    entry_points: [],
    profiles: [],
  };
  const bytes = columns.flatMap(([, values]) => values);
  return new Model(head, names, Uint8Array.from(bytes), Uint8Array.from([1]), new Uint8Array(), changes);
}

test("each function has the state that a treemap colours", () => {
  const found = model();
  const states = [0, 1, 2, 3].map((symbol) => STATES[found.changes?.state(symbol, found.isRun(symbol)) as number]);
  assert.deepEqual(states, ["unchanged", "changed and not run", "unchanged", "changed and run"]);
  assert.deepEqual(found.tree.states, [2, 1, 1, 0, 0]);
  assert.equal(stateText(found.tree), "2 lines unchanged, 1 line changed and run, 1 line changed and not run");
});

test("what was lost comes first, and what is not certain says so", () => {
  const found = model();
  assert.deepEqual(
    functionRows(found, found.changes as never).map((row) => [row.id, row.change, row.certain, row.code]),
    [
      ["shop:refund@9", "lost", true, "removed"],
      ["shop:ship@5", "lost", true, "unchanged"],
      ["shop:pay@3", "lost", false, "changed"],
      ["shop:bill@7", "gained", true, "new"],
    ],
  );
});

test("a line of history leaves out what is not known, and is level where nothing changes", () => {
  const points = [1, null, 3].map((percent) => ({ percent }) as HistoryPoint);
  const found = places(points, (point) => point.percent);
  assert.deepEqual(
    found.map((each) => [each.value, each.x]),
    [
      [1, 5],
      [3, 235],
    ],
  );
  assert.ok((found[0]?.y as number) > (found[1]?.y as number));
  const level = places(points.slice(0, 1), (point) => point.percent);
  assert.deepEqual([level[0]?.x, level[0]?.y], [120, 24]);
});

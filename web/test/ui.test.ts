import assert from "node:assert/strict";
import { test } from "node:test";
import { href, parse } from "../src/state/route";
import { fromTemplate, milliseconds, percent, ranges, shortRevision } from "../src/ui/format";
import { grouped, items } from "../src/ui/grouping";
import { RowFilter } from "../src/ui/rowfilter";
import { sorted } from "../src/ui/table";
import { groups } from "../src/views/function";

test("an address is read as it was written, whatever the names", () => {
  for (const name of ["shop.orders:place@2", "a/b?c#d", "</script>", "100 %", "é\u202e"]) {
    const { view, names, settings } = parse(href("function", [name], { sort: "-lines", none: "" }));
    assert.deepEqual([view, names, [...settings]], ["function", [name], [["sort", "-lines"]]]);
  }
  assert.equal(parse("").view, "overview");
  assert.deepEqual(parse("#/profile/%zz").names, ["%zz"]);
});

test("a share is 100 % only where nothing is left, and 0 % only where nothing runs", () => {
  assert.deepEqual([0, 0.00001, 0.5, 0.99999, 1, null].map(percent), [
    "0 %",
    "0.1 %",
    "50.0 %",
    "99.9 %",
    "100 %",
    "–",
  ]);
});

test("durations have a unit that fits", () => {
  assert.deepEqual([0.25, 1.8, 40, 1700, 23_400, 125_000].map(milliseconds), [
    "0.25 ms",
    "1.8 ms",
    "40 ms",
    "1.7 s",
    "23 s",
    "2 min 5 s",
  ]);
});

test("lines are shown as ranges", () => {
  assert.equal(ranges([3, 4, 5, 9]), "3–5, 9");
});

test("links lead to the web alone, with their values encoded", () => {
  assert.equal(fromTemplate("https://j/trace/{trace}", { trace: "a b" }), "https://j/trace/a%20b");
  assert.equal(
    fromTemplate("https://g/{revision}/{file}#L{line}", { file: "a/b.py", line: "3", revision: "r" }),
    "https://g/r/a/b.py#L3",
  );
  assert.equal(fromTemplate("javascript:alert(1)", {}), null);
  assert.equal(fromTemplate("", {}), null);
});

test("a revision is cut where it is a hash", () => {
  assert.equal(shortRevision(`${"a".repeat(40)}+dirty.12`), `${"a".repeat(12)}+dirty`);
  assert.equal(shortRevision("v1.2"), "v1.2");
});

test("unknown figures sort last in both directions, equal ones stay as they were", () => {
  const columns = [{ key: "n", title: "", width: "", value: (row: [string, number | null]) => row[1] }];
  const rows: [string, number | null][] = [
    ["a", null],
    ["b", 1],
    ["c", 2],
    ["d", 1],
  ];
  const names = (sort: string) =>
    sorted(rows, columns, sort)
      .map(([name]) => name)
      .join("");
  assert.equal(names("n"), "bdca");
  assert.equal(names("-n"), "cbda");
});

test("lines in a row that the same profiles execute are one group", () => {
  assert.deepEqual(
    groups([
      { line: 2, set: 1 },
      { line: 3, set: 1 },
      { line: 5, set: 0 },
    ]),
    [
      { set: 1, lines: [2, 3] },
      { set: 0, lines: [5] },
    ],
  );
});

test("groups follow the order of the rows, and those that are closed keep their rows to themselves", () => {
  const groups = grouped(["b1", "a1", "b2"], (row) => row.slice(0, 1));
  assert.deepEqual(groups, [
    { name: "b", rows: ["b1", "b2"] },
    { name: "a", rows: ["a1"] },
  ]);
  const shown = items(groups, new Set(["b"])).map(({ row, group }) => row ?? `${group?.name}:`);
  assert.deepEqual(shown, ["b:", "a:", "a1"]);
});

test("a filter finds rows that have all of its words, in any case", () => {
  const rows = ["shop.orders:Place", "shop.orders:cancel", "shop.jobs:place"];
  const filter = new RowFilter(rows, (row) => row);
  assert.deepEqual(filter.matching("PLACE orders"), ["shop.orders:Place"]);
  assert.deepEqual(filter.matching("nowhere"), []);
  assert.equal(filter.matching("  "), rows);
  assert.equal(filter.matching("shop"), rows);
});

test("texts are made before a filter asks for them, some at a time, and each once", () => {
  const rows = Array.from({ length: 10_000 }, (_, number) => number);
  let made = 0;
  const filter = new RowFilter(rows, (row) => {
    made++;
    return `f${row}`;
  });
  const steps: (() => void)[] = [];
  filter.prepare((step) => {
    steps.push(step);
    return () => steps.splice(0);
  });
  const after: number[] = [];
  for (let step = steps.shift(); step; step = steps.shift()) {
    step();
    after.push(made);
  }
  assert.deepEqual(after, [4096, 8192, 10_000]);
  assert.deepEqual(filter.matching("f9999"), [9999]);
  assert.equal(made, 10_000);
});

test("a table that is left makes no more texts", () => {
  let made = 0;
  const filter = new RowFilter([1, 2, 3], (row) => {
    made++;
    return `${row}`;
  });
  let next: (() => void) | null = null;
  const stop = filter.prepare((step) => {
    next = step;
    return () => {
      next = null;
    };
  });
  stop();
  assert.equal(next, null);
  assert.equal(made, 0);
  assert.deepEqual(filter.matching("2"), [2]);
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { fromBase64, inflate, readColumns, unzigzag } from "../src/data/blocks";
import { toCsv } from "../src/data/csv";
import { type Head, Model } from "../src/data/model";
import { Search } from "../src/data/search";
import { findNode, functionsBelow } from "../src/data/tree";
import { nextGap } from "../src/views/gaps";

/** Two profiles; shop: create; shop.orders: class Order with total and cancel, place, and place's check. */
function model(): Model {
  const columns: [string, number[]][] = [
    ["symbol.module", [0, 1, 0, 0, 0, 0]],
    ["symbol.line", [2, 10, 4, 10, 16, 4]],
    ["symbol.length", [1, 15, 3, 2, 8, 2]],
    ["symbol.kind", [4, 1, 0, 0, 0, 0]],
    ["symbol.set", [0, 0, 1, 0, 2, 2]],
    ["symbol.trace", [0, 0, 1, 0, 1, 1]],
    // a count of lines for each symbol, then the steps from line to line
    ["line.step", [1, 2, 0, 2, 2, 2, 1, 2, 2, 4, 2, 1, 2]],
    ["line.set", [0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 0, 1]],
  ];
  const bytes = columns.flatMap(([, values]) => values);
  const profile = (name: string) => ({ name, played: [], functions: 2 });
  const head = {
    columns: columns.map(([name, values]) => [name, values.length]),
    set_width: 1,
    profiles: [profile("browse"), profile("checkout")],
    links: {},
  } as unknown as Head;
  const names = {
    modules: ["shop", "shop.orders"],
    files: ["shop/__init__.py", "shop/orders.py"],
    qualnames: ["create", "Order", "Order.total", "Order.cancel", "place", "place.<locals>.check"],
    traces: ["t1"],
  };
  return new Model(head, names, Uint8Array.from(bytes), Uint8Array.from([0b10, 0b11]));
}

test("columns are varints", () => {
  const columns = readColumns(Uint8Array.from([0, 127, 0x80, 1, 0xac, 2]), [
    ["small", 2],
    ["large", 2],
  ]);
  assert.deepEqual([...(columns.get("small") ?? [])], [0, 127]);
  assert.deepEqual([...(columns.get("large") ?? [])], [128, 300]);
  assert.deepEqual([0, 1, 2, 3].map(unzigzag), [0, -1, 1, -2]);
});

test("a block is inflated with and without the browser's help", async () => {
  const block = fromBase64(deflateSync("lines").toString("base64"));
  assert.equal(new TextDecoder().decode(await inflate(block)), "lines");
  const native = globalThis.DecompressionStream;
  try {
    Reflect.deleteProperty(globalThis, "DecompressionStream");
    assert.equal(new TextDecoder().decode(await inflate(block)), "lines");
  } finally {
    globalThis.DecompressionStream = native;
  }
});

test("symbols have their names, and lines the profiles that execute them", () => {
  const found = model();
  assert.equal(found.id(3), "shop.orders:Order.cancel@12");
  assert.deepEqual(found.linesOf(2), [
    { line: 8, set: 1 },
    { line: 9, set: 0 },
  ]);
  assert.deepEqual(found.sets.members(2), [0, 1]);
  assert.deepEqual(found.functionsOf(0), [4, 5]);
  assert.equal(found.find("shop.orders:place@20"), 4);
});

test("the tree sums up packages, modules and classes", () => {
  const { tree } = model();
  const order = findNode(tree, "shop.orders:Order@5");
  assert.equal(order?.functions, 2);
  assert.equal(order?.functionsRun, 1);
  assert.equal(findNode(tree, "shop.__init__")?.atStartup, 1);
  assert.deepEqual(functionsBelow(findNode(tree, "shop.orders") as never), [2, 3, 4, 5]);
  assert.equal(findNode(tree, "shop.orders:Order.cancel@12")?.name, "cancel");
});

test("one wrong letter is forgiven", () => {
  const search = new Search(model());
  for (const text of ["cancel", "cancle", "canzel", "cncel", "orders cancel"]) {
    assert.equal(search.find(text)[0]?.name, "shop.orders:Order.cancel", text);
  }
  assert.equal(search.find("checkout")[0]?.href, "#/profile/checkout");
  assert.deepEqual(search.find("zzzz"), []);
});

test("gaps follow one another, and the first comes after the last", () => {
  const found = model();
  assert.equal(nextGap(found, "", 1), "#/function/shop%3Acreate%401");
  assert.equal(nextGap(found, "shop:create@1", 1), "#/function/shop.orders%3AOrder.cancel%4012");
  assert.equal(nextGap(found, "shop.orders:Order.cancel@12", 1), "#/function/shop%3Acreate%401");
  assert.equal(nextGap(found, "shop.orders:Order.cancel@12", -1), "#/function/shop%3Acreate%401");
});

test("CSV keeps formulas from running", () => {
  assert.equal(
    toCsv(
      ["a", "b"],
      [
        ["=1+1", 'x "y", z'],
        [null, -1],
      ],
    ),
    'a,b\n\'=1+1,"x ""y"", z"\n,-1\n',
  );
});

import assert from "node:assert/strict";
import { test } from "node:test";
import { deflateSync } from "node:zlib";
import { dataOf, Live, type Status } from "../src/data/live";
import { ago } from "../src/ui/format";

function packed(bytes: string | Uint8Array): string {
  return deflateSync(bytes).toString("base64");
}

/** The data of a page about one profile. */
function page(version: string, profile: string) {
  const head = { columns: [], set_width: 1, profiles: [{ name: profile, played: [] }], links: {} };
  const names = { modules: [], files: [], qualnames: [], traces: [] };
  const blocks = {
    head: packed(JSON.stringify(head)),
    names: packed(JSON.stringify(names)),
    numbers: packed(new Uint8Array()),
    sets: packed(new Uint8Array()),
  };
  return { version, blocks };
}

/** A server: what it answers next, and what it was asked. */
class Server {
  status: Status = { phase: "ready", message: "", problem: "", version: "a", age: 3 };
  profile = "checkout";
  code = 200;
  asked: string[] = [];
  during: () => void = () => {};

  readonly ask = async (path: string): Promise<Response> => {
    this.asked.push(path);
    if (this.code === 0) throw new TypeError("Failed to fetch");
    this.during();
    const document = path === "status.json" ? this.status : page(this.status.version, this.profile);
    return new Response(JSON.stringify(document), { status: this.code });
  };
}

const NOW = 1_000_000;
const names = (live: Live) => live.model.value?.profiles.map((profile) => profile.name);

test("the data are asked for when they are others, and only then", async () => {
  const server = new Server();
  const live = new Live(server.ask, () => NOW);
  assert.equal(live.link.value, "connecting");
  await live.poll();
  await live.poll();
  assert.deepEqual(server.asked, ["status.json", "page.json", "status.json"]);
  assert.deepEqual([names(live), live.link.value, live.updated.value], [["checkout"], "live", NOW - 3000]);
  const shown = live.model.value;
  server.status = { ...server.status, age: 1 };
  await live.poll();
  assert.equal(live.model.value, shown); // the same object: nothing is drawn again
  assert.equal(live.updated.value, NOW - 1000);
  server.status = { ...server.status, version: "b" };
  server.profile = "browse";
  await live.poll();
  assert.deepEqual(names(live), ["browse"]);
});

test("a pause holds what is shown, also against an answer that is on its way", async () => {
  const server = new Server();
  const live = new Live(server.ask, () => NOW);
  await live.poll();
  server.status = { ...server.status, version: "b" };
  server.profile = "browse";
  server.during = () => live.pause();
  await live.poll();
  assert.deepEqual([names(live), live.link.value], [["checkout"], "paused"]);
  server.during = () => {};
  await live.resume();
  assert.deepEqual([names(live), live.link.value], [["browse"], "live"]);
});

test("what is shown stays while nobody answers, or the store cannot be read", async () => {
  const server = new Server();
  const live = new Live(server.ask, () => NOW);
  await live.poll();
  server.code = 0;
  await live.poll();
  assert.deepEqual([names(live), live.link.value], [["checkout"], "away"]);
  server.code = 503;
  await live.poll();
  assert.equal(live.link.value, "away");
  server.code = 401;
  await live.poll();
  assert.deepEqual([names(live), live.link.value], [["checkout"], "refused"]);
  server.code = 200;
  server.status = { ...server.status, problem: "its collector has stopped" };
  await live.poll();
  assert.deepEqual([names(live), live.link.value], [["checkout"], "live"]);
  assert.equal(live.status.value?.problem, "its collector has stopped");
});

test("a store that was emptied is waited for again", async () => {
  const server = new Server();
  const live = new Live(server.ask, () => NOW);
  await live.poll();
  server.status = { phase: "waiting", message: "no coverage", problem: "", version: "", age: 0 };
  await live.poll();
  assert.deepEqual([live.model.value, live.status.value?.phase], [null, "waiting"]);
  server.status = { ...server.status, phase: "ready", version: "a" };
  await live.poll();
  assert.deepEqual(names(live), ["checkout"]);
});

test("each view has the address of its data", () => {
  assert.deepEqual(dataOf("gaps", []), ["gaps.json", "gaps.csv"]);
  assert.deepEqual(dataOf("profile", ["a/b"]), ["profiles/a%2Fb.json"]);
  assert.deepEqual(dataOf("licenses", []), []);
});

test("a time that has passed is in its largest unit", () => {
  const [second, hour] = [1000, 3_600_000];
  assert.deepEqual([-5, 59 * second, 61 * second, 2 * hour, 72 * hour].map(ago), [
    "0 s",
    "59 s",
    "1 min",
    "2 h",
    "3 days",
  ]);
});

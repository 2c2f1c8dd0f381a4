/** The data of a page over a live store: asked for every few seconds, and replaced when they are others. */
import { batch, signal } from "@preact/signals";
import { fromBase64, inflate } from "./blocks";
import { Model } from "./model";

/** How things stand, as the server says: `reporting/serving/live.py`. */
export interface Status {
  phase: "reading" | "waiting" | "ready";
  /** What is being read, or waited for. */
  message: string;
  /** Why the store could not be read last; empty where it could. */
  problem: string;
  /** Of the data that there are; empty where there are none. */
  version: string;
  /** Seconds since these were read. */
  age: number;
}

/** `away`: the server does not answer; `refused`: it does not know this browser, as it was started anew. */
export type Link = "connecting" | "live" | "paused" | "away" | "refused";

export type Ask = (path: string) => Promise<Response>;

const INTERVAL = 2000; // milliseconds between two questions

export class Live {
  readonly link = signal<Link>("connecting");
  readonly status = signal<Status | null>(null);
  readonly model = signal<Model | null>(null);
  /** When what is shown was read, in milliseconds since 1970. */
  readonly updated = signal(0);
  private version = "";
  private readonly ask: Ask;
  private readonly now: () => number;

  constructor(ask: Ask, now: () => number = Date.now) {
    this.ask = ask;
    this.now = now;
  }

  /** Ask once; what is shown stays where there is no answer, and where the data are the same. */
  async poll(): Promise<void> {
    try {
      const answer = await this.ask("status.json");
      if (answer.status === 401) return this.turn("refused");
      const status = (await read(answer)) as Status;
      const next = status.version && status.version !== this.version ? await this.next() : null;
      if (this.link.peek() === "paused") return;
      batch(() => {
        if (next) {
          this.version = next.version;
          this.model.value = next.model;
        } else if (!status.version) {
          this.version = "";
          this.model.value = null;
        }
        // the same data may have been read again
        if (status.version === this.version) this.updated.value = this.now() - status.age * 1000;
        this.status.value = status;
        this.link.value = "live";
      });
    } catch {
      this.turn("away");
    }
  }

  /** Show what there is now until it is resumed. */
  pause(): void {
    this.link.value = "paused";
  }

  async resume(): Promise<void> {
    this.link.value = "connecting";
    await this.poll();
  }

  /** Ask from now on, as long as the page is to be seen. */
  follow(): void {
    let timer = 0;
    const again = async () => {
      clearTimeout(timer);
      if (!document.hidden && this.link.peek() !== "paused") await this.poll();
      clearTimeout(timer); // of a poll that began meanwhile
      timer = setTimeout(again, INTERVAL) as unknown as number;
    };
    document.addEventListener("visibilitychange", () => {
      if (!document.hidden) void again();
    });
    void again();
  }

  private async next(): Promise<{ version: string; model: Model }> {
    const { version, blocks } = (await read(await this.ask("page.json"))) as {
      version: string;
      blocks: Record<string, string>;
    };
    const block = (name: string) => {
      const text = blocks[name];
      if (text === undefined) throw new Error(`no data about ${name}`);
      return inflate(fromBase64(text));
    };
    return { version, model: await Model.read(block) };
  }

  private turn(link: Link): void {
    if (this.link.peek() !== "paused") this.link.value = link;
  }
}

async function read(answer: Response): Promise<unknown> {
  if (!answer.ok) throw new Error(`status ${answer.status}`);
  return answer.json();
}

/** Where the data of a view are, by their addresses: JSON first, then CSV where there is that. */
export function dataOf(view: string, names: readonly string[]): string[] {
  const both = (name: string) => [`${name}.json`, `${name}.csv`];
  const found: Record<string, string[]> = {
    overview: both("history"),
    profiles: both("profiles"),
    profile: [`profiles/${encodeURIComponent(names[0] ?? "")}.json`],
    compare: both("matrix"),
    entries: both("entry-points"),
    entry: both("entry-points"),
    code: ["symbols.json"],
    function: both("reverse-index"),
    matrix: both("matrix"),
    gaps: both("gaps"),
    changes: both("diff"),
  };
  return found[view] ?? [];
}

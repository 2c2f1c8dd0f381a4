/** One search for profiles, entry points, modules and symbols, tolerant of a typing error in each word. */
import uFuzzy from "@leeoniya/ufuzzy";
import type { EntryPoint, Model } from "./model";

export interface Hit {
  kind: "profile" | "entry point" | "module" | "class" | "function";
  name: string;
  /** Parts of the name that matched: from, to, from, to … */
  ranges: number[];
  href: string;
  isRun: boolean;
}

interface Entry {
  kind: Hit["kind"];
  number: number;
}

export class Search {
  private readonly model: Model;
  private readonly names: string[] = [];
  private readonly entries: Entry[] = [];
  // one missing, extra, wrong or swapped letter in each word of three letters or more
  private readonly fuzzy = new uFuzzy({ intraMode: 1, intraIns: 1, intraSub: 1, intraTrn: 1, intraDel: 1 });
  private readonly exact = new uFuzzy({ intraMode: 0, intraIns: 0 });

  constructor(model: Model) {
    this.model = model;
    const add = (kind: Hit["kind"], number: number, name: string) => {
      this.names.push(name);
      this.entries.push({ kind, number });
    };
    model.profiles.forEach((profile, number) => {
      add("profile", number, profile.name);
    });
    model.head.entry_points?.forEach((entry, number) => {
      add("entry point", number, entry.name);
    });
    model.names.modules.forEach((name, number) => {
      add("module", number, name);
    });
    for (let symbol = 0; symbol < model.count; symbol++) {
      add(model.isClass(symbol) ? "class" : "function", symbol, `${model.moduleOf(symbol)}:${model.qualname(symbol)}`);
    }
  }

  /** Search once, so that the first search that somebody waits for is as fast as the next ones. */
  warm(): void {
    for (const fuzzy of [this.exact, this.fuzzy]) this.with(fuzzy, "warm-up", 1);
  }

  find(text: string, limit = 40): Hit[] {
    const needle = text.trim().slice(0, 200);
    if (!needle) return [];
    const start = performance.now();
    const found = this.with(this.exact, needle, limit) ?? this.with(this.fuzzy, needle, limit) ?? [];
    performance.measure("search", { start });
    return found;
  }

  private with(fuzzy: uFuzzy, needle: string, limit: number): Hit[] | null {
    const found = fuzzy.filter(this.names, needle);
    if (!found?.length) return null;
    // ranking all of very many matches takes longer than typing; those that come first are the shortest lists
    const some = found.length > 2000 ? found.slice(0, 2000) : found;
    const info = fuzzy.info(some, this.names, needle);
    const order = fuzzy.sort(info, this.names, needle);
    return order.slice(0, limit).map((at) => this.hit(info.idx[at] as number, info.ranges[at] ?? []));
  }

  private hit(at: number, ranges: number[]): Hit {
    const { kind, number } = this.entries[at] as Entry;
    const name = this.names[at] as string;
    const href = {
      profile: () => link("profile", name),
      "entry point": () => {
        const entry = this.model.head.entry_points?.[number] as EntryPoint;
        return link("entry", entry.service, entry.kind, name);
      },
      module: () => link("code", name),
      class: () => link("code", this.model.id(number)),
      function: () => link("function", this.model.id(number)),
    }[kind]();
    return { kind, name, ranges, href, isRun: kind !== "function" || this.model.isRun(number) };
  }
}

function link(view: string, ...names: string[]): string {
  return `#/${[view, ...names.map(encodeURIComponent)].join("/")}`;
}

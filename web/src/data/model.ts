/** What the page knows: profiles, symbols and their lines, by number. `reporting/page/content.py` writes it. */
import { readColumns, unzigzag } from "./blocks";
import { type Baseline, Changes, type ChangesBlock } from "./changes";
import { buildTree, type TreeNode } from "./tree";

export interface Run {
  run: string;
  first_seen: string;
  last_seen: string;
  outcome: string;
  counted: boolean;
  complete: boolean;
  requests: number;
  jobs: number;
  missing: number;
  evidence: string;
}

export interface Profile {
  name: string;
  functions: number;
  functions_covered: number | null;
  percent: number | null;
  lines_covered: number | null;
  lines_percent: number | null;
  runs: number;
  failed_runs: number;
  counted_runs: number;
  requests: number;
  jobs: number;
  pending: number;
  complete: boolean;
  incomplete_reasons: string[];
  incomplete_details: string[];
  first_seen: string;
  last_seen: string;
  exemplar_trace_id: string;
  /** Why its figures may be too low; empty where nothing says so. */
  doubts: string;
  unique: number | null;
  contained_in: number[];
  played: Run[];
  /** Of each entry point that it reached: its number, requests, functions, p50, p95, the trace of the slowest. */
  entry_points?: [number, number, number, number | null, number | null, string][];
}

export interface EntryPoint {
  service: string;
  kind: "request" | "job" | "command";
  name: string;
  symbol: string;
  /** Number of a set of profiles. */
  profiles: number;
  requests: number;
  functions: number;
  lines: number | null;
  p50: number | null;
  p95: number | null;
  trace: string;
}

export interface EntryPointGap {
  service: string;
  kind: string;
  name: string;
  symbol: string;
}

export interface Totals {
  functions_covered: number;
  functions_total: number;
  percent: number | null;
  lines_covered: number;
  lines_total: number;
  lines_percent: number | null;
  functions: number;
  functions_at_startup: number | null;
}

/** A revision of the history, the oldest first. */
export interface HistoryPoint {
  revision: string;
  first_span: string;
  newest_span: string;
  runs: number;
  profiles: number;
  failed_profiles: number;
  incomplete_profiles: number;
  complete: boolean;
  functions: number;
  functions_covered: number | null;
  functions_total: number | null;
  percent: number | null;
  lines_covered: number | null;
  lines_total: number | null;
  lines_percent: number | null;
  duration_ms: number | null;
}

export interface Head {
  schema_version: number;
  revision: string;
  namespace: string;
  services: string[];
  selection: { runs: string[] | null; since: string | null; profiles: string[] | null };
  newest_span: string;
  runs: number;
  complete: boolean;
  problems: string[];
  /** What `complete` does not promise: profiles that were not played, jobs that wait; sentences. */
  caveats?: string[];
  notes: string[];
  catalog: boolean;
  startup: boolean;
  totals: Totals;
  /** Templates, and coverage.py's pages: of files, by path, and of profiles, by name. */
  links: {
    trace?: string;
    source?: string;
    pages?: Record<string, string>;
    profile_pages?: Record<string, string>;
  };
  profiles: Profile[];
  smallest_set: { profile: number; adds: number; functions: number; percent: number }[];
  columns: [string, number][];
  set_width: number;
  entry_set_width?: number;
  entry_points?: EntryPoint[] | null;
  entry_point_gaps?: EntryPointGap[] | null;
  /** Services that reported their URL map; of others no route is known that no profile asks for. */
  url_maps?: string[];
  baseline: Baseline | null;
  history: HistoryPoint[] | null;
}

export interface Names {
  modules: string[];
  files: string[];
  qualnames: string[];
  traces: string[];
}

export const CLASS = 1;
export const UNCATALOGED = 2;
export const AT_STARTUP = 4;

/** Sets of numbers as bitmaps; 0 is the empty one. */
export class Sets {
  readonly width: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, width: number) {
    this.bytes = bytes;
    this.width = width;
  }

  has(set: number, member: number): boolean {
    return set > 0 && (((this.bytes[(set - 1) * this.width + (member >> 3)] as number) >> (member & 7)) & 1) === 1;
  }

  /** Call with each member, in order. */
  each(set: number, visit: (member: number) => void): void {
    if (set === 0) return;
    const from = (set - 1) * this.width;
    for (let at = 0; at < this.width; at++) {
      let bits = this.bytes[from + at] as number;
      while (bits) {
        visit(at * 8 + 31 - Math.clz32(bits & -bits));
        bits &= bits - 1;
      }
    }
  }

  members(set: number): number[] {
    const found: number[] = [];
    this.each(set, (member) => found.push(member));
    return found;
  }

  size(set: number): number {
    let count = 0;
    if (set > 0) {
      const from = (set - 1) * this.width;
      for (let at = from; at < from + this.width; at++) {
        for (let bits = this.bytes[at] as number; bits; bits &= bits - 1) count++;
      }
    }
    return count;
  }
}

export interface Line {
  line: number;
  /** Number of the set of profiles that execute it. */
  set: number;
}

export class Model {
  readonly head: Head;
  readonly names: Names;
  readonly sets: Sets;
  readonly entrySets: Sets;
  readonly count: number;
  readonly module: Int32Array;
  readonly line: Int32Array;
  readonly endLine: Int32Array;
  readonly kind: Int32Array;
  /** Number of the set of profiles that execute each symbol. */
  readonly set: Int32Array;
  readonly trace: Int32Array;
  /** Number of the set of entry points that reach each symbol. */
  readonly entrySet: Int32Array;
  /** Executable lines of each symbol, and those that some profile executes. */
  readonly lines: Int32Array;
  readonly linesRun: Int32Array;
  /** Functions of each module that the catalog has. */
  readonly functionsIn: Int32Array;
  readonly tree: TreeNode;
  /** What changed since the baseline; null without one. */
  readonly changes: Changes | null;
  private readonly lineStart: Int32Array;
  private readonly lineStep: Int32Array;
  private readonly lineSet: Int32Array;
  private ids: Map<string, number> | null = null;

  constructor(
    head: Head,
    names: Names,
    numbers: Uint8Array,
    sets: Uint8Array,
    entrySets: Uint8Array = new Uint8Array(),
    changes: ChangesBlock | null = null,
  ) {
    this.head = head;
    this.names = names;
    this.sets = new Sets(sets, head.set_width);
    this.entrySets = new Sets(entrySets, head.entry_set_width ?? 0);
    const columns = readColumns(numbers, head.columns);
    const column = (name: string) => columns.get(name) ?? new Int32Array(names.qualnames.length);
    this.count = names.qualnames.length;
    this.module = column("symbol.module");
    this.line = column("symbol.line");
    this.endLine = column("symbol.length");
    this.kind = column("symbol.kind");
    this.set = column("symbol.set");
    this.trace = column("symbol.trace");
    this.entrySet = column("symbol.entries");
    this.lineStep = column("line.step");
    this.lineSet = column("line.set");
    this.lineStart = new Int32Array(this.count + 1);
    this.lines = new Int32Array(this.count);
    this.linesRun = new Int32Array(this.count);
    this.functionsIn = new Int32Array(names.modules.length);
    let module = 0;
    let line = 0;
    let at = 0;
    for (let symbol = 0; symbol < this.count; symbol++) {
      const step = this.module[symbol] as number;
      if (step) line = 0;
      module += step;
      line += unzigzag(this.line[symbol] as number);
      this.module[symbol] = module;
      this.line[symbol] = line;
      this.endLine[symbol] = line + (this.endLine[symbol] as number);
      const lines = this.lineStep[at] as number;
      this.lines[symbol] = lines;
      this.lineStart[symbol] = ++at;
      for (const end = at + lines; at < end; at++) if (this.lineSet[at]) (this.linesRun[symbol] as number)++;
      if (!this.isClass(symbol) && !this.isUncataloged(symbol)) (this.functionsIn[module] as number)++;
    }
    this.changes = changes && new Changes(changes, column("symbol.change"));
    this.tree = buildTree(this);
  }

  /** @param block the bytes of a block, by its name. */
  static async read(block: (name: string) => Promise<Uint8Array>): Promise<Model> {
    const json = async <T>(name: string) => JSON.parse(new TextDecoder().decode(await block(name))) as T;
    const head = await json<Head>("head");
    const [names, numbers, sets, entrySets, changes] = await Promise.all([
      json<Names>("names"),
      block("numbers"),
      block("sets"),
      head.entry_set_width ? block("entry-sets") : new Uint8Array(),
      head.baseline ? json<ChangesBlock>("changes") : null,
    ]);
    return new Model(head, names, numbers, sets, entrySets, changes);
  }

  get profiles(): Profile[] {
    return this.head.profiles;
  }

  profile(name: string): number {
    return this.head.profiles.findIndex((profile) => profile.name === name);
  }

  /** The number of an entry point; -1 where there is none. */
  entry(service: string, kind: string, name: string): number {
    const all = this.head.entry_points ?? [];
    return all.findIndex((each) => each.name === name && each.service === service && each.kind === kind);
  }

  /** The entry points that a profile reached, with its own requests and durations. */
  entriesOf(profile: Profile): EntryPoint[] {
    return (profile.entry_points ?? []).map(([number, requests, functions, p50, p95, trace]) => {
      const entry = this.head.entry_points?.[number] as EntryPoint;
      return { ...entry, requests, functions, lines: null, p50, p95, trace };
    });
  }

  moduleOf(symbol: number): string {
    return this.names.modules[this.module[symbol] as number] as string;
  }

  fileOf(symbol: number): string {
    return this.names.files[this.module[symbol] as number] as string;
  }

  qualname(symbol: number): string {
    return this.names.qualnames[symbol] as string;
  }

  /** `module:qualname@line` */
  id(symbol: number): string {
    return `${this.moduleOf(symbol)}:${this.qualname(symbol)}@${this.line[symbol]}`;
  }

  find(id: string): number {
    if (!this.ids) {
      this.ids = new Map();
      for (let symbol = 0; symbol < this.count; symbol++) this.ids.set(this.id(symbol), symbol);
    }
    return this.ids.get(id) ?? -1;
  }

  isClass(symbol: number): boolean {
    return ((this.kind[symbol] as number) & CLASS) !== 0;
  }

  isUncataloged(symbol: number): boolean {
    return ((this.kind[symbol] as number) & UNCATALOGED) !== 0;
  }

  isAtStartup(symbol: number): boolean {
    return ((this.kind[symbol] as number) & AT_STARTUP) !== 0;
  }

  isRun(symbol: number): boolean {
    return this.set[symbol] !== 0;
  }

  runs(profile: number, symbol: number): boolean {
    return this.sets.has(this.set[symbol] as number, profile);
  }

  traceOf(symbol: number): string {
    const number = this.trace[symbol] as number;
    return number ? (this.names.traces[number - 1] as string) : "";
  }

  /** How many of its lines a profile executes. */
  linesRunBy(profile: number, symbol: number): number {
    const own = this.set[symbol] as number;
    const inOwn = this.sets.has(own, profile);
    let found = 0;
    const from = this.lineStart[symbol] as number;
    for (let at = from; at < from + (this.lines[symbol] as number); at++) {
      const code = this.lineSet[at] as number;
      if (code === 1 ? inOwn : code > 1 && this.sets.has(code - 1, profile)) found++;
    }
    return found;
  }

  /** Its executable lines, with the profiles that execute each. */
  linesOf(symbol: number): Line[] {
    const found: Line[] = [];
    let line = this.line[symbol] as number;
    const from = this.lineStart[symbol] as number;
    for (let at = from; at < from + (this.lines[symbol] as number); at++) {
      line += unzigzag(this.lineStep[at] as number);
      const code = this.lineSet[at] as number;
      found.push({ line, set: code === 0 ? 0 : code === 1 ? (this.set[symbol] as number) : code - 1 });
    }
    return found;
  }

  /** The functions, classes left out, that a profile executes. */
  functionsOf(profile: number): number[] {
    const found: number[] = [];
    for (let symbol = 0; symbol < this.count; symbol++) if (this.runs(profile, symbol)) found.push(symbol);
    return found;
  }
}

/** How long the newest run of a profile that counts took, in milliseconds, from its first span's begin to its last's. */
export function duration(profile: Profile): number | null {
  const run = profile.played.filter((each) => each.counted).at(-1);
  return run ? Math.max(0, Date.parse(run.last_seen) - Date.parse(run.first_seen)) : null;
}

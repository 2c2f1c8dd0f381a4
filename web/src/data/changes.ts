/** What changed since the baseline. `reporting/page/changes.py` writes it. */

/** Figures of an earlier revision or night, to compare with. */
export interface Baseline {
  revision: string;
  selection: { runs: string[] | null };
  newest_span: string;
  complete: boolean;
  /** Whether both revisions have a catalog; without, nothing is known of the code. */
  catalog: boolean;
  totals: BaselineTotals | null;
  counts: Record<string, number | null>;
}

export interface BaselineTotals {
  functions: number;
  functions_covered: number;
  functions_total: number;
  lines_covered: number;
  lines_total: number;
}

export interface ProfileChange {
  profile: string;
  status: "compared" | "new" | "not played";
  functions: number | null;
  functions_before: number | null;
  functions_gained: number | null;
  functions_lost: number | null;
  functions_unknown: number;
  lines_gained: number | null;
  lines_lost: number | null;
  entry_points_gained: number | null;
  entry_points_lost: number | null;
  reason: string;
}

export interface EntryPointChange {
  service: string;
  kind: string;
  name: string;
  exists: boolean | null;
  is_new: boolean | null;
  change: "gained" | "lost" | "";
  certain: boolean;
  /** Numbers of sets of profiles: who gained it, who lost it, of whom it is unknown. */
  who: [number, number, number];
}

/** Number of the symbol; sets of profiles that gained it, lost it, are unknown; lines gained, lost, unknown. */
type FunctionRow = [number, number, number, number, number[], number[], number[]];

export interface ChangesBlock {
  functions: FunctionRow[];
  /** Functions that are executed no more and that this report does not have: symbol, what became of it, certain. */
  gone: [string, string, boolean][];
  entry_points: EntryPointChange[];
  profiles: ProfileChange[];
}

export interface FunctionChange {
  gainedBy: number;
  lostBy: number;
  unknown: number;
  linesGained: number[];
  linesLost: number[];
  linesUnknown: number[];
}

export type Code = "" | "unchanged" | "changed" | "new";
export type Change = "" | "gained" | "lost";
/** What a treemap tells apart. */
export type State = "unknown" | "unchanged" | "changed and run" | "changed and not run" | "new and not run";

export const STATES: readonly State[] = [
  "unchanged",
  "changed and run",
  "changed and not run",
  "new and not run",
  "unknown",
];

const CODES: readonly Code[] = ["", "unchanged", "changed", "new"];

export class Changes {
  readonly block: ChangesBlock;
  private readonly codes: Int32Array;
  private readonly functions = new Map<number, FunctionChange>();

  /** `codes` has for each symbol what became of its text, and of who executes it. */
  constructor(block: ChangesBlock, codes: Int32Array) {
    this.block = block;
    this.codes = codes;
    for (const [symbol, gainedBy, lostBy, unknown, linesGained, linesLost, linesUnknown] of block.functions)
      this.functions.set(symbol, { gainedBy, lostBy, unknown, linesGained, linesLost, linesUnknown });
  }

  code(symbol: number): Code {
    return CODES[(this.codes[symbol] as number) & 3] as Code;
  }

  /** What all profiles together gained or lost. */
  change(symbol: number): Change {
    const code = this.codes[symbol] as number;
    return code & 4 ? "gained" : code & 8 ? "lost" : "";
  }

  isCertain(symbol: number): boolean {
    return ((this.codes[symbol] as number) & 16) === 0;
  }

  of(symbol: number): FunctionChange | null {
    return this.functions.get(symbol) ?? null;
  }

  /** Number of the state in `STATES`. A new function that runs counts as one that changed and runs. */
  state(symbol: number, isRun: boolean): number {
    const code = this.code(symbol);
    if (code === "") return 4;
    if (code === "unchanged") return 0;
    return isRun ? 1 : code === "changed" ? 2 : 3;
  }

  profile(name: string): ProfileChange | null {
    return this.block.profiles.find((each) => each.profile === name) ?? null;
  }
}

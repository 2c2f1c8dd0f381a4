/** Rows by words in their texts. To make the texts takes longer than to look into them. */

/** Texts that are made at a time, so that no key waits. */
const SLICE = 4096;

export class RowFilter<Row> {
  readonly rows: readonly Row[];
  private readonly text: (row: Row) => string;
  private readonly lower: string[] = [];

  constructor(rows: readonly Row[], text: (row: Row) => string) {
    this.rows = rows;
    this.text = text;
  }

  /** The rows whose text has all words of a filter, in their order; the very array where that is all of them. */
  matching(filter: string): readonly Row[] {
    const words = filter.toLowerCase().split(/\s+/).filter(Boolean);
    if (words.length === 0) return this.rows;
    this.makeUntil(this.rows.length);
    const found = this.rows.filter((_, at) => words.every((word) => (this.lower[at] as string).includes(word)));
    return found.length === this.rows.length ? this.rows : found;
  }

  /** Make the texts before they are asked for, some at a time. Returns a function that stops it. */
  prepare(later: (step: () => void) => () => void = soon): () => void {
    let stop = () => {};
    const step = () => {
      this.makeUntil(this.lower.length + SLICE);
      if (this.lower.length < this.rows.length) stop = later(step);
    };
    stop = later(step);
    return () => stop();
  }

  private makeUntil(end: number): void {
    for (let at = this.lower.length; at < Math.min(end, this.rows.length); at++)
      this.lower.push(this.text(this.rows[at] as Row).toLowerCase());
  }
}

function soon(step: () => void): () => void {
  const timer = setTimeout(step);
  return () => clearTimeout(timer);
}

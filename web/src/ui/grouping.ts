/** Rows below headings, for tables. */

export interface Group<Row> {
  name: string;
  rows: readonly Row[];
}

/** What stands in one row of a table: data, or the heading of a group. */
export type Item<Row> = { row: Row; group: null } | { row: null; group: Group<Row> };

/** Groups in the order of the first row of each, which therefore follows the order of the rows. */
export function grouped<Row>(rows: readonly Row[], nameOf: (row: Row) => string): Group<Row>[] {
  const found = new Map<string, Row[]>();
  for (const row of rows) {
    const name = nameOf(row);
    const group = found.get(name);
    if (group) group.push(row);
    else found.set(name, [row]);
  }
  return [...found].map(([name, rows]) => ({ name, rows }));
}

/** The headings, each followed by its rows unless it is closed. */
export function items<Row>(groups: readonly Group<Row>[], closed: ReadonlySet<string>): Item<Row>[] {
  const found: Item<Row>[] = [];
  for (const group of groups) {
    found.push({ row: null, group });
    if (!closed.has(group.name)) for (const row of group.rows) found.push({ row, group: null });
  }
  return found;
}

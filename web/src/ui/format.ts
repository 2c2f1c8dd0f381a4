/** Figures as text. */

const COUNT = new Intl.NumberFormat("en");

export function count(value: number | null | undefined): string {
  return value == null ? "–" : COUNT.format(value);
}

/** A share from 0 to 1. It is 100 % only where nothing is left, and 0 % only where there is nothing. */
export function percent(share: number | null | undefined): string {
  if (share == null) return "–";
  const shown = Math.min(Math.max(share * 100, share > 0 ? 0.1 : 0), share < 1 ? 99.9 : 100);
  return `${shown.toFixed(shown === 0 || shown === 100 ? 0 : 1)} %`;
}

export function milliseconds(value: number | null | undefined): string {
  if (value == null) return "–";
  if (value === 0) return "0 ms";
  if (value < 1) return `${value.toFixed(2)} ms`;
  if (value < 1000) return `${value < 10 ? value.toFixed(1) : Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} s`;
  return `${Math.floor(value / 60_000)} min ${Math.round((value % 60_000) / 1000)} s`;
}

/** A time that has passed, in milliseconds, in its largest unit. */
export function ago(milliseconds: number): string {
  const seconds = Math.max(0, Math.floor(milliseconds / 1000));
  if (seconds < 60) return `${seconds} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 48 * 3600 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86_400)} days`;
}

export function time(iso: string): string {
  return iso ? `${iso.slice(0, 10)} ${iso.slice(11, 16)} UTC` : "–";
}

export function plural(value: number, word: string, words = `${word}s`): string {
  return `${count(value)} ${value === 1 ? word : words}`;
}

/** Line numbers as ranges: 3–5, 9. */
export function ranges(lines: readonly number[]): string {
  const parts: string[] = [];
  for (let at = 0; at < lines.length; ) {
    let end = at;
    while (lines[end + 1] === (lines[end] as number) + 1) end++;
    parts.push(end > at ? `${lines[at]}–${lines[end]}` : String(lines[at]));
    at = end + 1;
  }
  return parts.join(", ");
}

/** Name of a revision as people write it. */
export function shortRevision(revision: string): string {
  const hex = /^([0-9a-f]{12})[0-9a-f]{28}(\+dirty)?/.exec(revision);
  return hex ? `${hex[1]}${hex[2] ?? ""}` : revision || "unknown";
}

/** An address from a template, its placeholders encoded; null where it is not one of http or https. */
export function fromTemplate(template: string | undefined, values: Record<string, string>): string | null {
  if (!template || !/^https?:\/\//i.test(template)) return null;
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    return value === undefined ? whole : value.split("/").map(encodeURIComponent).join("/");
  });
}

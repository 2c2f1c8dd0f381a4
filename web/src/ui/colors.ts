/** The page's colours, as a canvas needs them: resolved for light or dark. */

export interface Rgb {
  r: number;
  g: number;
  b: number;
}

/** What custom properties of the page's looks stand for now. */
export function resolve<Name extends string>(...names: Name[]): Record<Name, string> {
  const probe = document.createElement("span");
  document.body.append(probe);
  const found = {} as Record<Name, string>;
  for (const name of names) {
    probe.style.color = `var(--${name})`;
    found[name] = getComputedStyle(probe).color;
  }
  probe.remove();
  return found;
}

export function rgb(color: string): Rgb {
  const [r = 0, g = 0, b = 0] = (color.match(/[\d.]+/g) ?? []).map(Number);
  return { r, g, b };
}

/** Between two colours: 0 is the first, 1 the second. */
export function mix(from: Rgb, to: Rgb, share: number): string {
  const part = (a: number, b: number) => Math.round(a + (b - a) * share);
  return `rgb(${part(from.r, to.r)} ${part(from.g, to.g)} ${part(from.b, to.b)})`;
}

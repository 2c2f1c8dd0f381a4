/** What is shown is in the address alone: `#/view/name/…?setting=value`. */
import { computed, signal } from "@preact/signals";

export interface Route {
  view: string;
  names: string[];
  settings: URLSearchParams;
}

export function parse(hash: string): Route {
  const [path = "", query = ""] = hash.replace(/^#\/?/, "").split("?", 2);
  const [view = "", ...names] = path.split("/").map(decode);
  return { view: view || "overview", names, settings: new URLSearchParams(query) };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // somebody's own address
  }
}

/** The address of a view. */
export function href(view: string, names: readonly string[] = [], settings: Record<string, string> = {}): string {
  const query = new URLSearchParams(Object.entries(settings).filter(([, value]) => value !== "")).toString();
  return `#/${[view, ...names].map(encodeURIComponent).join("/")}${query ? `?${query}` : ""}`;
}

const hash = signal("");
export const route = computed(() => parse(hash.value));

/** Follow the address from now on. */
export function follow(): void {
  const update = () => {
    hash.value = location.hash;
  };
  addEventListener("hashchange", update);
  addEventListener("popstate", update);
  // a sandboxed frame of a file may not even change the fragment of its address: then views change without
  addEventListener("click", (event) => {
    const link = (event.target as Element | null)?.closest?.<HTMLAnchorElement>('a[href^="#/"]');
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    go(link.getAttribute("href") as string);
  });
  update();
}

/** Show the view of an address; the browser's back leads to the one before. */
export function go(to: string): void {
  try {
    history.pushState(null, "", to);
  } catch {
    // no address of its own
  }
  hash.value = to;
}

/** Change settings of the view without a step in the history; an empty one is removed. */
export function change(settings: Record<string, string>): void {
  const { view, names, settings: now } = route.peek();
  const next = href(view, names, { ...Object.fromEntries(now), ...settings });
  try {
    history.replaceState(null, "", next);
  } catch {
    // no address of its own
  }
  hash.value = next;
}

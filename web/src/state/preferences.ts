/** What the browser remembers for this person, where it may. */
import { effect, signal } from "@preact/signals";

function remembered(name: string): string {
  try {
    return localStorage.getItem(`otel-coverage.${name}`) ?? "";
  } catch {
    return ""; // a sandbox, or a file
  }
}

function preference(name: string) {
  const value = signal(remembered(name));
  effect(() => {
    const now = value.value;
    try {
      if (now) localStorage.setItem(`otel-coverage.${name}`, now);
      else localStorage.removeItem(`otel-coverage.${name}`);
    } catch {
      // then it lasts as long as the page
    }
  });
  return value;
}

/** `light`, `dark`, or empty: as the system has it. */
export const theme = preference("theme");
/** `yes` hides what is covered. */
export const gapsOnly = preference("gaps-only");

/** The frame around the views. */
import type { ComponentChildren } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import type { Model } from "../data/model";
import { theme } from "../state/preferences";
import { go, href, type Route, route } from "../state/route";
import { ChangesView } from "../views/changes";
import { CodeView } from "../views/code";
import { CompareView } from "../views/compare";
import { EntriesView, EntryView } from "../views/entries";
import { FunctionView } from "../views/function";
import { GapsView, nextGap } from "../views/gaps";
import { LicensesView } from "../views/licenses";
import { MatrixView } from "../views/matrix";
import { OverviewView } from "../views/overview";
import { ProfileView } from "../views/profile";
import { ProfilesView } from "../views/profiles";
import { ModelContext } from "./context";
import { shortRevision } from "./format";
import { SearchBox } from "./searchbox";

const VIEWS: Record<string, { title: string; show: (route: Route) => preact.JSX.Element; under?: string }> = {
  overview: { title: "Overview", show: () => <OverviewView /> },
  profiles: { title: "Profiles", show: () => <ProfilesView /> },
  profile: { title: "Profile", show: ({ names }) => <ProfileView name={names[0] ?? ""} />, under: "profiles" },
  compare: { title: "Compare", show: ({ names }) => <CompareView names={names} />, under: "profiles" },
  entries: { title: "Entry points", show: () => <EntriesView /> },
  entry: { title: "Entry point", show: ({ names }) => <EntryView names={names} />, under: "entries" },
  code: { title: "Code", show: ({ names }) => <CodeView path={names[0] ?? ""} /> },
  function: { title: "Function", show: ({ names }) => <FunctionView id={names[0] ?? ""} />, under: "code" },
  matrix: { title: "Matrix", show: ({ names }) => <MatrixView path={names[0] ?? ""} /> },
  gaps: { title: "Gaps", show: () => <GapsView /> },
  changes: { title: "Changes", show: () => <ChangesView /> },
  licenses: { title: "Licences", show: () => <LicensesView /> },
};

const TABS = ["overview", "profiles", "entries", "code", "matrix", "gaps", "changes"];

/** @param bar what stands below the tabs: how a page over a live store is kept up to date. */
export function App({ model, bar }: { model: Model; bar?: ComponentChildren }) {
  const { view, names } = route.value;
  const shown = VIEWS[view];
  const main = useRef<HTMLElement>(null);
  const place = `${view}/${names.join("/")}`;
  const before = useRef(place);

  const title = `${[view === "entry" ? names[2] : names[0], shown?.title].filter(Boolean).join(" – ")} – coverage of ${shortRevision(model.head.revision)}`;
  useLayoutEffect(() => {
    document.title = title;
  }, [title]);

  // not for each key of a filter, which is a setting of the same place: the page would be laid out twice
  useLayoutEffect(() => {
    if (before.current !== place) {
      before.current = place;
      scrollTo(0, 0);
      main.current?.focus({ preventScroll: true });
    }
    // on a narrow screen not all tabs are to be seen
    document.querySelector(".tabs [aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  }, [place, model]);

  // before the page says that it is ready: a key that comes at once is not lost
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if (
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        (event.target as HTMLElement).matches("input, textarea, select")
      )
        return;
      if (event.key !== "n" && event.key !== "p") return;
      const { view, names } = route.peek();
      const to = nextGap(model, view === "function" ? (names[0] ?? "") : "", event.key === "n" ? 1 : -1);
      if (to) go(to);
    };
    addEventListener("keydown", onKey);
    return () => removeEventListener("keydown", onKey);
  }, [model]);

  const tabs = TABS.filter(
    (tab) => (tab !== "entries" || model.head.entry_points) && (tab !== "changes" || model.head.baseline),
  );
  return (
    <ModelContext.Provider value={model}>
      <button type="button" class="skip" onClick={() => main.current?.focus()}>
        Skip to the content
      </button>
      <header class="top">
        <div class="top-row">
          <a class="brand" href={href("overview")}>
            <Mark />
            <span class="brand-name">Coverage</span>
            <span class="revision mono" title={model.head.revision}>
              {shortRevision(model.head.revision)}
            </span>
          </a>
          <SearchBox />
          <ThemeButton />
        </div>
        <nav class="tabs" aria-label="Views">
          {tabs.map((tab) => (
            <a key={tab} href={href(tab)} aria-current={tab === (shown?.under ?? view) ? "page" : undefined}>
              {VIEWS[tab]?.title}
            </a>
          ))}
        </nav>
        {bar}
      </header>
      <main ref={main} id="main" tabIndex={-1} key={view}>
        {shown ? (
          shown.show(route.value)
        ) : (
          <p class="empty">
            There is no view {view}. <a href={href("overview")}>Overview</a>
          </p>
        )}
      </main>
      <footer class="foot">
        <span>
          otel-coverage. Keys: <kbd>/</kbd> search, <kbd>↑</kbd> <kbd>↓</kbd> rows, <kbd>n</kbd> <kbd>p</kbd> next and
          previous gap
        </span>
        <a href={href("licenses")}>Licences</a>
      </footer>
    </ModelContext.Provider>
  );
}

export function Mark() {
  return (
    <svg viewBox="0 0 20 20" width="20" height="20" aria-hidden="true">
      <rect class="mark-run" x="1" y="1" width="8" height="8" rx="2" />
      <rect class="mark-run" x="11" y="1" width="8" height="8" rx="2" />
      <rect class="mark-gap" x="1" y="11" width="8" height="8" rx="2" />
      <rect class="mark-run" x="11" y="11" width="8" height="8" rx="2" />
    </svg>
  );
}

function ThemeButton() {
  const dark = theme.value ? theme.value === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  return (
    <button
      type="button"
      class="button quiet icon"
      aria-label={dark ? "Light colours" : "Dark colours"}
      title={dark ? "Light colours" : "Dark colours"}
      onClick={() => {
        theme.value = dark ? "light" : "dark";
      }}
    >
      <svg viewBox="0 0 20 20" width="18" height="18" aria-hidden="true">
        <circle cx="10" cy="10" r="7" fill="none" stroke="currentColor" stroke-width="1.6" />
        <path d="M10 3a7 7 0 0 1 0 14z" fill="currentColor" />
      </svg>
    </button>
  );
}

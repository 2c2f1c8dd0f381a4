/** A page over a live store: what it shows until there are data, and how these are kept up to date. */
import { useEffect, useState } from "preact/hooks";
import { dataOf, type Live } from "../data/live";
import { route } from "../state/route";
import { App, Mark } from "./app";
import { ago } from "./format";

export function LivePage({ live }: { live: Live }) {
  const model = live.model.value;
  return model ? <App model={model} bar={<LiveBar live={live} />} /> : <Waiting live={live} />;
}

function LiveBar({ live }: { live: Live }) {
  const link = live.link.value;
  const problem = live.status.value?.problem ?? "";
  const { view, names } = route.value;
  const paused = link === "paused";
  const trouble = link === "away" || link === "refused" || (link !== "paused" && problem !== "");
  return (
    <div class={`live${trouble ? " live-trouble" : ""}`}>
      <span class={`live-dot live-${trouble ? "trouble" : paused ? "paused" : "on"}`} aria-hidden="true" />
      <span class="live-state" role="status">
        {saidOf(link, problem)}
      </span>
      <Updated live={live} />
      <span class="live-end">
        {dataOf(view, names).map((path) => (
          <a key={path} class="live-data" href={path} target="_blank" rel="noopener" title={`/${path}`}>
            {path.endsWith(".csv") ? "CSV" : "JSON"}
          </a>
        ))}
        <button type="button" class="button quiet" onClick={() => (paused ? void live.resume() : live.pause())}>
          {paused ? "Resume" : "Pause"}
        </button>
      </span>
    </div>
  );
}

function saidOf(link: string, problem: string): string {
  if (link === "paused") return "Paused";
  if (link === "away") return "The server does not answer; trying again";
  if (link === "refused") return "The server was started again: open the address that it printed";
  return problem ? `The store cannot be read: ${problem}` : "Live";
}

/** How long ago what is shown was read; not announced, as it changes all the time. */
function Updated({ live }: { live: Live }) {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 1000);
    return () => clearInterval(timer);
  }, []);
  const updated = live.updated.value;
  return (
    <time class="dim live-updated" dateTime={new Date(updated).toISOString()}>
      <span class="wide-only">updated </span>
      {ago(Math.max(now, Date.now()) - updated)} ago
    </time>
  );
}

function Waiting({ live }: { live: Live }) {
  const link = live.link.value;
  const status = live.status.value;
  const waiting = status?.phase === "waiting";
  const title =
    link === "refused" || link === "away"
      ? saidOf(link, "")
      : status?.problem
        ? "The store cannot be read"
        : waiting
          ? "Waiting for the first spans"
          : "Reading the store";
  const message = link === "live" ? status?.problem || status?.message : "";
  useEffect(() => {
    document.title = `${title} – coverage`;
  }, [title]);
  return (
    <main class="waiting" id="main">
      <Mark />
      <div role="status">
        <h1>{title}</h1>
      </div>
      {message && <p class="dim">{message}</p>}
      {link !== "refused" && <span class="waiting-bar" aria-hidden="true" />}
      {waiting && link === "live" && (
        <p class="dim">
          This page fills by itself, seconds after a traced application has answered a profile’s request.
        </p>
      )}
    </main>
  );
}

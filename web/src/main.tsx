/** The page: reads its data, then shows the view that the address names. */
import { effect } from "@preact/signals";
import { render } from "preact";
import { readBlock } from "./data/blocks";
import { Live } from "./data/live";
import { Model } from "./data/model";
import { theme } from "./state/preferences";
import { follow } from "./state/route";
import { App } from "./ui/app";
import { LivePage } from "./ui/live";
import "./style.css";

async function start(): Promise<void> {
  const place = document.getElementById("app") as HTMLElement;
  document.documentElement.classList.add("scripted");
  effect(() => {
    document.documentElement.style.colorScheme = theme.value || "light dark";
  });
  if (document.documentElement.dataset.live) {
    startLive(place);
    return;
  }
  try {
    await painted();
    const model = await Model.read(readBlock);
    follow();
    place.textContent = "";
    render(<App model={model} />, place);
    performance.mark("ready");
    document.documentElement.dataset.ready = "yes";
  } catch (error) {
    const message = document.createElement("p");
    message.className = "banner banner-warn";
    message.setAttribute("role", "alert");
    message.textContent = `The page cannot show its data: ${error instanceof Error ? error.message : error}. What follows is the summary.`;
    place.prepend(message);
    document.documentElement.dataset.ready = "no";
  }
}

/** Until the summary is on the screen, so that there is something to read while the data are; at once where nobody looks. */
function painted(): Promise<void> {
  if (document.visibilityState === "hidden") return Promise.resolve();
  return new Promise((done) => {
    requestAnimationFrame(() => setTimeout(done));
    document.addEventListener("visibilitychange", () => done(), { once: true });
  });
}

/** The page of a server over a live store: its data are asked for. */
function startLive(place: HTMLElement): void {
  // the token has become a cookie, and is nobody's who looks over a shoulder
  if (location.search) history.replaceState(null, "", location.pathname + location.hash);
  const live = new Live((path) => fetch(path, { cache: "no-store", credentials: "same-origin" }));
  follow();
  place.textContent = "";
  render(<LivePage live={live} />, place);
  live.follow();
  effect(() => {
    if (live.model.value) document.documentElement.dataset.ready = "yes";
  });
}

void start();

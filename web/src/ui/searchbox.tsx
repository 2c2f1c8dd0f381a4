/** The search for everything; `/` goes there from everywhere. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import type { Model } from "../data/model";
import { type Hit, Search } from "../data/search";
import { go } from "../state/route";
import { useModel } from "./context";

export function SearchBox() {
  const model = useModel();
  const index = useRef<{ model: Model; search: Search } | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [open, setOpen] = useState(false);
  const indexOf = (of: Model) => {
    if (index.current?.model !== of) index.current = { model: of, search: new Search(of) };
    return index.current.search;
  };
  const hits = useMemo(() => {
    if (!text) return [];
    return indexOf(model).find(text);
  }, [text, model]);

  useEffect(() => {
    const prepare = () => indexOf(model).warm();
    if (typeof requestIdleCallback === "undefined") setTimeout(prepare, 500);
    else requestIdleCallback(prepare);
  }, [model]);

  useLayoutEffect(() => {
    const focus = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      if (
        event.key !== "/" ||
        event.ctrlKey ||
        event.metaKey ||
        event.altKey ||
        target.matches("input, textarea, select")
      )
        return;
      event.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    addEventListener("keydown", focus);
    return () => removeEventListener("keydown", focus);
  }, []);

  const choose = (hit: Hit | undefined) => {
    if (!hit) return;
    setOpen(false);
    setText("");
    input.current?.blur();
    go(hit.href);
  };

  const onKey = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      setAt((now) => Math.min(Math.max(now + (event.key === "ArrowDown" ? 1 : -1), 0), Math.max(hits.length - 1, 0)));
    } else if (event.key === "Enter") {
      choose(hits[at]);
    } else if (event.key === "Escape") {
      if (text) setText("");
      else input.current?.blur();
      setOpen(false);
    }
  };

  const isOpen = open && text !== "";
  useEffect(() => {
    if (isOpen) document.getElementById(`hit-${at}`)?.scrollIntoView({ block: "nearest" });
  }, [at, isOpen]);

  return (
    <search class="search">
      <input
        ref={input}
        type="search"
        role="combobox"
        list={undefined}
        aria-label="Search profiles, functions and entry points"
        aria-expanded={isOpen}
        aria-controls="hits"
        aria-autocomplete="list"
        aria-activedescendant={isOpen && hits.length ? `hit-${at}` : undefined}
        placeholder="Search"
        autocomplete="off"
        spellcheck={false}
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKey}
      />
      <kbd aria-hidden="true">/</kbd>
      <div class="hits" id="hits" role="listbox" aria-label="Search results" hidden={!isOpen}>
        {hits.map((hit, number) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the keys are the input's
          <div
            key={`${hit.kind} ${hit.href}`}
            id={`hit-${number}`}
            role="option"
            tabIndex={-1}
            aria-selected={number === at}
            class="hit"
            onMouseDown={(event) => event.preventDefault()}
            onMouseMove={() => setAt(number)}
            onClick={() => choose(hit)}
          >
            <span class={`hit-kind kind-${hit.kind.replace(" ", "-")}`}>{hit.kind}</span>
            <Marked text={hit.name} ranges={hit.ranges} />
            {!hit.isRun && <span class="dim">not run</span>}
          </div>
        ))}
        {isOpen && hits.length === 0 && <p class="empty">Nothing is called that, nor nearly so.</p>}
      </div>
    </search>
  );
}

function Marked({ text, ranges }: { text: string; ranges: number[] }) {
  const parts = [];
  let from = 0;
  for (let at = 0; at < ranges.length; at += 2) {
    const [start = 0, end = 0] = [ranges[at], ranges[at + 1]];
    parts.push(text.slice(from, start), <mark key={start}>{text.slice(start, end)}</mark>);
    from = end;
  }
  return (
    <span class="hit-name mono">
      <bdi>
        {parts}
        {text.slice(from)}
      </bdi>
    </span>
  );
}

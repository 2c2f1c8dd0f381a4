/** Small things that several views show. */
import type { ComponentChildren } from "preact";
import type { Profile } from "../data/model";
import { href } from "../state/route";
import { useModel } from "./context";
import { count, fromTemplate, percent } from "./format";

export function Bar({ share, label }: { share: number | null; label?: string }) {
  return (
    <span class="bar-cell">
      <span class="bar" aria-hidden="true">
        {share != null && <span class="bar-fill" style={{ width: `${share * 100}%` }} />}
      </span>
      <span class="bar-label">{label ?? percent(share)}</span>
    </span>
  );
}

/** A name in a monospaced font, its beginning dimmed and cut first where there is no room. */
export function SymbolName({ symbol, line = false }: { symbol: number; line?: boolean }) {
  const model = useModel();
  return (
    <span class="symbol" title={model.id(symbol)}>
      <span class="dim">{model.moduleOf(symbol)}:</span>
      <bdi>{model.qualname(symbol)}</bdi>
      {line && <span class="dim">@{model.line[symbol]}</span>}
    </span>
  );
}

export function SymbolLink({ symbol, short = false }: { symbol: number; short?: boolean }) {
  const model = useModel();
  return (
    <a class="name" href={href("function", [model.id(symbol)])} title={model.id(symbol)}>
      {short ? <bdi class="mono">{model.qualname(symbol)}</bdi> : <SymbolName symbol={symbol} />}
    </a>
  );
}

/** The name of an entry point. Where there is no room, a route loses its beginning: routes differ in their ends. */
export function EntryName({ name }: { name: string }) {
  const space = name.indexOf(" ");
  if (space < 0) return <bdi>{name}</bdi>;
  return (
    <span class="route" title={name}>
      <span class="route-method">{name.slice(0, space + 1)}</span>
      <span class="route-rule">
        <bdi dir="ltr">{name.slice(space + 1)}</bdi>
      </span>
    </span>
  );
}

export function ProfileLink({ number }: { number: number }) {
  const profile = useModel().profiles[number] as Profile;
  return (
    <a class="name" href={href("profile", [profile.name])}>
      <bdi>{profile.name}</bdi>
    </a>
  );
}

export function Status({ profile }: { profile: Profile }) {
  if (profile.failed_runs > profile.runs - profile.counted_runs) return <Badge kind="bad">failed</Badge>;
  if (!profile.complete) return <Badge kind="warn">incomplete</Badge>;
  return <Badge kind="good">complete</Badge>;
}

export function statusOf(profile: Profile): string {
  return profile.failed_runs > profile.runs - profile.counted_runs
    ? "failed"
    : profile.complete
      ? "complete"
      : "incomplete";
}

export function Badge({ kind, children }: { kind: "good" | "warn" | "bad" | "quiet"; children: ComponentChildren }) {
  const sign = { good: "✓", warn: "!", bad: "✕", quiet: "" }[kind];
  return (
    <span class={`badge badge-${kind}`}>
      {sign && <span aria-hidden="true">{sign} </span>}
      {children}
    </span>
  );
}

export function Trace({ id }: { id: string }) {
  const template = useModel().head.links.trace;
  if (!id) return <span class="dim">–</span>;
  const address = fromTemplate(template, { trace: id });
  const short = id.length > 12 ? `${id.slice(0, 8)}…` : id;
  return address ? (
    <a href={address} target="_blank" rel="noreferrer noopener" class="mono" title={`trace ${id}`}>
      {short}
    </a>
  ) : (
    <span class="mono dim" title={`trace ${id}`}>
      {short}
    </span>
  );
}

/** A link to coverage.py's page of a file or profile, which lies beside this one; nothing where there is none. */
export function CoveragePage(props: { pages: Record<string, string> | undefined; name: string; line?: number }) {
  const { pages, name, line } = props;
  const page = pages && Object.hasOwn(pages, name) ? pages[name] : undefined;
  if (!page) return null;
  return (
    <a class="coverage-page" href={line ? `${page}#t${line}` : page} target="_blank" rel="noreferrer noopener">
      in coverage.py’s pages
    </a>
  );
}

export function Tile(props: {
  label: string;
  value: ComponentChildren;
  note?: ComponentChildren;
  share?: number | null;
  to?: string;
}) {
  const inner = (
    <>
      <span class="tile-label">{props.label}</span>
      <span class="tile-value">{props.value}</span>
      {props.share !== undefined && (
        <span class="bar" aria-hidden="true">
          <span class="bar-fill" style={{ width: `${(props.share ?? 0) * 100}%` }} />
        </span>
      )}
      <span class="tile-note">{props.note}</span>
    </>
  );
  return props.to ? (
    <a class="tile" href={props.to}>
      {inner}
    </a>
  ) : (
    <div class="tile">{inner}</div>
  );
}

export function Card(props: { title: string; more?: ComponentChildren; children: ComponentChildren; class?: string }) {
  return (
    <section class={`card ${props.class ?? ""}`}>
      <header class="card-head">
        <h2>{props.title}</h2>
        {props.more}
      </header>
      {props.children}
    </section>
  );
}

export function Empty({ children }: { children: ComponentChildren }) {
  return <p class="empty">{children}</p>;
}

export function Crumbs({ parts }: { parts: { name: string; to: string }[] }) {
  return (
    <nav class="crumbs" aria-label="Where this is">
      <ol>
        {parts.map((part, at) => (
          <li key={part.to}>
            <a href={part.to} aria-current={at === parts.length - 1 ? "page" : undefined}>
              <bdi>{part.name}</bdi>
            </a>
          </li>
        ))}
      </ol>
    </nav>
  );
}

export function Figure({ value, of }: { value: number | null; of?: number | null }) {
  return (
    <span class="figure">
      {count(value)}
      {of != null && <span class="dim"> / {count(of)}</span>}
    </span>
  );
}

/** Packages, modules, classes and functions: as a treemap or a tree. */
import { useMemo } from "preact/hooks";
import { ancestors, findNode, functionsShare, type TreeNode } from "../data/tree";
import { gapsOnly } from "../state/preferences";
import { change, href, route } from "../state/route";
import { useModel } from "../ui/context";
import { count, percent, shortRevision } from "../ui/format";
import { Crumbs, Empty } from "../ui/parts";
import { type Colouring, Treemap } from "../ui/treemap";
import { TreeTable } from "../ui/treetable";

export function CodeView({ path }: { path: string }) {
  const model = useModel();
  const node = useMemo(() => findNode(model.tree, path), [model, path]);
  const settings = route.value.settings;
  if (!node) return <Empty>This report knows no code called {path}.</Empty>;
  const show = settings.get("show") ?? "map";
  const hide = (settings.get("hide") ?? (gapsOnly.value === "yes" ? "covered" : "")) === "covered";
  const { baseline } = model.head;
  const by: Colouring = baseline?.catalog && settings.get("colour") !== "share" ? "changes" : "share";
  const colour: Record<string, string> = baseline?.catalog && by === "share" ? { colour: by } : {};
  const keep: Record<string, string> = { ...(show === "map" ? {} : { show }), ...colour };
  const crumbs = [{ name: "Code", to: href("code", [], keep) }].concat(
    ancestors(node).map((each) => ({ name: each.name, to: href("code", [each.path], keep) })),
  );
  return (
    <>
      <Crumbs parts={crumbs} />
      <div class="title">
        <h1>{node.name ? <bdi>{node.path}</bdi> : "Code"}</h1>
        <p class="dim">
          {count(node.functionsRun)} of {count(node.functions)} functions run ({percent(functionsShare(node))}),{" "}
          {count(node.linesRun)} of {count(node.lines)} lines in them (
          {percent(node.lines ? node.linesRun / node.lines : null)})
        </p>
      </div>
      <div class="tools">
        <nav class="segments" aria-label="How to show it">
          {(
            [
              ["map", "Treemap"],
              ["tree", "Tree"],
            ] as const
          ).map(([key, title]) => (
            <a
              key={key}
              href={href("code", path ? [path] : [], { ...(key === "map" ? {} : { show: key }), ...colour })}
              aria-current={show === key ? "page" : undefined}
            >
              {title}
            </a>
          ))}
        </nav>
        {show === "map" && baseline?.catalog && (
          <nav class="segments" aria-label="What colours mean">
            {(
              [
                ["changes", `Since ${shortRevision(baseline.revision)}`],
                ["share", "Share run"],
              ] as const
            ).map(([key, title]) => (
              <a
                key={key}
                href={href("code", path ? [path] : [], key === "share" ? { colour: key } : {})}
                aria-current={by === key ? "page" : undefined}
              >
                {title}
              </a>
            ))}
          </nav>
        )}
        {show === "map" ? (
          by === "changes" ? (
            <ChangesLegend />
          ) : (
            <Legend />
          )
        ) : (
          <label class="check">
            <input
              type="checkbox"
              checked={hide}
              onChange={(event) => {
                gapsOnly.value = event.currentTarget.checked ? "yes" : "";
                change({ hide: event.currentTarget.checked ? "covered" : "" });
              }}
            />
            Hide what is covered
          </label>
        )}
      </div>
      {node.children.length === 0 ? (
        <Empty>It has no functions.</Empty>
      ) : show === "map" ? (
        <Treemap root={inhabited(node)} by={by} />
      ) : (
        <TreeTable root={inhabited(node)} hide={hide} key={path} />
      )}
    </>
  );
}

/** Without the packages that hold one package alone. */
export function inhabited(node: TreeNode): TreeNode {
  const [only] = node.children;
  return node.children.length === 1 && only && only.children.length > 0 ? inhabited(only) : node;
}

function Legend() {
  return (
    <span class="legend">
      <span>no line runs</span>
      <span class="legend-scale" aria-hidden="true" />
      <span>all run</span>
      <span class="dim wide-only">size: executable lines</span>
    </span>
  );
}

function ChangesLegend() {
  return (
    <span class="legend legend-states">
      {(
        [
          ["unchanged", "unchanged"],
          ["run", "new or changed, run"],
          ["gap", "changed, not run"],
          ["new", "new, not run"],
        ] as const
      ).map(([key, title]) => (
        <span key={key}>
          <span class={`swatch swatch-${key}`} aria-hidden="true" />
          {title}
        </span>
      ))}
    </span>
  );
}

/** Packages → modules → classes → functions, with the sums of each. */
import type { Model } from "./model";

export type NodeKind = "package" | "module" | "class" | "function";

export interface TreeNode {
  /** The last part of its name. */
  name: string;
  /** Its dotted name, or the id of a symbol. */
  path: string;
  kind: NodeKind;
  /** Number of the symbol of a class or function, else -1. */
  symbol: number;
  children: TreeNode[];
  parent: TreeNode | null;
  depth: number;
  functions: number;
  functionsRun: number;
  atStartup: number;
  lines: number;
  linesRun: number;
  /** Its functions by number of the state in `STATES`, in executable lines, one at least; null without a baseline. */
  states: number[] | null;
}

function node(name: string, path: string, kind: NodeKind, parent: TreeNode | null, symbol = -1): TreeNode {
  const made: TreeNode = {
    name,
    path,
    kind,
    symbol,
    children: [],
    parent,
    depth: parent ? parent.depth + 1 : 0,
    functions: 0,
    functionsRun: 0,
    atStartup: 0,
    lines: 0,
    linesRun: 0,
    states: null,
  };
  parent?.children.push(made);
  return made;
}

export function buildTree(model: Model): TreeNode {
  const root = node("", "", "package", null);
  const packages = new Map<string, TreeNode>([["", root]]);
  const packageOf = (path: string): TreeNode => {
    const found = packages.get(path);
    if (found) return found;
    const cut = path.lastIndexOf(".");
    const made = node(path.slice(cut + 1), path, "package", packageOf(cut < 0 ? "" : path.slice(0, cut)));
    packages.set(path, made);
    return made;
  };
  // a package has modules below it: its own __init__ is one of them
  const prefixes = new Set<string>();
  for (const name of model.names.modules) {
    for (let cut = name.lastIndexOf("."); cut > 0; cut = name.lastIndexOf(".", cut - 1))
      prefixes.add(name.slice(0, cut));
  }
  const modules = model.names.modules.map((name) => {
    if (prefixes.has(name)) return node("__init__", `${name}.__init__`, "module", packageOf(name));
    const cut = name.lastIndexOf(".");
    return node(name.slice(cut + 1), name, "module", packageOf(cut < 0 ? "" : name.slice(0, cut)));
  });
  let open: { node: TreeNode; end: number; prefix: string }[] = [];
  let module = -1;
  for (let symbol = 0; symbol < model.count; symbol++) {
    const number = model.module[symbol] as number;
    if (number !== module) open = [];
    module = number;
    const line = model.line[symbol] as number;
    while (open.length && (open.at(-1) as { end: number }).end < line) open.pop();
    const qualname = model.qualname(symbol);
    const holder = open.findLast((each) => qualname.startsWith(each.prefix));
    const parent = holder?.node ?? (modules[number] as TreeNode);
    const name = holder ? qualname.slice(holder.prefix.length) : qualname;
    const isClass = model.isClass(symbol);
    const made = node(name, model.id(symbol), isClass ? "class" : "function", parent, symbol);
    if (isClass) {
      open.push({ node: made, end: model.endLine[symbol] as number, prefix: `${qualname}.` });
    } else {
      const run = model.isRun(symbol) ? 1 : 0;
      const counts = model.isUncataloged(symbol) ? 0 : 1;
      for (let each: TreeNode | null = made; each; each = each.parent) {
        each.functions += counts;
        each.functionsRun += run * counts;
        each.atStartup += !run && model.isAtStartup(symbol) ? 1 : 0;
        each.lines += model.lines[symbol] as number;
        each.linesRun += model.linesRun[symbol] as number;
        if (model.changes) {
          each.states ??= [0, 0, 0, 0, 0];
          (each.states[model.changes.state(symbol, run === 1)] as number) += Math.max(model.lines[symbol] as number, 1);
        }
      }
    }
  }
  return root;
}

/** The node of a path; of a package and its `__init__`, the package. */
export function findNode(root: TreeNode, path: string): TreeNode | null {
  if (path === "") return root;
  for (const child of root.children) {
    if (child.path === path) return child;
    const inside =
      path.startsWith(`${child.path}.`) ||
      path.startsWith(`${child.path}:`) ||
      child.name === "__init__" ||
      child.kind === "class";
    const found = inside ? findNode(child, path) : null;
    if (found) return found;
  }
  return null;
}

/** The node and those above it, the outermost first, without the root. */
export function ancestors(node: TreeNode): TreeNode[] {
  const found: TreeNode[] = [];
  for (let each: TreeNode | null = node; each?.parent; each = each.parent) found.unshift(each);
  return found;
}

/** Numbers of the functions below a node. */
export function functionsBelow(node: TreeNode, found: number[] = []): number[] {
  if (node.kind === "function") found.push(node.symbol);
  for (const child of node.children) functionsBelow(child, found);
  return found;
}

export function linesShare(node: TreeNode): number | null {
  return node.lines ? node.linesRun / node.lines : node.functions ? node.functionsRun / node.functions : null;
}

export function functionsShare(node: TreeNode): number | null {
  return node.functions ? node.functionsRun / node.functions : null;
}

// Builds the page's program and looks into a folder: page.js, page.css, and the licences of what page.js contains.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const out = process.argv[2] ?? join(here, "..", "otel_coverage", "reporting", "page", "bundle");

const result = await build({
  absWorkingDir: here,
  entryPoints: { page: "src/main.tsx" },
  outdir: out,
  write: false,
  metafile: true,
  bundle: true,
  minify: true,
  format: "iife",
  target: ["es2022", "chrome120", "firefox121", "safari17.4"],
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "ascii",
  legalComments: "none",
});

const packages = new Set(
  Object.keys(result.metafile.inputs)
    .map((path) => /node_modules\/((?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1])
    .filter(Boolean),
);
const licenses = await Promise.all(
  [...packages].sort().map(async (name) => {
    const folder = join(here, "node_modules", name);
    const { version, license } = JSON.parse(await readFile(join(folder, "package.json"), "utf8"));
    const text = await readFile(join(folder, "LICENSE"), "utf8");
    return `${name} ${version} (${license})\n\n${text.trim()}\n`;
  }),
);

// inside a script element these would end it, or open a comment
const inline = (text) => text.replaceAll("</script", "<\\/script").replaceAll("<!--", "<\\!--").trimEnd();

await mkdir(out, { recursive: true });
for (const file of result.outputFiles) {
  const name = file.path.endsWith(".css") ? "page.css" : "page.js";
  await writeFile(join(out, name), name === "page.js" ? inline(file.text) : file.text.trimEnd());
}
await writeFile(join(out, "licenses.txt"), licenses.join(`\n${"-".repeat(80)}\n\n`));

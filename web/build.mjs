// Bundle src/ into dist/: one script, one style sheet with the hash of their content in their names, one page.
import { build } from "esbuild";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { basename } from "node:path";

rmSync("dist", { recursive: true, force: true });
mkdirSync("dist/assets", { recursive: true });
const result = await build({
  entryPoints: ["src/main.tsx"],
  bundle: true,
  minify: true,
  target: ["es2021", "chrome100", "firefox102", "safari15"],
  format: "iife",
  jsx: "automatic",
  jsxImportSource: "preact",
  charset: "utf8",
  legalComments: "none",
  outdir: "dist/assets",
  entryNames: "[name]-[hash]",
  metafile: true,
  logLevel: "warning",
});
const outputs = Object.keys(result.metafile.outputs);
const named = (ext) => "/assets/" + basename(outputs.find((f) => f.endsWith(ext)));
const page = readFileSync("src/index.html", "utf8").replace("%SCRIPT%", named(".js")).replace("%STYLE%", named(".css"));
let total = gzipSync(page, { level: 9 }).length;
for (const file of outputs) total += gzipSync(readFileSync(file), { level: 9 }).length;
writeFileSync("dist/index.html", page);
console.log(`console: ${outputs.length + 1} files, ${(total / 1000).toFixed(1)} kB gzip`);

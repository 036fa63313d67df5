// Bundles the script and the style of the report into dist/, which is committed: users of the crate need no Node.
// With --check nothing is written, and it ends with 1 when what is committed is not what would be built.
import { build } from "esbuild";
import { readFileSync, writeFileSync, mkdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const check = process.argv.includes("--check");

const built = await build({
  absWorkingDir: here,
  entryPoints: { report: "src/main.js" },
  bundle: true,
  minify: true,
  format: "iife",
  target: "es2020",
  charset: "utf8",
  legalComments: "none",
  loader: { ".css": "empty" },
  outdir: "dist",
  write: false,
  metafile: true,
  logLevel: "warning",
});
const style = await build({
  absWorkingDir: here,
  entryPoints: { report: "src/report.css" },
  bundle: true,
  minify: true,
  charset: "utf8",
  outdir: "dist",
  write: false,
  logLevel: "warning",
});

/** Whose work is in the bundle, and under which terms: it goes wherever the bundle goes. */
const packages = new Set();
for (const input of Object.keys(built.metafile.inputs)) {
  const found = input.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//);
  if (found) packages.add(found[1]);
}
const terms = [...packages].sort().map((name) => {
  const { version } = JSON.parse(readFileSync(join(here, "node_modules", name, "package.json"), "utf8"));
  const licence = readFileSync(join(here, "node_modules", name, "LICENSE"), "utf8");
  return `${name} ${version}\n${licence.trim()}`;
});
const notice = `/*\n${terms.join("\n\n").replaceAll("*/", "* /")}\n*/\n`;

let differs = false;
for (const file of [...built.outputFiles, ...style.outputFiles]) {
  const name = file.path.endsWith(".css") ? "report.css" : "report.js";
  // The page takes the text as it is: it must not end its own element.
  const code = file.text.trimEnd().replaceAll("</script", "<\\/script") + "\n";
  const text = name.endsWith(".js") ? notice + code : code;
  const path = join(here, "dist", name);
  if (check) {
    let committed = "";
    try {
      committed = readFileSync(path, "utf8");
    } catch {
      // It is not there: it differs.
    }
    if (committed !== text) {
      console.error(`dist/${name} is not what its sources make: run \`npm run build\` in reports/web`);
      differs = true;
    }
  } else {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, text);
    console.log(`dist/${name}  ${(text.length / 1024).toFixed(1)} KB`);
  }
}
process.exit(differs ? 1 : 0);

// The console before the real thing: `suan up` with its agents, a job submitted by the form, its log as it is printed.
//   node real.mjs SUAN ESTATE SCREENSHOTS
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { launch, pause } from "./browser.mjs";

const [suan, estate, shots] = process.argv.slice(2);
let count = 0;
let failed = 0;
const ok = (good, name) => {
  console.log(`${good ? "ok" : "not ok"} ${++count} - ${name}`);
  if (!good) failed++;
};

async function waitFor(fn, ms) {
  for (const end = Date.now() + ms; Date.now() < end; await pause(100)) {
    const got = await fn();
    if (got) return got;
  }
  return null;
}

async function drive(p, url, token) {
  await p.size(1280, 860);
  await p.goto(`${url}/#token=${token}`);
  ok(await p.until("document.querySelectorAll('.place').length === 8", 20000), "the map shows the eight centres");
  ok(await p.until("document.querySelectorAll('.centres .state.good').length === 8", 40000), "each comes up by itself when its agent is heard");
  ok(await p.until("/^[1-9][\\d.,]*\\s*[kM]?W/.test(document.querySelector('.tile .figure').textContent)", 40000), "power is drawn");
  await p.shot(join(shots, "real-overview.png"));
  await p.hash("#/jobs/new");
  await p.until("document.querySelector('#jobtext')");
  await p.click(".formfoot button.primary");
  ok(await p.until("location.hash === '#/jobs/hello'", 20000), "the example is submitted");
  ok(await p.until("document.querySelectorAll('.graph .task.done').length === 2", 60000), "both of its tasks are done, seen without a reload");
  ok(await p.until("document.querySelector('.jobtop .source.measured')", 10000), "its CPU time was measured");
  await p.click(".graph .task", "hello-greet");
  ok(await p.until("document.querySelector('.log pre')?.innerText.includes('said hello')", 15000), "the log is what the process printed");
  await p.click(".taskpanel button", "All candidates");
  ok(await p.until("document.querySelectorAll('.candidates tbody tr').length === 8 && document.querySelector('.wontag')", 15000), "its placement shows eight candidates");
  await p.shot(join(shots, "real-job.png"));
  ok(p.errors.length === 0, `no error in the browser's console${p.errors.length ? ": " + p.errors[0] : ""}`);
}

async function main() {
  mkdirSync(shots, { recursive: true });
  const state = mkdtempSync(join(tmpdir(), "suan-web-"));
  const up = spawn(suan, ["up", estate, "--state", state, "--port", "0", "--link-port", "0"], { stdio: ["ignore", "pipe", "pipe"] });
  let said = "";
  for (const s of [up.stdout, up.stderr]) s.on("data", (d) => (said += d));
  const ended = new Promise((yes) => up.once("exit", (code, signal) => yes(signal ?? code)));
  const browser = await launch();
  try {
    const read = (name) => (existsSync(join(state, name)) ? readFileSync(join(state, name), "utf8") : "");
    const url = await waitFor(() => said.includes("Suan is up") && JSON.parse(read("controller.json") || "{}").url, 30000);
    ok(url, "suan up answers");
    if (url) await drive(browser.page, url, read("token").trim());
  } finally {
    up.kill("SIGTERM");
    const code = await Promise.race([ended, pause(30000).then(() => "running")]);
    ok(code === 0, `it ends well with the page open (${code})`);
    if (code === "running") up.kill("SIGKILL");
    await browser.close();
    rmSync(state, { recursive: true, force: true, maxRetries: 5 });
    if (failed) console.log("# " + said.trim().split("\n").slice(-30).join("\n# "));
  }
}

await main().catch((e) => {
  ok(false, e.message.split("\n")[0]);
  console.log("# " + e.stack.replaceAll("\n", "\n# "));
});
console.log(`1..${count}`);
if (failed) console.log("# again: meson test -C build --suite web --print-errorlogs");
process.exit(failed ? 1 : 0);

// Headless Chromium over its debugging pipe: just enough to drive one page and to look at it.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
  "--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--hide-scrollbars", "--mute-audio",
  "--force-color-profile=srgb", "--lang=en-US", "--remote-debugging-pipe"];

export async function launch(program = process.env.CHROMIUM ?? "chromium") {
  const profile = mkdtempSync(join(tmpdir(), "suan-web-"));
  const child = spawn(program, [...FLAGS, `--user-data-dir=${profile}`, "about:blank"], {
    stdio: ["ignore", "ignore", "ignore", "pipe", "pipe"],
    detached: true, // a process group of its own: its helpers end with it
    env: { ...process.env, HOME: profile, TZ: "Asia/Shanghai" },
  });
  const gone = new Promise((_, no) => {
    child.on("error", (e) => no(new Error(`${program} cannot be started (${e.code}): apt-get install chromium`)));
    child.on("exit", (code) => no(new Error(`${program} ended with ${code}`)));
  });
  gone.catch(() => {});
  let next = 1;
  const waiting = new Map();
  const watchers = [];
  let rest = "";
  child.stdio[4].setEncoding("utf8");
  child.stdio[4].on("data", (data) => {
    const parts = (rest + data).split("\0");
    rest = parts.pop();
    for (const p of parts) {
      const m = JSON.parse(p);
      if (m.id) {
        const { yes, no } = waiting.get(m.id);
        waiting.delete(m.id);
        if (m.error) no(new Error(m.error.message));
        else yes(m.result);
      } else for (const w of watchers) w(m);
    }
  });
  const send = (method, params = {}, sessionId) =>
    Promise.race([gone, new Promise((yes, no) => {
      const id = next++;
      waiting.set(id, { yes, no });
      child.stdio[3].write(JSON.stringify({ id, method, params, sessionId }) + "\0");
    })]);
  const { targetInfos } = await send("Target.getTargets");
  const target = targetInfos.find((t) => t.type === "page");
  const { sessionId } = await send("Target.attachToTarget", { targetId: target.targetId, flatten: true });
  const page = new Page((method, params) => send(method, params, sessionId));
  watchers.push((m) => m.sessionId === sessionId && page.seen(m));
  for (const domain of ["Page", "Runtime", "Network", "Log"]) await page.cdp(domain + ".enable");
  return {
    page,
    async close() {
      child.removeAllListeners("exit");
      const ended = new Promise((yes) => child.once("exit", yes));
      process.kill(-child.pid, "SIGKILL");
      await ended;
      rmSync(profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 50 });
    },
  };
}

export const pause = (ms) => new Promise((yes) => setTimeout(yes, ms));

class Page {
  constructor(cdp) {
    this.cdp = cdp;
    this.errors = []; // exceptions and console.error
    this.outside = []; // requests to anywhere but the controller
    this.origins = new Set(); // of the controllers of this test
  }
  seen(m) {
    if (m.method === "Runtime.exceptionThrown") this.errors.push(m.params.exceptionDetails.exception?.description ?? m.params.exceptionDetails.text);
    if (m.method === "Runtime.consoleAPICalled" && m.params.type === "error") this.errors.push(m.params.args.map((a) => a.value ?? a.description).join(" "));
    if (m.method === "Log.entryAdded" && m.params.entry.level === "error" && m.params.entry.source !== "network") this.errors.push(m.params.entry.text);
    if (m.method === "Network.requestWillBeSent") {
      const url = m.params.request.url;
      if (![...this.origins].some((o) => url.startsWith(o)) && !url.startsWith("data:") && !url.startsWith("about:")) this.outside.push(url);
    }
  }
  async eval(expression) {
    const r = await this.cdp("Runtime.evaluate", { expression, awaitPromise: true, returnByValue: true });
    if (r.exceptionDetails) throw new Error(r.exceptionDetails.exception?.description ?? r.exceptionDetails.text);
    return r.result.value;
  }
  // Until the expression is true; false when it never is.
  async until(expression, ms = 8000) {
    for (const end = Date.now() + ms; Date.now() < end; await pause(60)) if (await this.eval(`!!(${expression})`).catch(() => false)) return true;
    return false;
  }
  has(text, ms) {
    return this.until(`document.body.innerText.includes(${JSON.stringify(text)})`, ms);
  }
  async goto(url) {
    this.origins.add(new URL(url).origin + "/");
    await this.cdp("Page.navigate", { url });
    await this.until("document.readyState === 'complete'");
  }
  async hash(h) {
    await this.eval(`location.hash = ${JSON.stringify(h)}`);
    await pause(50);
  }
  async type(selector, text) {
    await this.eval(`{ const e = document.querySelector(${JSON.stringify(selector)}); e.focus(); e.select?.(); }`);
    await this.cdp("Input.insertText", { text });
  }
  async key(key, code = key) {
    const text = key.length === 1 ? key : undefined;
    await this.cdp("Input.dispatchKeyEvent", { type: "keyDown", key, code, text, windowsVirtualKeyCode: { Enter: 13, Escape: 27, Tab: 9, ArrowDown: 40 }[key] });
    await this.cdp("Input.dispatchKeyEvent", { type: "keyUp", key, code });
  }
  click(selector, text = "") {
    return this.eval(`(() => { const e = [...document.querySelectorAll(${JSON.stringify(selector)})].find((x) => (x.textContent + (x.getAttribute("aria-label") ?? "")).includes(${JSON.stringify(text)})); e?.click ? e.click() : e?.dispatchEvent(new MouseEvent("click", { bubbles: true })); return !!e; })()`);
  }
  size(width, height, scale = 1) {
    return this.cdp("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: scale, mobile: width < 600 });
  }
  async look(lang, theme) {
    await this.eval(`localStorage.setItem("suan.lang", "${lang}"); localStorage.setItem("suan.theme", "${theme}")`);
    await this.cdp("Page.reload");
    await this.until("document.readyState === 'complete' && document.querySelector('main, form')");
  }
  async shot(path) {
    const { data } = await this.cdp("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(data, "base64"));
  }
}

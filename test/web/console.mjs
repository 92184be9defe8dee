// The console in headless Chromium: what it shows, refuses and remembers, and how it looks.
//   node console.mjs HARNESS ESTATE DIST SCREENSHOTS
// Again by hand: meson test -C build --suite web -v
import { spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { launch, pause } from "./browser.mjs";

const [harness, estate, dist, shots] = process.argv.slice(2);
let count = 0;
let failed = 0;
const ok = (good, name) => {
  console.log(`${good ? "ok" : "not ok"} ${++count} - ${name}`);
  if (!good) failed++;
};

async function controller(...args) {
  const child = spawn(harness, args, { stdio: ["pipe", "pipe", "inherit"] });
  const ended = new Promise((yes) => child.once("exit", (code) => yes(code)));
  const line = await Promise.race([new Promise((yes) => child.stdout.once("data", yes)), ended]);
  if (typeof line === "number" || line === null) throw new Error("the controller did not start");
  const { port, token } = JSON.parse(line);
  return {
    url: `http://127.0.0.1:${port}/`,
    token,
    api: (method, path, body) =>
      fetch(`http://127.0.0.1:${port}/api/v1/${path}`, { method, headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" }, body: body && JSON.stringify(body) }).then((r) => r.json()),
    async close() {
      child.stdin.end();
      return ended;
    },
  };
}

const names = ["Zhangjiakou", "Wuhu", "Shaoguan", "Chongqing", "Horinger", "Gui'an", "Qingyang", "Zhongwei"];
const pages = [
  ["overview", "#/", "document.querySelectorAll('.place').length === 8 && document.querySelector('.tile canvas')"],
  ["jobs", "#/jobs", "document.querySelectorAll('tbody tr').length >= 5"],
  ["job", "#/jobs/weather", "document.querySelectorAll('.graph .task').length === 16 && document.querySelector('.log pre')?.innerText.includes('rows')"],
  ["submit", "#/jobs/new", "document.querySelector('#jobtext')"],
  ["objects", "#/objects/node", "document.querySelectorAll('tbody tr').length === 100"],
  ["object", "#/objects/rack/zhangjiakou-a-r01", "document.querySelector('.charts canvas') && document.querySelector('.childlist')"],
  ["journal", "#/journal", "document.querySelectorAll('.openable').length > 20"],
  ["actions", "#/actions/node/set?object=zhangjiakou-a-r01-n01", "document.querySelectorAll('.field').length > 3"],
  ["capabilities", "#/capabilities", "document.querySelector('.caps')"],
];

async function show(p, hash, ready) {
  await p.hash(hash);
  const good = await p.until(ready);
  await pause(150);
  return good;
}

// Nothing may be wider than the window: a page that scrolls sideways was not looked at.
const fits = (p) => p.eval("(() => { const m = document.querySelector('main'); return m.scrollWidth <= m.clientWidth + 1 && document.documentElement.scrollWidth <= innerWidth + 1; })()");

async function signing(p, c) {
  await p.goto(c.url);
  ok(await p.until("document.querySelector('#token')"), "without a token there is the sign-in page");
  await p.shot(join(shots, "login-en-light.png"));
  await p.type("#token", "00ff");
  await p.click("form button.primary");
  ok(await p.until("document.querySelector('.problem')?.innerText.length > 10"), "a wrong token is refused with a reason");
  await p.type("#token", c.token);
  await p.click("form button.primary");
  ok(await p.until("document.querySelectorAll('.place').length === 8"), "the right one opens the overview");
  ok(!(await p.eval("document.cookie")).includes(c.token), "the token is out of reach of scripts");
}

async function overview(p) {
  for (const n of names) ok(await p.eval(`[...document.querySelectorAll('.placename')].some((e) => e.textContent === ${JSON.stringify(n)})`), `the map shows ${n}`);
  ok((await p.eval("document.querySelectorAll('.map .links path').length")) === 28, "and the 28 links");
  ok(await p.eval("document.querySelectorAll('.map .links path.used').length > 0"), "some of them in use");
  ok(await p.until("document.querySelectorAll('.tile canvas').length === 4"), "four figures have their hour as a chart");
  ok(/^\d+(\.\d+)?\s*kW/.test(await p.eval("document.querySelector('.tile .figure').textContent")), "power is a number in kW");
  ok(await p.until("document.querySelector('.attention')?.innerText.includes('its agent is not heard')"), "what needs attention says why");
  ok(await p.has("place weather"), "the latest decisions are there");
}

async function jobs(p, c) {
  ok(await show(p, "#/jobs?state=failed", "document.querySelectorAll('tbody tr').length === 1") && (await p.has("broken-input")), "jobs are filtered by state");
  ok(await show(p, "#/jobs/broken-input", "document.body.innerText.includes('it ended with status 1')"), "a failed job says why");
  ok(await p.has("error: input is not a table"), "and its task's log is shown");
  ok(await show(p, "#/jobs/weather", "document.querySelectorAll('.graph .task').length === 16"), "a job's graph has all its tasks");
  ok((await p.eval("document.querySelectorAll('.graph .edge').length")) === 15, "and every arrow");
  ok(await p.eval("document.querySelectorAll('.jobtop .source.measured').length === 1 && document.querySelectorAll('.jobtop .source.modelled').length === 3"), "every figure of the account says where it comes from");
  await p.click(".graph .task", "weather-reduce-beijing");
  ok(await p.until("document.querySelector('.taskhead')?.innerText.includes('weather-reduce-beijing')"), "a task is chosen in the graph");
  await p.click(".taskpanel button", "All candidates");
  ok(await p.until("document.querySelectorAll('.candidates tbody tr').length === 8 && document.querySelector('.wontag')"), "its placement shows all eight candidates and the chosen one");
  ok(await show(p, "#/jobs/forecast", "document.querySelector('.log pre')?.innerText.includes('epoch')"), "a running task's log is shown");
  const before = await p.eval("document.querySelector('.log pre').innerText.length");
  ok(await p.until(`document.querySelector('.log pre').innerText.length > ${before}`, 6000), "and grows while it runs");
  await p.click(".pageactions button", "Cancel job");
  await p.click("dialog button.danger");
  ok(await p.until("document.querySelector('.facts').innerText.includes('cancelled')"), "a job is cancelled after a question");
  ok((await c.api("GET", "job/forecast")).state === "cancelled", "and is so at the controller");
}

async function submit(p) {
  await show(p, "#/jobs/new", "document.querySelector('#jobtext')");
  const write = (text) => p.eval(`{ const e = document.querySelector('#jobtext'); e.value = ${JSON.stringify(text)}; e.dispatchEvent(new Event('input', { bubbles: true })); }`);
  await write("job: mine\ntype: batch\ntasks:\n  - name: one\n    argc: [true]\n");
  await pause(60);
  await p.click(".formfoot button.primary");
  ok(await p.until("document.querySelector('.problem')"), "a wrong job is refused");
  ok(/job\.yaml:5:\d+/.test(await p.eval("document.querySelector('.problem .place')?.innerText ?? ''")), "with line and column");
  ok((await p.eval("document.querySelector('.problem .hint')?.innerText ?? ''")).includes("did you mean 'argv'?"), "and what was meant");
  ok((await p.eval("document.querySelector('.gutter .bad')?.innerText")) === "5", "the line is marked in the editor");
  await p.shot(join(shots, "submit-error-en-light.png"));
  await write("job: mine\ntype: batch\ntasks:\n  - {name: one, argv: [weather-map]}\n");
  await pause(60);
  await p.click(".formfoot button", "Check");
  ok(await p.until("document.querySelector('.goodnote')"), "a right one passes the check");
  await p.click(".formfoot button.primary");
  ok(await p.until("location.hash === '#/jobs/mine' && document.querySelectorAll('.graph .task').length === 1"), "and when submitted its page opens");
  ok(await p.until("document.querySelector('.graph .task.running')"), "it is seen running without a reload");
}

async function objects(p) {
  await show(p, "#/objects/node", "document.querySelectorAll('tbody tr').length === 100");
  await p.click("th button", "Power");
  ok(await p.until("location.hash.includes('sort=-power_w') && document.querySelector('tbody tr')?.innerText.includes('kW')"), "a table is sorted by the server, largest first");
  ok(await p.has("of 384"), "and knows how many there are");
  await p.click(".pager button", "Next");
  ok(await p.has("101–200 of 384"), "the next page comes");
  ok(await show(p, "#/objects/node?q=wuhu-a-r03", "document.querySelectorAll('tbody tr').length === 8"), "a search narrows it");
  ok(await show(p, "#/objects/rack/zhangjiakou-a-r01", "document.querySelectorAll('.charts canvas').length === 2"), "an object shows the past of its numbers");
  ok(await p.has("7.4 kW is above its budget"), "and its conditions");
  ok(await p.eval("[...document.querySelectorAll('.kv')].some((e) => /Budget\\s*7(\\.00)?\\s*kW/.test(e.innerText))"), "fields are printed in their units");
  await p.click(".pageactions button", "Edit");
  await p.until("document.querySelector('#f-set-budget_w')");
  await p.type("#f-set-budget_w", "9 MW");
  ok(await p.until("document.querySelector('dialog button.primary:not(:disabled)')"), "a value may carry a unit");
  await p.click("dialog button.primary");
  ok(await p.until("document.querySelector('dialog .problem')?.innerText.includes('out of range')"), "the server's refusal is shown in the form");
  await p.type("#f-set-budget_w", "8 kW");
  await p.click("dialog button.primary");
  ok(await p.until("!document.querySelector('dialog') && document.body.innerText.includes('8.00')"), "and a good value is kept");
  ok(await show(p, "#/objects/rack/nowhere", "document.querySelector('.problem')"), "an object that does not exist says so");
}

async function journal(p, c) {
  await show(p, "#/journal?kind=decision", "document.querySelectorAll('.openable').length > 10");
  await p.eval("[...document.querySelectorAll('.openable')].find((r) => r.innerText.includes('place weather')).querySelector('button').click()");
  ok(await p.until("document.querySelectorAll('.candidates tbody tr').length === 8"), "a decision opens to its candidates");
  ok(await p.eval("document.querySelector('.hashline code').innerText.length === 64"), "and its hash");
  await show(p, "#/journal", "document.querySelectorAll('.openable').length > 10");
  const top = await p.eval("document.querySelector('.openable .seq').innerText.trim()");
  await c.api("PATCH", "tenant/campus", { title: "Campus of the test" });
  ok(await p.until(`document.querySelector('.openable .seq').innerText.trim() !== ${JSON.stringify(top)}`), "new rows come by themselves");
  await p.click(".pageactions button", "Verify");
  ok(await p.has("chain intact"), "the chain is verified");
}

async function actions(p) {
  await show(p, "#/actions/time/pace", "document.querySelector('#f-pace_ratio')");
  await p.type("#f-pace_ratio", "fast");
  ok(await p.has("A number is wanted"), "a form knows its types");
  await p.type("#f-pace_ratio", "200000");
  ok(await p.until("document.querySelector('.field.wrong')?.innerText.includes('100,000')"), "and its ranges");
  await p.type("#f-pace_ratio", "60");
  await p.click(".formfoot button");
  ok(await p.until("document.querySelector('.timebutton')?.innerText.includes('60×')", 12000) || (await p.has("pace_ratio")), "a verb is run");
  await show(p, "#/actions/node/set?object=wuhu-a-r01-n01", "document.querySelector('#f-model')");
  await p.type("#f-model", "ascen");
  ok(await p.until("document.querySelector('.ref li.on')?.innerText.startsWith('ascend')"), "a reference is found while typing");
  await p.key("Enter");
  await p.click(".check input");
  await p.click(".formfoot button");
  ok(await p.has("Nothing was changed"), "a dry run says what would change");
  ok(await p.eval("document.querySelector('.answer').innerText.includes('ascend')"), "field by field");
  ok(await p.eval("document.querySelector('.shell').innerText === 'suan node set wuhu-a-r01-n01 model=ascend --dry-run'"), "the same line for a shell is shown");
  await show(p, "#/actions/tenant/delete?object=region", "document.querySelector('.formfoot button.danger')");
  await p.click(".formfoot button.danger");
  ok(await p.until("document.querySelector('dialog')?.innerText.includes('suan tenant delete region')"), "a dangerous verb asks first");
  await p.click("dialog button.danger");
  ok(await p.until("document.querySelector('.sidemain .problem')"), "and its refusal is shown");
}

async function rest(p, c) {
  await show(p, "#/capabilities", "document.querySelector('.caps')");
  await p.click(".modeswitch button", "Advise");
  ok(await p.until("document.querySelector('.modeswitch .on')?.innerText.toLowerCase() === 'advise'"), "a capability is switched to advise");
  ok((await c.api("GET", "cap/list")).items[0].mode === "advise", "and is so at the controller");
  await p.click(".modeswitch button", "Act");
  await p.click(".caps button", "Edit");
  await p.until("document.querySelector('#f-placement-jobs_max')");
  await p.type("#f-placement-jobs_max", "777");
  await p.click(".caps button.primary");
  ok(await p.until("document.querySelector('.caps .kv')?.innerText.includes('777')"), "it is configured");
  await p.click(".timebutton");
  await p.click(".timectl .popover button", "Stop");
  ok(await p.until("document.querySelector('.pace.stopped')"), "plant time is stopped");
  const then = (await c.api("GET", "time/show")).now_us;
  await p.click(".timectl .popover button", "+15m");
  await pause(400);
  ok(Date.parse((await c.api("GET", "time/show")).now_us) - Date.parse(then) === 900000, "and jumps by a quarter of an hour");
  await p.click(".timectl .popover button", "1×");
  await p.key("Escape");
  await p.eval("document.activeElement.blur()");
  await p.key("/", "Slash");
  ok(await p.eval("document.activeElement.type === 'search'"), "/ goes to the search");
  await p.cdp("Input.insertText", { text: "horinger-a-r01-n03" });
  await p.until("document.querySelector('.hits li.on b')?.innerText === 'horinger-a-r01-n03'");
  await p.key("Enter");
  ok(await p.until("location.hash === '#/objects/node/horinger-a-r01-n03'"), "which finds any object");
}

// Every page, in both languages and both themes, at two widths.
async function looks(p) {
  const chinese = { overview: ["总览", "张家口", "和林格尔", "需要关注"], jobs: ["作业", "提交作业", "完成"], job: ["任务图", "实测", "日志"], submit: ["作业（YAML）"], objects: ["节点", "功率"], object: ["遥测", "状况", "7.4 kW"], journal: ["决策日志", "决策"], actions: ["试运行", "执行"], capabilities: ["作业放置", "目标"] };
  for (const [lang, theme] of [["en", "light"], ["en", "dark"], ["zh", "light"], ["zh", "dark"]]) {
    await p.look(lang, theme);
    const dark = (await p.eval("getComputedStyle(document.body).backgroundColor")) === "rgb(14, 17, 22)";
    ok(dark === (theme === "dark"), `${lang} ${theme}: the theme is remembered`);
    for (const [name, hash, ready] of pages) {
      if ((lang === "zh") !== (theme === "dark") && name !== "overview" && name !== "job") continue;
      ok(await show(p, hash, ready), `${lang} ${theme}: ${name} is complete`);
      if (lang === "zh") for (const w of chinese[name]) if (!(await p.has(w, 2000))) ok(false, `${name} says ${w}`);
      if (!(await fits(p))) ok(false, `${name} fits at 1280`);
      await p.shot(join(shots, `${name}-${lang}-${theme}.png`));
    }
  }
  await p.size(390, 844);
  await p.look("en", "light");
  for (const [name, hash, ready] of pages) {
    ok((await show(p, hash, ready)) && (await fits(p)), `${name} fits on a phone`);
    await p.shot(join(shots, `${name}-phone.png`));
  }
  await p.size(1280, 860);
}

async function empty(p) {
  const folder = mkdtempSync(join(tmpdir(), "suan-web-"));
  writeFileSync(join(folder, "empty.yaml"), "estate: empty\ntenant:\n  - name: nobody\n");
  const c = await controller(join(folder, "empty.yaml"));
  await p.goto(`${c.url}#token=${c.token}`);
  ok(await p.has("The estate has no centre yet."), "an empty estate says so, and what to do");
  ok(!(await p.eval("location.href")).includes(c.token), "a token in the address is used and removed");
  for (const [lang, theme] of [["en", "light"], ["zh", "dark"]]) {
    await p.look(lang, theme);
    await pause(400);
    await p.shot(join(shots, `empty-overview-${lang}-${theme}.png`));
    ok(await show(p, "#/jobs", "document.querySelector('.empty a.button')"), `${lang}: no jobs, and how to begin`);
    await p.shot(join(shots, `empty-jobs-${lang}-${theme}.png`));
    ok(await show(p, "#/objects/centre", "document.querySelector('.empty')"), `${lang}: no centres in the table`);
    await show(p, "#/journal?kind=alarm", "document.querySelector('.empty')");
    await p.shot(join(shots, `empty-journal-${lang}-${theme}.png`));
  }
  await p.look("en", "light");
  ok((await c.close()) === 0, "the controller ends well while its page is open");
  ok(await p.has("The controller does not answer", 20000), "and the page says that it is gone");
  rmSync(folder, { recursive: true });
}

async function large(p) {
  const folder = mkdtempSync(join(tmpdir(), "suan-web-"));
  writeFileSync(join(folder, "large.yaml"), "estate: large\nmodel:\n  - {name: cpu, cores: 64, power_curve_w: [60, 400]}\ncentre:\n  - name: c\n    latitude_deg: 30\n    longitude_deg: 110\n    hall:\n      - name: a\n        rack:\n          - name: r[001-250]\n            node:\n              - {name: \"n[01-40]\", model: cpu}\n");
  const c = await controller(join(folder, "large.yaml"));
  await p.goto(`${c.url}#token=${c.token}`);
  await p.until("document.querySelector('.place')");
  const begin = Date.now();
  ok((await show(p, "#/objects/node?sort=-power_w", "document.querySelectorAll('tbody tr').length === 100")) && (await p.has("of 10,000")), "a table of 10,000 nodes opens");
  ok(Date.now() - begin < 3000, `in ${Date.now() - begin} ms (less than 3 s)`);
  const again = Date.now();
  ok(await show(p, "#/objects/node?q=r250-n40", "document.querySelectorAll('tbody tr').length === 1"), "one of them is found");
  ok(Date.now() - again < 2500, `in ${Date.now() - again} ms (less than 2.5 s)`);
  await c.close();
  rmSync(folder, { recursive: true });
}

function size() {
  const files = [join(dist, "index.html"), ...readdirSync(join(dist, "assets")).map((f) => join(dist, "assets", f))];
  const total = files.reduce((n, f) => n + gzipSync(readFileSync(f), { level: 9 }).length, 0);
  ok(total < 400000, `the console is ${(total / 1000).toFixed(1)} kB gzip (at most 400)`);
  ok(readdirSync(join(dist, "assets")).every((f) => /-[0-9A-Z]{8}\.(js|css)$/.test(f)), "its files carry the hash of their content");
}

async function main() {
  mkdirSync(shots, { recursive: true });
  size();
  const browser = await launch();
  try {
    const p = browser.page;
    await p.size(1280, 860);
    const c = await controller(estate, "--full");
    await signing(p, c);
    await p.look("en", "light");
    await p.until("document.querySelectorAll('.place').length === 8");
    await looks(p);
    await p.hash("#/");
    await p.until("document.querySelectorAll('.place').length === 8");
    await overview(p);
    await jobs(p, c);
    await submit(p);
    await objects(p);
    await journal(p, c);
    await actions(p);
    await rest(p, c);
    ok((await c.close()) === 0, "the controller ends well while events are read");
    await large(p);
    await empty(p);
    ok(p.errors.length === 0, `no error in the browser's console${p.errors.length ? ": " + p.errors.join("; ").slice(0, 400) : ""}`);
    ok(p.outside.length === 0, `nothing is fetched from outside${p.outside.length ? ": " + p.outside[0] : ""}`);
  } finally {
    await browser.close();
  }
}

await main().catch((e) => {
  ok(false, e.message.split("\n")[0]);
  console.log("# " + e.stack.replaceAll("\n", "\n# "));
});
console.log(`1..${count}`);
if (failed) console.log("# again: meson test -C build --suite web --print-errorlogs");
process.exit(failed ? 1 : 0);

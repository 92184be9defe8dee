// Jobs: the list, and the form to submit one.
import { useEffect, useRef, useState } from "preact/hooks";
import { List, Obj, Problem, call, query, useQuery } from "./api";
import { span } from "./format";
import { t, word } from "./i18n";
import { go, href, setQuery, useRoute } from "./router";
import { plantNow } from "./time";
import { Ago, Await, Bar, Card, Empty, ErrorBox, Icon, Num, Page, SearchBox, Segmented, State } from "./ui";
import { Pager } from "./table";

const PAGE = 50;
const states = ["", "queued", "running", "done", "failed", "cancelled"];

export const lasted = (j: Obj): number | null => {
  const from = j.started_us ?? j.submitted_us;
  return from ? ((j.ended_us ? Date.parse(j.ended_us) : plantNow()) - Date.parse(from)) / 1000 : null;
};

function JobRow({ j }: { j: Obj }) {
  const s = lasted(j);
  return (
    <tr>
      <td><State of={j.state} /></td>
      <td><a class="strong" href={href("jobs", j.name)}>{j.name}</a></td>
      <td>{word(j.type)}</td>
      <td>{j.tenant || <span class="dim">–</span>}</td>
      <td class="progress"><Bar value={j.tasks_done} of={j.tasks} tone={j.tasks_failed ? "bad" : j.state === "done" ? "good" : ""} /><span class="num dim">{j.tasks_done}/{j.tasks}</span></td>
      <td class="r"><Ago time={j.submitted_us} /></td>
      <td class="r num">{s === null ? "–" : span(s)}</td>
      <td class="r"><Num value={j.account.energy_kwh || null} unit="kWh" /></td>
      <td class="r"><Num value={j.account.carbon_kg || null} unit="kg" /></td>
      <td class="r"><Num value={j.account.cost_cny || null} unit="CNY" /></td>
    </tr>
  );
}

export function Jobs() {
  const route = useRoute();
  const state = route.query.get("state") ?? "";
  const q = route.query.get("q") ?? "";
  const offset = Number(route.query.get("offset") ?? 0);
  const list = useQuery<List>("job" + query({ sort: "-submitted_us", limit: PAGE, offset, state, q }), { kinds: ["job"], keep: true });
  return (
    <Page title={t("jobs")} actions={<a class="button primary" href={href("jobs", "new")}><Icon name="plus" size={14} /> {t("submit")}</a>}>
      <div class="toolbar">
        <Segmented label={t("state")} value={state} options={states.map((s) => [s, s ? word(s) : t("all")])} onChange={(s) => setQuery({ state: s, offset: null })} />
        <SearchBox label={t("find")} value={q} onInput={(v) => setQuery({ q: v, offset: null })} />
      </div>
      <Card>
        <Await q={list} lines={8}>
          {(d) =>
            d.items.length ? (
              <>
                <div class="scroll">
                  <table class="data">
                    <thead>
                      <tr>
                        <th>{t("state")}</th><th>{t("name")}</th><th>{t("kind")}</th><th>{t("tenant")}</th><th>{t("progress")}</th>
                        <th class="r">{t("submitted")}</th><th class="r">{t("duration")}</th><th class="r">{t("energy")}</th><th class="r">{t("carbon")}</th><th class="r">{t("cost")}</th>
                      </tr>
                    </thead>
                    <tbody>{d.items.map((j) => <JobRow key={j.name} j={j} />)}</tbody>
                  </table>
                </div>
                <Pager offset={offset} page={PAGE} count={d.items.length} matched={d.matched} go={(o) => setQuery({ offset: o ? String(o) : null })} />
              </>
            ) : d.total ? (
              <Empty title={t("no_jobs_match")}><button onClick={() => setQuery({ state: null, q: null, offset: null })}>{t("clear")}</button></Empty>
            ) : (
              <Empty title={t("no_jobs")} hint={t("no_jobs_hint")}><a class="button primary" href={href("jobs", "new")}>{t("submit")}</a></Empty>
            )
          }
        </Await>
      </Card>
    </Page>
  );
}

// -- submit --

const examples: [string, string][] = [
  ["two tasks", `# Two tasks; the second reads what the first wrote.
job: hello
type: batch
policy: spread
tasks:
  - name: greet
    argv: [sh, -c, "echo hello > out/greeting; echo said hello"]
    outputs: [greeting]
    time_limit_us: 1m
  - name: answer
    argv: [sh, -c, "cat in/greet.greeting; echo 'result {\\"heard\\":true}'"]
    inputs: [greet/greeting]
    time_limit_us: 1m
`],
  ["map and reduce", `# One task for each city, then one that reads all of them.
job: count
type: batch
policy: greenest
tasks:
  - name: map-{city}
    for: {city: [beijing, shanghai, guangzhou]}
    argv: [sh, -c, "echo {city} > out/part"]
    outputs: [part]
  - name: reduce
    argv: [sh, -c, "cat in/* | wc -l"]
    inputs: ["map-*/part"]
`],
  ["function", `# A program that answers one JSON line with another; started on demand.
job: echo
type: function
function:
  argv: [cat]
  instances_max: 4
  idle_us: 30s
`],
];

const place = (p: string) => /:(\d+):(\d+)$/.exec(p);

function Editor(p: { value: string; set: (v: string) => void; bad: { line: number; column: number } | null }) {
  const ref = useRef<HTMLTextAreaElement>(null);
  const [top, setTop] = useState(0);
  const lines = p.value.split("\n");
  useEffect(() => {
    if (!p.bad || !ref.current) return;
    let at = p.bad.column - 1;
    for (let i = 0; i < p.bad.line - 1 && i < lines.length; i++) at += lines[i].length + 1;
    ref.current.focus();
    ref.current.setSelectionRange(at, at);
  }, [p.bad]);
  const key = (e: KeyboardEvent) => {
    if (e.key !== "Tab" || e.shiftKey || e.ctrlKey) return;
    const el = ref.current!;
    if (el.selectionStart !== el.selectionEnd) return;
    e.preventDefault();
    el.setRangeText("  ", el.selectionStart, el.selectionEnd, "end");
    p.set(el.value);
  };
  return (
    <div class="editor">
      <div class="gutter num" aria-hidden="true">
        <div style={{ transform: `translateY(${-top}px)` }}>
          {lines.map((_, i) => <span key={i} class={p.bad?.line === i + 1 ? "bad" : ""}>{i + 1}</span>)}
        </div>
      </div>
      <div class="pane">
        {p.bad && <i class="badline" style={{ top: `${10 + (p.bad.line - 1) * 20 - top}px` }} />}
        <textarea
          ref={ref} id="jobtext" aria-label={t("job_text")} wrap="off" spellcheck={false} autocapitalize="off" value={p.value}
          onInput={(e) => p.set(e.currentTarget.value)} onScroll={(e) => setTop(e.currentTarget.scrollTop)} onKeyDown={key}
        />
      </div>
    </div>
  );
}

export function Submit() {
  const [text, setText] = useState(examples[0][1]);
  const [error, setError] = useState<Error>();
  const [good, setGood] = useState(false);
  const [busy, setBusy] = useState(false);
  const at = error instanceof Problem ? place(error.place) : null;
  const [bad, setBad] = useState<{ line: number; column: number } | null>(null);
  useEffect(() => setBad(at ? { line: Number(at[1]), column: Number(at[2]) } : null), [error]);
  const change = (v: string) => {
    setText(v);
    setError(undefined);
    setGood(false);
  };
  const send = async (dry: boolean) => {
    setBusy(true);
    setError(undefined);
    setGood(false);
    try {
      const r = await call<{ name: string }>("POST", "job/submit" + (dry ? "?dry_run=1" : ""), { job: text, source: "job.yaml" });
      if (dry) setGood(true);
      else go(href("jobs", r.name));
    } catch (e) {
      setError(e as Error);
    }
    setBusy(false);
  };
  return (
    <Page title={<><a href={href("jobs")} class="crumb">{t("jobs")}</a>{t("submit")}</>}>
      <Card title={t("job_text")} aside={<span class="examples">{t("example")}: {examples.map(([name, yaml]) => <button key={name} class="link" onClick={() => change(yaml)}>{name}</button>)}</span>}>
        <Editor value={text} set={change} bad={bad} />
        {error && <ErrorBox error={error} />}
        {good && <p class="goodnote" role="status"><Icon name="check" /> {t("check_good")}</p>}
        <footer class="formfoot">
          <button class="primary" disabled={busy || !text.trim()} onClick={() => send(false)}>{t("submit_now")}</button>
          <button disabled={busy || !text.trim()} onClick={() => send(true)}>{t("check")}</button>
        </footer>
      </Card>
    </Page>
  );
}

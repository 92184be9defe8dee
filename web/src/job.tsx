// One job: its graph, where each task ran and why, what it printed, what it cost.
import { useEffect, useRef, useState } from "preact/hooks";
import { JournalRow, List, Obj, bytes, call, query, segment, useQuery } from "./api";
import { shown, span, text, when } from "./format";
import { TaskGraph } from "./graph";
import { t, word } from "./i18n";
import { lasted } from "./jobs";
import { Reasons } from "./reasons";
import { href, setQuery, useRoute } from "./router";
import { Ago, Await, Bar, Card, Confirm, CopyButton, Empty, ErrorBox, Figure, Loading, ObjectLink, Page, State } from "./ui";

const open = (state: string) => state === "waiting" || state === "ready" || state === "placed" || state === "running";

// -- account: every figure says where it comes from --

const SOURCES: Record<string, "measured" | "modelled" | "default" | "none_figure"> = { measured: "measured", modelled: "modelled", default: "default", none: "none_figure" };

export function Account({ of: a }: { of: any }) {
  const rows = [
    [t("cpu_time"), a.cpu_s, "s", a.cpu_source],
    [t("energy"), a.energy_kwh, "kWh", a.energy_source],
    [t("carbon"), a.carbon_kg, "kg", a.carbon_source],
    [t("cost"), a.cost_cny, "CNY", a.cost_source],
    [t("moved"), a.moved_bytes, "B", ""],
  ] as const;
  return (
    <dl class="account">
      {rows.map(([name, v, unit, source]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd>
            {source === "none" ? <span class="num dim">–</span> : <Figure s={shown(v, unit)} />}
            {source && <span class={`source ${source}`} title={t(SOURCES[source] ?? "default")}><i />{t(SOURCES[source] ?? "default")}</span>}
          </dd>
        </div>
      ))}
    </dl>
  );
}

// -- log: asks for what is new, from where it has got to --

const KEEP = 400000; // characters shown
const CHUNK = 65536;

export function Log({ task }: { task: Obj }) {
  const [log, setLog] = useState("");
  const [cut, setCut] = useState(0);
  const [error, setError] = useState<Error>();
  const [follow, setFollow] = useState(true);
  const box = useRef<HTMLPreElement>(null);
  const live = open(task.state);
  const placed = !!task.agent;
  useEffect(() => {
    if (!placed) return;
    const abort = new AbortController();
    const decoder = new TextDecoder();
    let offset = 0;
    let timer = 0;
    setLog("");
    setCut(0);
    const ask = async () => {
      try {
        const chunk = await bytes(`task/${segment(task.name)}/logs` + query({ offset_bytes: offset, limit_bytes: CHUNK }), abort.signal);
        offset += chunk.length;
        setError(undefined);
        if (chunk.length) {
          const s = decoder.decode(chunk, { stream: true });
          setLog((l) => {
            const all = l + s;
            if (all.length <= KEEP) return all;
            setCut((c) => c + all.length - KEEP);
            return all.slice(-KEEP);
          });
        }
        if (chunk.length === CHUNK) timer = window.setTimeout(ask, 0);
        else if (live) timer = window.setTimeout(ask, 1000);
      } catch (e) {
        if ((e as Error).name === "AbortError") return;
        setError(e as Error);
        if (live) timer = window.setTimeout(ask, 3000);
      }
    };
    ask();
    return () => {
      abort.abort();
      clearTimeout(timer);
    };
  }, [task.name, task.attempt, live, placed]);
  useEffect(() => {
    if (follow && box.current) box.current.scrollTop = box.current.scrollHeight;
  }, [log, follow]);
  const scrolled = () => {
    const b = box.current!;
    setFollow(b.scrollHeight - b.scrollTop - b.clientHeight < 24);
  };
  return (
    <div class="log">
      <div class="logbar">
        <h3>{t("log")}</h3>
        {live && placed && <span class="livedot">{t("log_live")}</span>}
        <span class="grow" />
        {!follow && <button class="small" onClick={() => setFollow(true)}>{t("follow")}</button>}
        {log && <CopyButton text={log} />}
      </div>
      {error && <ErrorBox error={error} />}
      {!placed ? (
        <p class="calm">{t("log_unplaced")}</p>
      ) : (
        <pre ref={box} onScroll={scrolled} tabIndex={0} aria-label={t("log")}>
          {cut > 0 && <span class="dim">{t("log_cut", { n: text(cut, "B") }) + "\n"}</span>}
          {log || <span class="dim">{t("log_empty")}</span>}
        </pre>
      )}
    </div>
  );
}

// -- one task --

function WhyHere({ task }: { task: Obj }) {
  const [show, setShow] = useState(false);
  const q = useQuery<{ chain: JournalRow[] }>(show && task.decision ? "system/explain" + query({ subject: task.decision }) : null);
  if (!task.why) return task.reason ? <p class="wrap">{task.reason}</p> : <p class="dim">–</p>;
  return (
    <div>
      <p class="wrap">{task.why}</p>
      {task.decision > 0 && (
        <p class="row">
          <button class="small" onClick={() => setShow(!show)}>{show ? t("hide_reasons") : t("show_reasons")}</button>
          <a class="dim small" href={href("journal", String(task.decision))}>#{task.decision}</a>
        </p>
      )}
      {show && <Await q={q}>{(d) => <Reasons reasons={d.chain[0]?.reasons} />}</Await>}
    </div>
  );
}

function duration(x: Obj): string {
  if (!x.started_us) return "–";
  const s = x.ended_us ? (Date.parse(x.ended_us) - Date.parse(x.started_us)) / 1000 : lasted(x);
  return s === null ? "–" : span(s);
}

function TaskPanel({ task }: { task: Obj }) {
  return (
    <div class="taskpanel">
      <div class="taskhead">
        <h3><a href={href("objects", "task", task.name)}>{task.name}</a></h3>
        <State of={task.state} />
      </div>
      <dl class="kv">
        <div><dt>{t("centre")}</dt><dd>{task.centre ? <ObjectLink path={"centre/" + task.centre}>{task.centre}</ObjectLink> : <span class="dim">–</span>}</dd></div>
        <div><dt>{t("node")}</dt><dd>{task.node ? <ObjectLink path={"node/" + task.node}>{task.node}</ObjectLink> : <span class="dim">–</span>}</dd></div>
        <div><dt>{t("started")}</dt><dd class="num">{when(task.started_us)}</dd></div>
        <div><dt>{t("duration")}</dt><dd class="num">{duration(task)}</dd></div>
        <div><dt>{t("attempt")}</dt><dd class="num">{task.attempt || "–"}{task.failures > 0 && <span class="badtext"> ({word("failed")}: {task.failures})</span>}</dd></div>
        <div><dt>{t("command")}</dt><dd><code class="wrap">{task.argv.join(" ")}</code></dd></div>
        {task.result && <div><dt>{t("result")}</dt><dd><code class="wrap">{task.result}</code></dd></div>}
        {task.reason && <div><dt>{t("reason")}</dt><dd class="wrap">{task.reason}</dd></div>}
        {task.why && <div class="wide"><dt>{t("why_here")}</dt><dd><WhyHere task={task} /></dd></div>}
        {task.account.cpu_source !== "none" && <div class="wide"><dt>{t("account")}</dt><dd><Account of={task.account} /></dd></div>}
      </dl>
      <Log task={task} />
    </div>
  );
}

function Facts({ j }: { j: Obj }) {
  const s = lasted(j);
  return (
    <div class="facts">
      <div><span>{t("state")}</span><State of={j.state} /></div>
      <div><span>{t("progress")}</span><span class="factbar"><Bar value={j.tasks_done} of={j.tasks} tone={j.tasks_failed ? "bad" : j.state === "done" ? "good" : ""} /><span class="num">{j.tasks_done}/{j.tasks}</span></span></div>
      <div><span>{t("submitted")}</span><Ago time={j.submitted_us} /></div>
      <div><span>{t("duration")}</span><span class="num">{s === null ? "–" : span(s)}</span></div>
      <div><span>{t("kind")}</span><b>{word(j.type)}</b></div>
      <div><span>{t("tenant")}</span>{j.tenant ? <ObjectLink path={"tenant/" + j.tenant}>{j.tenant}</ObjectLink> : <span class="dim">–</span>}</div>
      <div><span>{t("by_user")}</span><b>{j.user}</b></div>
      <div><span>{t("policy")}</span>{j.policy ? <b>{j.policy}</b> : <span class="dim">{t("policy_default")}</span>}</div>
    </div>
  );
}

// The one a person most likely wants to see first.
function firstTask(tasks: Obj[]): Obj | undefined {
  return tasks.find((x) => x.state === "failed") ?? tasks.find((x) => x.state === "running") ?? tasks.find((x) => x.state === "ready") ?? tasks[tasks.length - 1];
}

export function Job({ name }: { name: string }) {
  const route = useRoute();
  const q = useQuery<Obj>("job/" + segment(name), { kinds: ["job"] });
  const tasks = useQuery<List>("task" + query({ parent: "job/" + name, limit: 5000 }), { kinds: ["job", "task"] });
  const [asking, setAsking] = useState(false);
  const list = tasks.data?.items ?? [];
  const wanted = route.query.get("task");
  const task = list.find((x) => x.name === wanted) ?? firstTask(list);
  const running = q.data && (q.data.state === "queued" || q.data.state === "running");
  return (
    <Page
      title={<><a href={href("jobs")} class="crumb">{t("jobs")}</a>{name}</>}
      actions={running && <button class="danger quiet" onClick={() => setAsking(true)}>{t("cancel_job")}</button>}
    >
      {asking && (
        <Confirm title={t("cancel_job")} text={t("cancel_job_ask", { name })} yes={t("cancel_job")} onYes={() => call("POST", `job/${segment(name)}/cancel`, {})} onClose={() => setAsking(false)} />
      )}
      <Await q={q}>
        {(j) => (
          <>
            <Card class="jobtop">
              <Facts j={j} />
              <Account of={j.account} />
              {(j.result || j.reason) && (
                <dl class="kv outcome">
                  {j.result && <div><dt>{t("result")}</dt><dd><code class="wrap">{j.result}</code></dd></div>}
                  {j.reason && <div><dt>{t("reason")}</dt><dd class={j.state === "failed" ? "badtext" : ""}>{j.reason}</dd></div>}
                </dl>
              )}
            </Card>
            {j.type === "function" && !j.tasks ? (
              <Card title={t("details")}><ObjectLink path={"function/" + name} /></Card>
            ) : (
              <div class="jobbody">
                <Card title={t("task_graph")} aside={<span class="dim num">{list.length}</span>}>
                  {tasks.error && !tasks.data ? <ErrorBox error={tasks.error} retry={tasks.reload} /> : !tasks.data ? <Loading /> : list.length ? (
                    <TaskGraph job={name} tasks={list} chosen={task?.name ?? null} choose={(n) => setQuery({ task: n })} />
                  ) : <Empty title={t("pick_task")} />}
                </Card>
                <Card title={t("task")}>{task ? <TaskPanel task={task} key={task.name} /> : <p class="calm">{t("pick_task")}</p>}</Card>
              </div>
            )}
          </>
        )}
      </Await>
    </Page>
  );
}

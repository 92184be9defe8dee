// The first page: where the centres are and how they fare, what flows, what runs, what was decided, what is wrong.
import { useMemo } from "preact/hooks";
import { Condition, JournalRow, List, Obj, useQuery } from "./api";
import { Chart, Telemetry, summed } from "./chart";
import { digits, shown, span, text } from "./format";
import { brief, t, titled } from "./i18n";
import { Place, RegionMap, carbonColour } from "./map";
import { href, objectHref } from "./router";
import { Ago, Await, Bar, Card, Empty, Num, ObjectLink, Page, State } from "./ui";

const HOUR = 720;

function Tile(p: { title: string; value: string; unit: string; note?: string; times: number[]; values: (number | null)[]; chartUnit: string; colour: string }) {
  const lines = useMemo(() => [{ label: p.title, values: p.values, colour: p.colour }], [p.values, p.title]);
  return (
    <section class="card tile">
      <h2>{p.title}</h2>
      <p class="figure num">{p.value}<span class="unit">{p.unit}</span>{p.note && <small>{p.note}</small>}</p>
      <Chart times={p.times} lines={lines} unit={p.chartUnit} spark />
    </section>
  );
}

function Tiles({ centres }: { centres: Obj[] }) {
  const series = (field: string) => useQuery<Telemetry>("telemetry/show?kind=centre&field=" + field + "&points=" + HOUR, { every: 5 }).data;
  const power = series("power_w");
  const carbon = series("carbon_g_per_h");
  const cores = series("cores_used");
  const sum = (f: string) => centres.reduce((s, c) => s + (c[f] || 0), 0);
  const p = useMemo(() => summed(power), [power]);
  const c = useMemo(() => summed(carbon), [carbon]);
  const u = useMemo(() => summed(cores), [cores]);
  const intensity = useMemo(() => c.map((v, i) => (v !== null && p[i] ? v / (p[i]! / 1000) : null)), [p, c]);
  const pw = shown(sum("power_w"), "W");
  const cg = shown(sum("carbon_g_per_h"), "g/h");
  const now = sum("power_w") > 0 ? sum("carbon_g_per_h") / (sum("power_w") / 1000) : 0;
  const total = sum("cores_total");
  const times = power?.times ?? [];
  const wide = times.length > 1 ? t("last_hour", { n: span((times[times.length - 1] - times[0]) / 1000) }) : undefined;
  return (
    <div class="tiles">
      <Tile title={t("power")} value={pw.n} unit={pw.u} note={wide} times={times} values={p} chartUnit="W" colour="series-1" />
      <Tile title={t("emission")} value={cg.n} unit={cg.u + " CO₂e"} times={carbon?.times ?? []} values={c} chartUnit="g/h" colour="series-2" />
      <Tile title={t("intensity")} value={digits(Math.round(now))} unit="g/kWh" times={times} values={intensity} chartUnit="g/kWh" colour="series-3" />
      <Tile title={t("cores")} value={digits(sum("cores_used"))} unit={total ? `/ ${digits(total)}` : ""} note={total ? `${Math.round((sum("cores_used") / total) * 100)} %` : undefined} times={cores?.times ?? []} values={u} chartUnit="" colour="series-4" />
    </div>
  );
}

function CentreTable({ places, running }: { places: Place[]; running: Map<string, number> }) {
  return (
    <div class="scroll">
      <table class="data centres">
        <thead>
          <tr>
            <th>{t("centre")}</th>
            <th>{t("load")}</th>
            <th class="r">{t("power")}</th>
            <th class="r">g/kWh</th>
            <th class="r">{t("tasks_here")}</th>
          </tr>
        </thead>
        <tbody>
          {places.map(({ object: o, factor }) => {
            const load = o.cores_total > 0 ? o.cores_used / o.cores_total : 0;
            return (
              <tr key={o.name}>
                <td>
                  <a href={objectHref("centre/" + o.name)} class="centrename">
                    <State of={o.state} quiet />
                    {brief(titled(o as any))}
                  </a>
                </td>
                <td class="loadcell"><Bar value={load} of={1} tone={load > 0.85 ? "warn" : ""} /><span class="num">{Math.round(load * 100)}%</span></td>
                <td class="r"><Num value={o.power_w} unit="W" /></td>
                <td class="r"><span class="num carbonnum"><i style={{ background: carbonColour(factor) }} />{factor === null ? "–" : Math.round(factor * 1000)}</span></td>
                <td class="r num">{running.get(o.name) ?? <span class="dim">0</span>}</td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Attention() {
  const q = useQuery<{ items: Condition[]; matched: number }>("condition/list?limit=8", { every: 4, journal: true });
  return (
    <Card title={t("attention")} aside={q.data && q.data.matched > 0 ? <span class="count">{q.data.matched}</span> : undefined} class="attention">
      <Await q={q} lines={2}>
        {(d) =>
          d.items.length ? (
            <ul class="plain">
              {d.items.map((c) => (
                <li key={c.object + c.name} class="condition">
                  <State of={c.severity} />
                  <div>
                    <p><ObjectLink path={c.object!} /> <span class="dim">{c.name}</span></p>
                    <p class="clip2">{c.text}</p>
                  </div>
                  <Ago time={c.since} />
                </li>
              ))}
            </ul>
          ) : (
            <p class="calm">{t("attention_none")}</p>
          )
        }
      </Await>
    </Card>
  );
}

function Decisions() {
  const q = useQuery<{ rows: JournalRow[] }>("journal/list?kind=decision&limit=7", { journal: true });
  return (
    <Card title={t("decisions")} aside={<a href={href("journal") + "?kind=decision"}>{t("all")}</a>}>
      <Await q={q}>
        {(d) =>
          d.rows.length ? (
            <ul class="plain">
              {d.rows.map((r) => (
                <li key={r.sequence} class="decision">
                  <a href={href("journal", String(r.sequence))}>
                    <span class="clip2">{r.text}</span>
                    <span class="meta"><span class="num dim">#{r.sequence}</span> <Ago time={r.time} /></span>
                  </a>
                </li>
              ))}
            </ul>
          ) : (
            <p class="calm">{t("decisions_none")}</p>
          )
        }
      </Await>
    </Card>
  );
}

function ActiveJobs() {
  const running = useQuery<List>("job?sort=-submitted_us&limit=6&state=running", { kinds: ["job"] });
  const queued = useQuery<List>("job?sort=-submitted_us&limit=6&state=queued", { kinds: ["job"] });
  const n = (running.data?.matched ?? 0) + (queued.data?.matched ?? 0);
  return (
    <Card title={t("active_jobs")} aside={<a href={href("jobs")}>{t("all")}</a>}>
      <Await q={running}>
        {(d) => {
          const list = [...d.items, ...(queued.data?.items ?? [])].slice(0, 6);
          return list.length ? (
            <ul class="plain">
              {list.map((j) => (
                <li key={j.name} class="jobline">
                  <a href={href("jobs", j.name)}>
                    <span class="clip strong">{j.name}</span>
                    <State of={j.state} />
                    <Bar value={j.tasks_done} of={j.tasks} tone={j.tasks_failed ? "bad" : ""} />
                    <span class="num dim">{j.tasks_done}/{j.tasks}</span>
                  </a>
                </li>
              ))}
              {n > list.length && <li class="dim small">{t("more", { n: n - list.length })}</li>}
            </ul>
          ) : (
            <div class="calm">
              <p>{t("no_active_jobs")}</p>
              <a class="button" href={href("jobs", "new")}>{t("submit_first")}</a>
            </div>
          );
        }}
      </Await>
    </Card>
  );
}

export function Overview() {
  const centres = useQuery<List>("centre?limit=200", { kinds: ["centre"] });
  const grids = useQuery<List>("grid?fields=factor_kg_per_kwh&limit=500");
  const links = useQuery<List>("link?limit=400", { every: 5 });
  const tasks = useQuery<List>("task?state=running&fields=centre&limit=5000", { kinds: ["job"], every: 5 });
  const places = useMemo(() => {
    const factors = new Map((grids.data?.items ?? []).map((g) => [g.name, g.factor_kg_per_kwh as number]));
    return (centres.data?.items ?? []).map((object): Place => ({ object, factor: factors.get(object.grid) ?? null }));
  }, [centres.data, grids.data]);
  const running = new Map<string, number>();
  for (const x of tasks.data?.items ?? []) running.set(x.centre, (running.get(x.centre) ?? 0) + 1);
  const up = places.filter((p) => p.object.state === "up").length;
  const off = places.filter((p) => p.object.state === "cut-off").length;
  const limit = places.reduce((s, p) => s + (p.object.power_limit_w || 0), 0);
  return (
    <Page class="overview" title={t("overview")}>
      <Await q={centres} lines={10}>
        {(d) =>
          d.items.length ? (
            <>
              <div class="region">
                <Card title={t("map")} class="mapcard" aside={limit > 0 ? <span class="dim small">{text(places.reduce((s, p) => s + (p.object.power_w || 0), 0), "W")} / {text(limit, "W")}</span> : undefined}>
                  <RegionMap places={places} links={links.data?.items ?? []} />
                </Card>
                <Card title={t("centres")} aside={<span class={off ? "badtext" : "dim"}>{off ? t("cut_off_n", { n: off }) : up === places.length ? t("all_up") : t("up_of", { a: up, b: places.length })}</span>}>
                  <CentreTable places={places} running={running} />
                </Card>
              </div>
              <Tiles centres={d.items} />
              <div class="three">
                <ActiveJobs />
                <Attention />
                <Decisions />
              </div>
            </>
          ) : (
            <Empty title={t("no_centres")} hint={t("no_centres_hint")} />
          )
        }
      </Await>
    </Page>
  );
}

// The decision journal: newest first, live; each row opens to its reasons.
import { useEffect, useRef, useState } from "preact/hooks";
import { JournalRow, call, listen, query, useQuery } from "./api";
import { clock, date } from "./format";
import { t, word } from "./i18n";
import { Reasons } from "./reasons";
import { href, setQuery, useRoute } from "./router";
import { Await, Card, Empty, ErrorBox, Icon, Loading, ObjectLink, Page, SearchBox, Segmented, Tag } from "./ui";

const PAGE = 60;
const kinds = ["", "decision", "advice", "verb", "commit", "state", "event", "alarm"];
const toneOf: Record<string, string> = { decision: "busy", advice: "busy", alarm: "bad", event: "warn" };

function Why({ r }: { r: JournalRow }) {
  const q = useQuery<{ chain: JournalRow[] }>(r.reasons === undefined ? "system/explain" + query({ subject: r.sequence }) : null);
  const row = r.reasons === undefined ? q.data?.chain[0] : r;
  return (
    <div class="whybox">
      {q.error && <ErrorBox error={q.error} />}
      {!row && !q.error ? <Loading lines={2} /> : <Reasons reasons={row?.reasons} />}
      {row?.hash && <p class="dim small hashline"><span>{t("hash")}</span> <code>{row.hash}</code></p>}
    </div>
  );
}

export function Row({ r, narrow, open: first, fresh }: { r: JournalRow; narrow?: boolean; open?: boolean; fresh?: boolean }) {
  const [open, setOpen] = useState(!!first);
  const columns = narrow ? 3 : 6;
  const toggle = (e: Event) => {
    if (!(e.target as HTMLElement).closest("a")) setOpen(!open);
  };
  return (
    <>
      <tr class={`openable ${open ? "open" : ""} ${fresh ? "fresh" : ""}`} onClick={toggle}>
        <td class="num dim seq"><button class="expander" aria-expanded={open} aria-label={`#${r.sequence} ${t("why")}`}><Icon name={open ? "down" : "right"} size={12} /></button>{r.sequence}</td>
        <td class="num dim nowrap" title={r.time}>{narrow ? "" : date(r.time) + " "}{clock(r.time)}</td>
        {!narrow && <td><Tag tone={toneOf[r.kind]}>{word(r.kind)}</Tag></td>}
        {!narrow && <td><span class="clip by">{r.by}</span></td>}
        {!narrow && <td class="objcol">{r.object ? <ObjectLink path={r.object} /> : <span class="dim">–</span>}</td>}
        <td class="what">{r.text}</td>
      </tr>
      {open && <tr class="why"><td colSpan={columns}><Why r={r} /></td></tr>}
    </>
  );
}

function Verify() {
  const [state, set] = useState<{ busy?: boolean; rows?: number; error?: Error }>({});
  const act = async () => {
    set({ busy: true });
    try {
      set({ rows: (await call<{ rows: number }>("GET", "journal/verify")).rows });
    } catch (e) {
      set({ error: e as Error });
    }
  };
  if (state.error) return <ErrorBox error={state.error} />;
  if (state.rows !== undefined) return <span class="goodnote" role="status"><Icon name="check" /> {t("verified", { n: state.rows })}</span>;
  return <button disabled={state.busy} onClick={act}>{t("verify")}</button>;
}

function useRows(filter: Record<string, string>) {
  const key = JSON.stringify(filter);
  const [rows, setRows] = useState<JournalRow[] | null>(null);
  const [error, setError] = useState<Error>();
  const [end, setEnd] = useState(false);
  const [fresh, setFresh] = useState(0); // rows above this came while the page was open
  const newest = useRef(0);
  const load = () => {
    setError(undefined);
    call<{ rows: JournalRow[] }>("GET", "journal/list" + query({ ...filter, limit: PAGE })).then(
      (d) => {
        newest.current = d.rows[0]?.sequence ?? 0;
        setFresh(newest.current);
        setEnd(d.rows.length < PAGE);
        setRows(d.rows);
      },
      (e) => setError(e),
    );
  };
  useEffect(() => {
    let timer = 0;
    setRows(null);
    load();
    const more = () => {
      timer = 0;
      call<{ rows: JournalRow[] }>("GET", "journal/list" + query({ ...filter, after: newest.current, limit: 500 })).then((d) => {
        if (!d.rows.length) return;
        newest.current = Math.max(newest.current, d.rows[d.rows.length - 1].sequence);
        setRows((old) => (old ? [...d.rows.reverse().filter((r) => r.sequence > (old[0]?.sequence ?? 0)), ...old] : old));
      }, () => {});
    };
    const un = listen([], (e) => {
      if ((e.type === "journal" || e.type === "resync") && !timer) timer = window.setTimeout(more, 500);
    });
    return () => {
      un();
      clearTimeout(timer);
    };
  }, [key]);
  const older = () => {
    const last = rows?.[rows.length - 1]?.sequence;
    if (!last) return;
    call<{ rows: JournalRow[] }>("GET", "journal/list" + query({ ...filter, before: last, limit: PAGE })).then(
      (d) => {
        setEnd(d.rows.length < PAGE);
        setRows((old) => [...(old ?? []), ...d.rows]);
      },
      (e) => setError(e),
    );
  };
  return { rows, error, end, older, load, fresh };
}

export function Journal({ sequence }: { sequence?: string }) {
  const route = useRoute();
  const kind = route.query.get("kind") ?? "";
  const object = route.query.get("object") ?? "";
  const filter: Record<string, string> = {};
  if (kind) filter.kind = kind;
  if (object) filter.object = object;
  const { rows, error, end, older, load, fresh } = useRows(filter);
  const [typed, setTyped] = useState(object);
  useEffect(() => setTyped(object), [object]);
  const one = useQuery<{ chain: JournalRow[] }>(sequence ? "system/explain" + query({ subject: sequence }) : null);
  return (
    <Page title={sequence ? <><a class="crumb" href={href("journal")}>{t("journal")}</a>#{sequence}</> : t("journal")} actions={<Verify />}>
      {sequence && (
        <Card>
          <Await q={one}>
            {(d) => d.chain[0] ? <table class="data rows"><tbody><Row r={d.chain[0]} open /></tbody></table> : <Empty title={t("not_found")} />}
          </Await>
        </Card>
      )}
      <div class="toolbar">
        <Segmented label={t("kind")} value={kind} options={kinds.map((k) => [k, k ? word(k) : t("all")])} onChange={(k) => setQuery({ kind: k })} />
        <form onSubmit={(e) => { e.preventDefault(); setQuery({ object: typed.trim() }); }}>
          <SearchBox label={t("object") + " · kind/name"} value={typed} onInput={(v) => { setTyped(v); if (!v) setQuery({ object: null }); }} />
        </form>
        <span class="livedot">{t("live")}</span>
      </div>
      <Card>
        {error && <ErrorBox error={error} retry={load} />}
        {!rows ? (
          !error && <Loading lines={10} />
        ) : rows.length ? (
          <>
            <div class="scroll">
              <table class="data rows journal">
                <thead><tr><th>{t("sequence")}</th><th>{t("time")}</th><th>{t("kind")}</th><th>{t("by")}</th><th>{t("object")}</th><th>{t("what")}</th></tr></thead>
                <tbody>{rows.map((r) => <Row key={r.sequence} r={r} fresh={r.sequence > fresh} />)}</tbody>
              </table>
            </div>
            {!end && <p class="pager"><button class="small" onClick={older}>{t("older")}</button></p>}
          </>
        ) : kind || object ? (
          <Empty title={t("journal_no_match")}><a class="button" href={href("journal")}>{t("clear")}</a></Empty>
        ) : (
          <Empty title={t("journal_empty")} hint={t("journal_empty_hint")} />
        )}
      </Card>
    </Page>
  );
}

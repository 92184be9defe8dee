// Objects of any kind: a table made from the kind's schema, that stays quick at 100,000 rows.
import { useMemo } from "preact/hooks";
import { List, Obj, query, useQuery } from "./api";
import { label, lang, t, titled, word } from "./i18n";
import { href, objectHref, setQuery, useRoute } from "./router";
import { Field, Kind, schema } from "./schema";
import { useStore } from "./store";
import { Pager } from "./table";
import { Await, Card, Empty, Icon, Page, SearchBox } from "./ui";
import { FieldValue } from "./value";

const PAGE = 100;
const COLUMNS = 8;
const LIVE_MAX = 300; // more objects than this are asked again at intervals: their stream would be a flood

const titleOf = (k: Kind) => (lang.get() === "zh" ? k.title_zh : k.title) || k.name;

// What tells rows apart: state, references, what flows; then the rest.
export function columnsOf(k: Kind): Field[] {
  const rank = (f: Field): number => {
    if (f.type === "array" || f.type === "object" || f.type === "any" || f.secret || f.name === "title_zh") return -1;
    if (f.name === "state") return 0;
    if (f.name === "title") return 1;
    if (f.enum) return 2;
    if (f.ref) return 3;
    if (f.flows && f.type !== "date-time") return 4;
    if (f.type === "number" || f.type === "integer") return 5;
    if (f.type === "date-time") return 6;
    return f.maxLength && f.maxLength > 200 ? 9 : 7;
  };
  return k.fields
    .map((f, i) => ({ f, r: rank(f), i }))
    .filter((x) => x.r >= 0)
    .sort((a, b) => a.r - b.r || a.i - b.i)
    .slice(0, COLUMNS)
    .map((x) => x.f);
}

const numeric = (f: Field) => f.type === "number" || f.type === "integer" || f.type === "date-time";

function Head({ f, sort }: { f: { name: string; text: string; right?: boolean; title?: string }; sort: string }) {
  const on = sort === f.name || sort === "-" + f.name;
  const next = sort === f.name ? "-" + f.name : sort === "-" + f.name ? null : f.right ? "-" + f.name : f.name;
  return (
    <th class={f.right ? "r" : ""} aria-sort={!on ? undefined : sort.startsWith("-") ? "descending" : "ascending"} title={f.title}>
      <button class="headsort" onClick={() => setQuery({ sort: next, offset: null })}>
        {!f.right && f.text}
        <span class={`arrow ${on ? "on" : ""}`}>{on && sort.startsWith("-") ? "▾" : "▴"}</span>
        {f.right && f.text}
      </button>
    </th>
  );
}

function Table({ kind, items, sort }: { kind: Kind; items: Obj[]; sort: string }) {
  const columns = useMemo(() => columnsOf(kind), [kind]);
  return (
    <div class="scroll tall">
      <table class="data sticky">
        <thead>
          <tr>
            <Head f={{ name: "name", text: t("name") }} sort={sort} />
            {columns.map((f) => <Head key={f.name} f={{ name: f.name, text: label(f.name), right: numeric(f), title: f.description }} sort={sort} />)}
            <th />
          </tr>
        </thead>
        <tbody>
          {items.map((o) => (
            <tr key={o.name}>
              <td><a class="strong" href={objectHref(o.path)}>{o.name}</a></td>
              {columns.map((f) => <td key={f.name} class={numeric(f) ? "r" : ""}><FieldValue f={f} value={o[f.name]} table /></td>)}
              <td class="r">{o.conditions.length > 0 && <span class="flag" title={o.conditions.map((c) => `${c.name}: ${c.text}`).join("\n")}><Icon name="alert" size={14} />{o.conditions.length}</span>}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function Filters({ kind }: { kind: Kind }) {
  const route = useRoute();
  const choice = kind.fields.filter((f) => f.enum && f.enum.length > 1 && f.enum.length < 20).slice(0, 3);
  return (
    <div class="toolbar">
      <SearchBox label={t("find")} value={route.query.get("q") ?? ""} onInput={(v) => setQuery({ q: v, offset: null })} />
      {choice.map((f) => (
        <label key={f.name} class="choice">
          <span>{label(f.name)}</span>
          <select value={route.query.get(f.name) ?? ""} onChange={(e) => setQuery({ [f.name]: e.currentTarget.value, offset: null })}>
            <option value="">{t("any")}</option>
            {f.enum!.map((w) => <option key={w} value={w}>{word(w)}</option>)}
          </select>
        </label>
      ))}
      {route.query.get("parent") && (
        <button class="chip" onClick={() => setQuery({ parent: null, offset: null })}>{t("parent")}: <b>{route.query.get("parent")}</b> <Icon name="close" size={12} /></button>
      )}
    </div>
  );
}

function KindTable({ kind }: { kind: Kind }) {
  const route = useRoute();
  const words: Record<string, string> = {};
  for (const [k, v] of route.query) words[k] = v;
  const offset = Number(words.offset ?? 0);
  const count = useQuery<{ objects: Record<string, number> }>("system/status").data?.objects[kind.name] ?? Infinity;
  const live = count <= LIVE_MAX;
  const q = useQuery<List>(kind.name + query({ ...words, limit: PAGE }), { kinds: live ? [kind.name] : [], every: live ? undefined : 5, keep: true });
  return (
    <>
      <Filters kind={kind} />
      <Card>
        <Await q={q} lines={10}>
          {(d) =>
            d.items.length ? (
              <>
                <Table kind={kind} items={d.items} sort={words.sort ?? ""} />
                <Pager offset={offset} page={PAGE} count={d.items.length} matched={d.matched} go={(o) => setQuery({ offset: o ? String(o) : null })} />
              </>
            ) : d.total ? (
              <Empty title={t("no_match")}><a class="button" href={href("objects", kind.name)}>{t("clear")}</a></Empty>
            ) : (
              <Empty title={t("no_objects", { kind: titleOf(kind).toLowerCase() })} hint={kind.doc + " " + t("no_objects_hint")} />
            )
          }
        </Await>
      </Card>
    </>
  );
}

export function Objects({ kind }: { kind?: string }) {
  const s = useStore(schema)!;
  const counts = useQuery<{ objects: Record<string, number> }>("system/status", { every: 10 }).data?.objects ?? {};
  const first = s.kinds.find((k) => k.name === "centre") ?? s.kinds[0];
  const k = kind ? s.kind.get(kind) : first;
  return (
    <Page
      class="withside"
      title={k ? titleOf(k) : kind}
      sub={k?.doc}
      actions={k && !k.flags.includes("runtime") && <a class="button" href={href("actions", k.name, "create")}><Icon name="plus" size={14} /> {t("create")}</a>}
    >
      <div class="sided">
        <nav class="kinds" aria-label={t("objects")}>
          {s.kinds.map((x) => (
            <a key={x.name} href={href("objects", x.name)} class={x === k ? "on" : ""} aria-current={x === k ? "page" : undefined}>
              {titleOf(x)}
              <span class="num">{counts[x.name]?.toLocaleString("en-US") ?? ""}</span>
            </a>
          ))}
        </nav>
        <div class="sidemain">{k ? <KindTable kind={k} key={k.name} /> : <Empty title={t("not_found")} />}</div>
      </div>
    </Page>
  );
}

export { titleOf, titled };

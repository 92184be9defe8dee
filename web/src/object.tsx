// One object: its fields by group, what flows over time, what is wrong, what is inside, what was decided about it.
import { useMemo, useState } from "preact/hooks";
import { JournalRow, List, Obj, query, segment, call, useQuery } from "./api";
import { Chart, Telemetry } from "./chart";
import { Fields, Values, allGood, bodyOf, editable } from "./form";
import { text } from "./format";
import { label, t, titled } from "./i18n";
import { Row } from "./journal";
import { titleOf } from "./objects";
import { href, objectHref } from "./router";
import { Field, Kind, schema, verbsOn } from "./schema";
import { useStore } from "./store";
import { Account } from "./job";
import { Ago, Await, Card, CopyButton, Empty, ErrorBox, Icon, Modal, Num, Page, State, Tag } from "./ui";
import { FieldValue } from "./value";

function FieldList({ fields, o }: { fields: Field[]; o: Obj }) {
  return (
    <dl class="kv">
      {fields.map((f) => (
        <div key={f.name} class={f.type === "object" || (f.type === "array" && f.items?.type === "object" && o[f.name]?.length) ? "wide" : ""}>
          <dt title={`${f.name} – ${f.description}`}>{label(f.name)}</dt>
          <dd>{f.name === "account" ? <Account of={o.account} /> : <FieldValue f={f} value={o[f.name]} />}</dd>
        </div>
      ))}
    </dl>
  );
}

function EditForm({ kind, o, close }: { kind: Kind; o: Obj; close: () => void }) {
  const fields = kind.fields.filter((f) => !f.readOnly && !f.final && f.type !== "object");
  const before = useMemo(() => Object.fromEntries(fields.map((f) => [f.name, editable(o[f.name])])), []);
  const [values, setValues] = useState<Values>(before);
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const changed = fields.filter((f) => values[f.name] !== before[f.name]);
  const save = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await call("PATCH", `${kind.name}/${segment(o.name)}`, bodyOf(changed, values));
      close();
    } catch (x) {
      setError(x as Error);
      setBusy(false);
    }
  };
  return (
    <Modal title={t("set_title", { name: o.path })} onClose={close} wide>
      <form onSubmit={save}>
        <Fields fields={fields.map((f) => ({ ...f, default: undefined, required: false }))} values={values} set={setValues} touched={false} prefix="set-" />
        {error && <ErrorBox error={error} />}
        <footer>
          {!changed.length && <span class="dim small">{t("unchanged")}</span>}
          <button type="button" onClick={close}>{t("cancel")}</button>
          <button class="primary" disabled={busy || !changed.length || !allGood(changed, values)}>{t("save")}</button>
        </footer>
      </form>
    </Modal>
  );
}

function Charts({ o, kind }: { o: Obj; kind: Kind }) {
  const q = useQuery<Telemetry>("telemetry/show" + query({ object: o.path }), { every: 5 });
  return (
    <Card title={t("telemetry")}>
      <Await q={q}>
        {(d) => {
          const some = d.series.filter((s) => s.values.some((v) => v !== null));
          if (!some.length) return <p class="calm">{t("telemetry_none")}</p>;
          return (
            <div class="charts">
              {some.map((s, i) => {
                const f = kind.fields.find((x) => x.name === s.field);
                return (
                  <figure key={s.field}>
                    <figcaption title={f?.description}>
                      {label(s.field)} <Num value={o[s.field]} unit={s.unit} name={s.field} />
                    </figcaption>
                    <Chart times={d.times} lines={[{ label: label(s.field), values: s.values, colour: `series-${(i % 6) + 1}` }]} unit={s.unit} name={s.field} height={112} />
                  </figure>
                );
              })}
            </div>
          );
        }}
      </Await>
    </Card>
  );
}

function Conditions({ o }: { o: Obj }) {
  return (
    <Card title={t("conditions")}>
      {o.conditions.length ? (
        <ul class="plain">
          {o.conditions.map((c) => (
            <li key={c.name} class="condition">
              <State of={c.severity} />
              <div>
                <p><b>{c.name}</b> <span class="dim">{c.by}</span></p>
                <p>{c.text}</p>
              </div>
              <Ago time={c.since} />
            </li>
          ))}
        </ul>
      ) : (
        <p class="calm">{t("conditions_none")}</p>
      )}
    </Card>
  );
}

function ChildrenOf({ o, kind }: { o: Obj; kind: Kind }) {
  const q = useQuery<List>(kind.name + query({ parent: o.path, limit: 12, fields: "state,power_w,title,title_zh" }), { every: 10 });
  if (!q.data?.items.length) return null;
  const d = q.data;
  return (
    <div class="childkind">
      <h3>
        <a href={href("objects", kind.name) + query({ parent: o.path })}>{titleOf(kind)}</a> <span class="num dim">{d.matched}</span>
      </h3>
      <ul class="childlist">
        {d.items.map((c) => (
          <li key={c.name}>
            <a href={objectHref(`${kind.name}/${c.name}`)}>{c.name.startsWith(o.name + "-") ? c.name.slice(o.name.length + 1) : c.name}</a>
            {c.state && <State of={c.state} quiet />}
            {typeof c.power_w === "number" && <span class="num dim">{text(c.power_w, "W")}</span>}
          </li>
        ))}
        {d.matched > d.items.length && <li><a class="dim" href={href("objects", kind.name) + query({ parent: o.path })}>{t("more", { n: d.matched - d.items.length })}</a></li>}
      </ul>
    </div>
  );
}

function Chain({ path }: { path: string }) {
  const q = useQuery<{ chain: JournalRow[] }>("system/explain" + query({ subject: path }), { journal: true });
  return (
    <Card title={t("why")}>
      <Await q={q}>
        {(d) => {
          const rows = d.chain.filter((r) => r.kind === "decision" || r.kind === "advice" || r.kind === "alarm");
          return rows.length ? <table class="data rows"><tbody>{rows.slice(0, 12).map((r) => <Row key={r.sequence} r={r} narrow />)}</tbody></table> : <p class="calm">{t("why_none")}</p>;
        }}
      </Await>
    </Card>
  );
}

function History({ path }: { path: string }) {
  const q = useQuery<{ rows: JournalRow[] }>("journal/list" + query({ object: path, limit: 20 }), { journal: true });
  return (
    <Card title={t("history")} aside={<a href={href("journal") + query({ object: path })}>{t("all")}</a>}>
      <Await q={q}>
        {(d) => (d.rows.length ? <table class="data rows"><tbody>{d.rows.map((r) => <Row key={r.sequence} r={r} narrow />)}</tbody></table> : <p class="calm">{t("history_none")}</p>)}
      </Await>
    </Card>
  );
}

function Actions({ o, kind, edit }: { o: Obj; kind: Kind; edit: () => void }) {
  const s = useStore(schema)!;
  const verbs = verbsOn(s, kind.name).filter((v) => v.name !== "set");
  return (
    <>
      {!kind.flags.includes("runtime") && <button onClick={edit}>{t("edit")}</button>}
      {verbs.map((v) => (
        <a key={v.name} class={`button ${v.flags.includes("dangerous") ? "danger quiet" : ""}`} href={href("actions", kind.name, v.name) + query({ object: o.name })} title={v.doc}>
          {v.name}
        </a>
      ))}
    </>
  );
}

function Parents({ o, kind }: { o: Obj; kind: Kind }) {
  return (
    <>
      <a class="crumb" href={href("objects", kind.name)}>{titleOf(kind)}</a>
      {o.parent && <a class="crumb" href={objectHref(o.parent)}>{o.parent.split("/")[1]}</a>}
      {o.name}
    </>
  );
}

export function ObjectPage({ kind: kindName, name }: { kind: string; name: string }) {
  const s = useStore(schema)!;
  const kind = s.kind.get(kindName);
  const q = useQuery<Obj>(kind ? `${kindName}/${segment(name)}` : null, { kinds: [kindName] });
  const [editing, setEditing] = useState(false);
  const [raw, setRaw] = useState(false);
  if (!kind) return <Page title={kindName}><Empty title={t("not_found")} /></Page>;
  const o = q.data;
  const config = kind.fields.filter((f) => !f.readOnly);
  const seen = kind.fields.filter((f) => f.readOnly);
  const inside = s.kinds.filter((k) => k.parents.includes(kindName));
  const flows = kind.fields.some((f) => f.flows && (f.type === "number" || f.type === "integer"));
  const title = o && titled(o as any) !== o.name ? titled(o as any) : kind.doc;
  return (
    <Page title={o ? <Parents o={o} kind={kind} /> : name} sub={title} actions={o && <Actions o={o} kind={kind} edit={() => setEditing(true)} />}>
      <Await q={q} lines={8}>
        {(obj) => (
          <div class="objectgrid">
            {editing && <EditForm kind={kind} o={obj} close={() => { setEditing(false); q.reload(); }} />}
            {raw && <Modal title={obj.path} onClose={() => setRaw(false)} wide><div class="rawjson"><CopyButton text={JSON.stringify(obj, null, 2)} /><pre>{JSON.stringify(obj, null, 2)}</pre></div></Modal>}
            <div class="col">
              {seen.length > 0 && <Card title={t("observed")} aside={<Tag>{`r${obj.revision}`}</Tag>}><FieldList fields={seen} o={obj} /></Card>}
              {config.length > 0 && <Card title={t("config")} aside={<button class="link" onClick={() => setRaw(true)}>{t("raw")}</button>}><FieldList fields={config} o={obj} /></Card>}
            </div>
            <div class="col">
              <Conditions o={obj} />
              {flows && <Charts o={obj} kind={kind} />}
              {inside.length > 0 && <Card title={t("children")} class="children">{inside.map((k) => <ChildrenOf key={k.name} o={obj} kind={k} />)}</Card>}
              <Chain path={obj.path} />
              <History path={obj.path} />
            </div>
          </div>
        )}
      </Await>
      {q.error?.status === 404 && <a class="button" href={href("objects", kindName)}><Icon name="objects" size={14} /> {titleOf(kind)}</a>}
    </Page>
  );
}

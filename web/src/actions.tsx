// Every verb of the platform as a form, made from its schema.
import { useEffect, useMemo, useState } from "preact/hooks";
import { call, query } from "./api";
import { Fields, RefInput, Values, allGood, bodyOf } from "./form";
import { t, titled, word } from "./i18n";
import { titleOf } from "./objects";
import { Tree } from "./reasons";
import { href, useRoute } from "./router";
import { Field, Schema, Verb, schema, verbPath } from "./schema";
import { useStore } from "./store";
import { Card, Confirm, CopyButton, Empty, ErrorBox, Icon, Page, SearchBox, Tag } from "./ui";

interface Group {
  on: string;
  title: string;
  verbs: Verb[];
}

function groups(s: Schema, find: string): Group[] {
  const by = new Map<string, Verb[]>();
  for (const v of s.verbs) {
    if (find && !`${v.on} ${v.name} ${v.doc}`.toLowerCase().includes(find.toLowerCase())) continue;
    const list = by.get(v.on) ?? [];
    list.push(v);
    by.set(v.on, list);
  }
  const name = (on: string) => (on === "*" ? t("every_kind") : s.kind.get(on) ? titleOf(s.kind.get(on)!) : word(on));
  const first = ["job", "function", "*", "estate", "journal", "time", "cap"];
  const rank = (on: string) => (first.indexOf(on) + first.length + 1) % (first.length + 1);
  return [...by].map(([on, verbs]) => ({ on, title: name(on), verbs })).sort((a, b) => rank(a.on) - rank(b.on) || a.title.localeCompare(b.title));
}

// Fields of the form: the verb's own, or the kind's for create and set.
function fieldsFor(s: Schema, v: Verb, kind: string): Field[] | null {
  if (v.on === "*" && (v.name === "create" || v.name === "set")) {
    const k = s.kind.get(kind);
    const own = (k?.fields ?? []).filter((f) => !f.readOnly && (v.name === "create" || !f.final));
    return v.name === "set" ? own.map((f) => ({ ...f, required: false, default: undefined })) : own;
  }
  if (v.has_in) return v.in;
  return v.flags.includes("free-form") && !v.flags.includes("read") && !(v.on === "*") ? null : [];
}

function shell(v: Verb, kind: string, object: string, body: Record<string, unknown>): string {
  const quote = (x: string) => (/^[\w.,:/@%+=-]+$/.test(x) ? x : `'${x.replace(/'/g, "'\\''")}'`);
  const words = Object.entries(body).map(([k, x]) => `${k}=${quote(typeof x === "object" ? JSON.stringify(x) : String(x))}`);
  return ["suan", v.on === "*" ? kind : v.on, v.name, ...(v.on_object ? [object || "NAME"] : []), ...words].join(" ");
}

function Answer({ value }: { value: any }) {
  if (value === undefined) return null;
  if (typeof value === "string") return <pre class="output">{value || " "}</pre>;
  const changes = value && Array.isArray(value.changes) ? value.changes : null;
  const empty = value === null || (typeof value === "object" && !Object.keys(value).length);
  if (empty) return <p class="goodnote" role="status"><Icon name="check" /> {t("done")}</p>;
  return (
    <div class="answer">
      <div class="row"><h3>{changes ? t("changes") : t("output")}</h3><CopyButton text={JSON.stringify(value, null, 2)} /></div>
      <Tree value={changes ?? value} />
      {changes && value.revision !== undefined && <p class="dim small">r{value.revision}</p>}
    </div>
  );
}

function VerbForm({ v, object: given, kind: givenKind }: { v: Verb; object: string; kind: string }) {
  const s = useStore(schema)!;
  const [kind, setKind] = useState(v.on === "*" ? givenKind || "tenant" : v.on);
  const [object, setObject] = useState(given);
  const [name, setName] = useState("");
  const [parent, setParent] = useState("");
  const [values, setValues] = useState<Values>({});
  const [free, setFree] = useState("{}");
  const [touched, setTouched] = useState(false);
  const [busy, setBusy] = useState(false);
  const [dry, setDry] = useState(false);
  const [asking, setAsking] = useState(false);
  const [error, setError] = useState<Error>();
  const [answer, setAnswer] = useState<any>();
  const [wasDry, setWasDry] = useState(false);
  const fields = useMemo(() => fieldsFor(s, v, kind), [v, kind]);
  const reads = v.flags.includes("read");
  const creates = v.on === "*" && v.name === "create";
  const k = s.kind.get(kind);
  const known = !!s.kind.get(v.on === "*" ? kind : v.on);
  let body: Record<string, unknown> = fields ? bodyOf(fields, values) : {};
  let bad = "";
  if (!fields)
    try {
      body = JSON.parse(free);
    } catch (e) {
      bad = t("bad_json", { why: (e as Error).message });
    }
  if (creates) body = { name, ...(parent ? { parent } : {}), ...body };
  const ready = !bad && (!fields || allGood(fields, values)) && (!v.on_object || object) && (!creates || name);
  const send = async () => {
    setTouched(true);
    if (!ready) return;
    setBusy(true);
    setError(undefined);
    setAnswer(undefined);
    try {
      const path = verbPath(v, kind, object);
      if (reads) setAnswer(await call("GET", path + query(body as Record<string, string>)));
      else setAnswer(await call("POST", path + (dry ? "?dry_run=1" : ""), body));
      setWasDry(dry && !reads);
    } catch (e) {
      setError(e as Error);
    }
    setBusy(false);
  };
  const submit = (e: Event) => {
    e.preventDefault();
    if (v.flags.includes("dangerous") && !dry && ready) setAsking(true);
    else void send();
  };
  return (
    <Card
      class="verbform"
      title={<><span class="dim">{v.on === "*" ? t("every_kind") : v.on}</span> {v.name}</>}
      aside={
        <>
          {v.flags.includes("dangerous") && <Tag tone="bad">{t("dangerous")}</Tag>}
          {reads && <Tag>{t("reads")}</Tag>}
          {v.flags.includes("slow") && <Tag>{t("slow")}</Tag>}
          <Tag>{t("role_needed", { role: word(v.role) })}</Tag>
        </>
      }
    >
      <p class="verbdoc">{v.doc}</p>
      <form onSubmit={submit}>
        <div class="fields">
          {v.on === "*" && (
            <div class="field">
              <label for="f-kind">{t("kind")}</label>
              <div>
                <select id="f-kind" value={kind} onChange={(e) => { setKind(e.currentTarget.value); setValues({}); }}>
                  {s.kinds.filter((x) => reads || v.name === "delete" || !x.flags.includes("runtime")).map((x) => <option key={x.name} value={x.name}>{titleOf(x)}</option>)}
                </select>
              </div>
            </div>
          )}
          {v.on_object && (
            <div class={`field ${touched && !object ? "wrong" : ""}`}>
              <label for="f-object">{k ? titleOf(k) : t("object")}<em>*</em></label>
              <div>
                {known ? <RefInput id="f-object" kind={v.on === "*" ? kind : v.on} value={object} onChange={setObject} /> : <input id="f-object" value={object} onInput={(e) => setObject(e.currentTarget.value)} />}
                <p class="doc">{touched && !object ? <b role="alert">{t("is_missing")}</b> : v.permitted_states ? `${t("state")}: ${v.permitted_states.split(" ").map(word).join(", ")}` : (k?.doc ?? "")}</p>
              </div>
            </div>
          )}
          {creates && (
            <>
              <div class={`field ${touched && !name ? "wrong" : ""}`}>
                <label for="f-name">{t("name")}<em>*</em></label>
                <div><input id="f-name" value={name} spellcheck={false} onInput={(e) => setName(e.currentTarget.value)} /><p class="doc">{touched && !name ? <b role="alert">{t("is_missing")}</b> : "a-z 0-9 . _ -"}</p></div>
              </div>
              {(k?.parents.length ?? 0) > 0 && (
                <div class="field">
                  <label for="f-parent">{t("parent")}</label>
                  <div><RefInput id="f-parent" kind={k!.parents[0]} value={parent.replace(/^[^/]*\//, "")} onChange={(x) => setParent(x ? k!.parents[0] + "/" + x : "")} /></div>
                </div>
              )}
            </>
          )}
        </div>
        {fields ? (
          <Fields fields={fields} values={values} set={setValues} touched={touched} />
        ) : (
          <div class="field">
            <label for="f-free">{t("input_free")}</label>
            <div><textarea id="f-free" class="mono" rows={7} spellcheck={false} value={free} onInput={(e) => setFree(e.currentTarget.value)} />{bad && <p class="doc"><b role="alert">{bad}</b></p>}</div>
          </div>
        )}
        {fields && !fields.length && !v.on_object && v.on !== "*" && <p class="dim">{t("input_none")}</p>}
        <footer class="formfoot">
          <button class={v.flags.includes("dangerous") && !dry ? "danger" : "primary"} disabled={busy}>{t("run")}</button>
          {!reads && <label class="check"><input type="checkbox" checked={dry} onChange={(e) => setDry(e.currentTarget.checked)} /> {t("dry_run")}</label>}
          <span class="grow" />
          <code class="shell" title={t("equals")}>{shell(v, kind, object, body)}{dry && !reads ? " --dry-run" : ""}</code>
          <CopyButton text={shell(v, kind, object, body) + (dry && !reads ? " --dry-run" : "")} />
        </footer>
      </form>
      {asking && (
        <Confirm title={t("sure")} text={t("sure_text", { what: shell(v, kind, object, body) })} yes={t("go_ahead")} onClose={() => setAsking(false)} onYes={send} />
      )}
      {error && <ErrorBox error={error} />}
      {wasDry && answer !== undefined && <p class="goodnote" role="status"><Icon name="check" /> {t("dry_run_good")}</p>}
      {!(wasDry && answer && !Object.keys(answer).length) && <Answer value={answer} />}
    </Card>
  );
}

export function Actions({ on, verb }: { on?: string; verb?: string }) {
  const s = useStore(schema)!;
  const route = useRoute();
  const [find, setFind] = useState("");
  const list = groups(s, find);
  const own = s.verbs.find((v) => v.on === on && v.name === verb);
  const v = own ?? s.verbs.find((x) => x.on === "*" && x.name === verb && (on === "*" || !!s.kind.get(on ?? "")));
  const object = route.query.get("object") ?? "";
  useEffect(() => document.querySelector(".verbs .on")?.scrollIntoView({ block: "nearest" }), [on, verb]);
  return (
    <Page class="withside" title={t("actions")}>
      <div class="sided">
        <nav class="kinds verbs" aria-label={t("actions")}>
          <SearchBox label={t("find_action")} value={find} onInput={setFind} />
          <div class="verblist">
            {list.map((g) => (
              <div key={g.on}>
                <h3>{g.title}</h3>
                {g.verbs.map((x) => (
                  <a key={x.name} href={href("actions", g.on, x.name)} class={x === v ? "on" : ""} title={x.doc}>
                    {x.name}
                    {x.flags.includes("dangerous") && <i class="dangerdot" title={t("dangerous")} />}
                  </a>
                ))}
              </div>
            ))}
          </div>
        </nav>
        <div class="sidemain">
          {v ? <VerbForm v={v} object={object} kind={on === "*" ? "" : (on ?? "")} key={`${on}/${verb}/${object}`} /> : verb ? <Empty title={t("not_found")} /> : <Card><Empty title={t("pick_action")} /></Card>}
        </div>
      </div>
    </Page>
  );
}

export { titled };

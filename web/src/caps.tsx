// Capabilities: whether they act, what they promise, how they are configured.
import { useMemo, useState } from "preact/hooks";
import { call, useQuery } from "./api";
import { Fields, Values, allGood, bodyOf, editable } from "./form";
import { digits } from "./format";
import { label, t, titled, word } from "./i18n";
import { schema, fieldsOf } from "./schema";
import { useStore } from "./store";
import { Await, Card, Empty, ErrorBox, Icon, Page, Segmented, Tag } from "./ui";
import { FieldValue } from "./value";

type Mode = "off" | "advise" | "act";
interface Goal {
  name: string;
  target: number;
  stretch?: number;
  unit: string;
  better: string;
  measured_by: string;
  doc: string;
  measured?: number;
  measured_at?: string;
  commit?: string;
}
interface Cap {
  name: string;
  title: string;
  title_zh: string;
  family: string;
  maturity: string;
  mode: Mode;
  goals: Goal[];
  config?: Record<string, any>;
}

function ModeSwitch({ cap, reload }: { cap: Cap; reload: () => void }) {
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const set = async (mode: Mode) => {
    setBusy(true);
    setError(undefined);
    try {
      await call("POST", "cap/mode", { cap: cap.name, mode });
      reload();
    } catch (e) {
      setError(e as Error);
    }
    setBusy(false);
  };
  return (
    <div class="modeswitch" title={t("mode_doc")}>
      <Segmented label={t("mode")} value={cap.mode} disabled={busy} options={[["off", t("mode_off")], ["advise", t("mode_advise")], ["act", t("mode_act")]]} onChange={set} />
      {error && <ErrorBox error={error} />}
    </div>
  );
}

function Goals({ goals }: { goals: Goal[] }) {
  if (!goals.length) return <p class="calm">{t("goals_none")}</p>;
  return (
    <div class="scroll">
      <table class="data compact">
        <thead><tr><th>{t("goal")}</th><th class="r">{t("target")}</th><th class="r">{t("stretch")}</th><th class="r">{t("measured_value")}</th><th>{t("measured_by")}</th></tr></thead>
        <tbody>
          {goals.map((g) => {
            const met = g.measured !== undefined && (g.better === "lower" ? g.measured <= g.target : g.measured >= g.target);
            return (
              <tr key={g.name}>
                <td><b>{g.name}</b><p class="dim small">{g.doc}</p></td>
                <td class="r num nowrap"><span class="dim">{t(g.better === "lower" ? "lower" : "higher")}</span> {digits(g.target)}<span class="unit">{g.unit}</span></td>
                <td class="r num nowrap">{g.stretch === undefined ? "–" : digits(g.stretch)}<span class="unit">{g.unit}</span></td>
                <td class="r num nowrap">{g.measured === undefined ? <span class="dim">{t("not_measured")}</span> : <span class={met ? "goodtext" : "badtext"} title={`${g.measured_at ?? ""} ${g.commit ?? ""}`}>{digits(g.measured)}<span class="unit">{g.unit}</span></span>}</td>
                <td><code>{g.measured_by}</code></td>
              </tr>
            );
          })}
        </tbody>
      </table>
    </div>
  );
}

function Config({ cap, reload }: { cap: Cap; reload: () => void }) {
  const s = useStore(schema)!;
  const fields = useMemo(() => fieldsOf(s.caps.find((c) => c.name === cap.name)?.config), [s, cap.name]);
  const before = useMemo(() => Object.fromEntries(fields.map((f) => [f.name, editable(cap.config?.[f.name])])), [cap.config, fields]);
  const [values, setValues] = useState<Values | null>(null);
  const [error, setError] = useState<Error>();
  const [saved, setSaved] = useState(false);
  if (!fields.length) return <p class="calm">{t("config_none")}</p>;
  if (!values)
    return (
      <>
        <dl class="kv two">
          {fields.map((f) => <div key={f.name}><dt title={f.description}>{label(f.name)}</dt><dd><FieldValue f={f} value={cap.config?.[f.name]} /></dd></div>)}
        </dl>
        <p class="row"><button class="small" onClick={() => { setValues(before); setSaved(false); }}>{t("edit")}</button>{saved && <span class="goodnote" role="status"><Icon name="check" /> {t("saved")}</span>}</p>
      </>
    );
  const changed = fields.filter((f) => values[f.name] !== before[f.name]);
  const save = async (e: Event) => {
    e.preventDefault();
    setError(undefined);
    try {
      await call("POST", "cap/config", { cap: cap.name, ...bodyOf(changed, values) });
      setValues(null);
      setSaved(true);
      reload();
    } catch (x) {
      setError(x as Error);
    }
  };
  return (
    <form onSubmit={save}>
      <Fields fields={fields} values={values} set={setValues} touched={false} prefix={cap.name + "-"} />
      {error && <ErrorBox error={error} />}
      <footer class="formfoot">
        <button class="primary" disabled={!changed.length || !allGood(changed, values)}>{t("save")}</button>
        <button type="button" onClick={() => setValues(null)}>{t("cancel")}</button>
      </footer>
    </form>
  );
}

export function Capabilities() {
  const q = useQuery<{ items: Cap[] }>("cap/list", { journal: true });
  return (
    <Page title={t("capabilities")} sub={t("mode_doc")}>
      <Await q={q}>
        {(d) =>
          d.items.length ? (
            <div class="caps">
              {d.items.map((c) => (
                <Card key={c.name} title={<>{titled(c)} <code class="dim">{c.name}</code> <Tag>{word(c.family)}</Tag> <Tag tone={c.maturity === "production" ? "good" : "mute"}>{word(c.maturity)}</Tag></>} aside={<ModeSwitch cap={c} reload={q.reload} />}>
                  <h3>{t("goals")}</h3>
                  <Goals goals={c.goals} />
                  <h3>{t("config")}</h3>
                  <Config cap={c} reload={q.reload} />
                </Card>
              ))}
            </div>
          ) : (
            <Empty title={t("no_caps")} />
          )
        }
      </Await>
    </Page>
  );
}

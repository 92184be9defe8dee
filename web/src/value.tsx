// One field's value, as its schema says to show it.
import { Field } from "./schema";
import { text, when } from "./format";
import { t, word } from "./i18n";
import { Ago, Num, ObjectLink, State } from "./ui";
import { Tree } from "./reasons";

export function FieldValue({ f, value, table }: { f: Field; value: any; table?: boolean }) {
  if (value === null || value === undefined || value === "") return <span class="dim">–</span>;
  if (f.type === "array") {
    const list = value as any[];
    if (!list.length) return <span class="dim">–</span>;
    if (table) return <span class="num">{list.length}</span>;
    if (f.ref && f.ref !== "*") return <span class="wrap">{list.slice(0, 40).map((v, i) => <span key={i}>{i > 0 && ", "}<ObjectLink path={f.ref + "/" + v}>{v}</ObjectLink></span>)}{list.length > 40 && ` ${t("more", { n: list.length - 40 })}`}</span>;
    if (f.items && (f.items.type === "number" || f.items.type === "integer")) return <span class="num wrap">{list.map((v) => text(v, f.unit).replace(/\u00a0.*$/, "")).join("  ")} <span class="unit">{f.unit}</span></span>;
    if (f.items?.type === "boolean") return <span class="outlets">{list.map((v, i) => <i key={i} class={v ? "on" : ""} title={`${i + 1}: ${v ? t("yes") : t("no")}`} />)}</span>;
    if (f.name === "argv") return <code class="wrap">{list.map((a) => (/[\s"']/.test(a) ? JSON.stringify(a) : a)).join(" ")}</code>;
    return <Tree value={list} />;
  }
  if (f.type === "object") return table ? <span class="dim">…</span> : <Tree value={value} />;
  if (f.type === "date-time") return table ? <Ago time={value} /> : <span class="num" title={value}>{when(value)}</span>;
  if (f.type === "boolean") return <span>{value ? t("yes") : t("no")}</span>;
  if (f.enum) return f.name === "state" ? <State of={value} /> : <span>{word(value)}</span>;
  if (f.ref) return <ObjectLink path={f.ref === "*" ? value : f.ref + "/" + value}>{value}</ObjectLink>;
  if (f.type === "number" || f.type === "integer") return <Num value={value} unit={f.unit} name={f.name} />;
  return <span class={table ? "clip" : "wrap"} title={table ? String(value) : undefined}>{String(value)}</span>;
}

// Forms made from schema fields: what a value is, in which unit and range, and what it may refer to. The server checks
// everything again; this only tells sooner.
import { useEffect, useRef, useState } from "preact/hooks";
import { List, call, query, segment } from "./api";
import { label, t, titled, word } from "./i18n";
import { text } from "./format";
import { Field } from "./schema";

export type Values = Record<string, string | boolean>;

// Units of one dimension, as the server knows them; only to tell a slip of the pen at once.
const dimensions = [
  ["W", "mW", "kW", "MW", "GW"],
  ["us", "ms", "s", "m", "min", "h", "d"],
  ["B", "kB", "MB", "GB", "TB", "PB", "KiB", "MiB", "GiB", "TiB", "PiB"],
  ["bit/s", "kbit/s", "Mbit/s", "Gbit/s", "Tbit/s"],
  ["J", "kJ", "MJ", "Wh", "kWh", "MWh", "GWh"],
  ["kg", "g", "t"],
  ["degC", "K"],
  ["1", "%"],
];

function unitFits(unit: string, given: string): boolean {
  if (!unit) return false;
  const d = dimensions.find((x) => x.includes(unit));
  return d ? d.includes(given) : given === unit;
}

const isSpan = (f: Field) => f.unit === "s" && f.name.endsWith("_us");

// An error to show, or "".
export function fieldError(f: Field, value: string | boolean | undefined): string {
  if (typeof value === "boolean") return "";
  const s = (value ?? "").trim();
  if (!s) return f.required && f.default === undefined ? t("is_missing") : "";
  if (f.type === "integer" || f.type === "number") {
    if (isSpan(f) && /^(\d+(\.\d+)?(us|ms|s|m|min|h|d))+$/.test(s)) return "";
    const m = /^([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)\s*(.*)$/.exec(s);
    if (!m) return t("not_number");
    if (m[2] && !unitFits(f.unit, m[2])) return f.unit ? t("not_unit", { unit: f.unit }) : t("not_number");
    if (!m[2] && f.minimum !== undefined && f.maximum !== undefined && !isSpan(f) && (Number(m[1]) < f.minimum || Number(m[1]) > f.maximum))
      return t("out_of_range", { a: text(f.minimum, f.unit), b: text(f.maximum, f.unit) });
  }
  if (f.type === "string" && f.maxLength && s.length > f.maxLength) return t("too_long", { n: f.maxLength });
  return "";
}

// What is sent: only what was filled in. Numbers with a unit go as text; the server reads both.
export function bodyOf(fields: Field[], values: Values): Record<string, unknown> {
  const out: Record<string, unknown> = {};
  for (const f of fields) {
    const v = values[f.name];
    if (v === undefined || v === "") continue;
    if (typeof v === "boolean") out[f.name] = v;
    else if (f.type === "array") out[f.name] = v.split(/\n/).map((x) => x.trim()).filter(Boolean).map((x) => plain(f.items!, x));
    else if (f.type === "any" || f.type === "object") out[f.name] = json(v);
    else out[f.name] = plain(f, v.trim());
  }
  return out;
}

function plain(f: Field, v: string): unknown {
  return (f.type === "integer" || f.type === "number") && /^[-+]?\d+(\.\d+)?$/.test(v) && !(isSpan(f)) ? Number(v) : v;
}

// JSON when it is JSON; otherwise the text itself (YAML, or a word).
function json(v: string): unknown {
  try {
    return JSON.parse(v);
  } catch {
    return v;
  }
}

function limits(f: Field): string {
  if (f.minimum === undefined || f.maximum === undefined || f.maximum >= 1e15) return "";
  if (isSpan(f)) return t("range", { a: text(f.minimum / 1e6, "s"), b: text(f.maximum / 1e6, "s") });
  return t("range", { a: text(f.minimum, f.unit === "1" ? "" : f.unit), b: text(f.maximum, f.unit === "1" ? "" : f.unit) });
}

// An object's name, found while typing.
export function RefInput(p: { id?: string; kind: string; value: string; onChange: (v: string) => void; invalid?: boolean }) {
  const [found, setFound] = useState<List | null>(null);
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const asked = useRef(0);
  useEffect(() => {
    if (!open) return;
    const mine = ++asked.current;
    const h = setTimeout(() => {
      call<List>("GET", segment(p.kind) + query({ q: p.value, limit: 8, fields: "title,title_zh,state" })).then(
        (l) => mine === asked.current && (setFound(l), setAt(0)),
        () => mine === asked.current && setFound(null),
      );
    }, 120);
    return () => clearTimeout(h);
  }, [open, p.value, p.kind]);
  const pick = (name: string) => {
    p.onChange(name);
    setOpen(false);
  };
  const key = (e: KeyboardEvent) => {
    const n = found?.items.length ?? 0;
    if (e.key === "ArrowDown" || e.key === "ArrowUp") {
      e.preventDefault();
      setOpen(true);
      if (n) setAt((at + (e.key === "ArrowDown" ? 1 : n - 1)) % n);
    } else if (e.key === "Enter" && open && n) {
      e.preventDefault();
      pick(found!.items[at].name);
    } else if (e.key === "Escape") setOpen(false);
  };
  return (
    <div class="ref">
      <input
        id={p.id} type="text" autocomplete="off" spellcheck={false} value={p.value} role="combobox" aria-expanded={open} aria-invalid={p.invalid}
        onFocus={() => setOpen(true)} onBlur={() => setTimeout(() => setOpen(false), 150)} onKeyDown={key}
        onInput={(e) => { p.onChange(e.currentTarget.value); setOpen(true); }}
      />
      {open && found && found.items.length > 0 && !(found.items.length === 1 && found.items[0].name === p.value) && (
        <ul role="listbox">
          {found.items.map((o, i) => (
            <li key={o.name} role="option" aria-selected={i === at} class={i === at ? "on" : ""} onMouseDown={(e) => { e.preventDefault(); pick(o.name); }}>
              <b>{o.name}</b> <span class="dim">{titled(o as any) !== o.name ? titled(o as any) : ""}</span>
            </li>
          ))}
          {found.matched > found.items.length && <li class="dim more">{t("more", { n: found.matched - found.items.length })}</li>}
        </ul>
      )}
    </div>
  );
}

function Input({ f, id, value, set, invalid }: { f: Field; id: string; value: string | boolean | undefined; set: (v: string | boolean) => void; invalid: boolean }) {
  const s = typeof value === "boolean" ? String(value) : (value ?? "");
  if (f.type === "boolean")
    return (
      <select id={id} value={s} onChange={(e) => set(e.currentTarget.value === "" ? "" : e.currentTarget.value === "true")}>
        <option value="">{f.default !== undefined ? `${f.default === "true" ? t("yes") : t("no")} (${t("default")})` : "–"}</option>
        <option value="true">{t("yes")}</option>
        <option value="false">{t("no")}</option>
      </select>
    );
  if (f.enum)
    return (
      <select id={id} value={s} onChange={(e) => set(e.currentTarget.value)}>
        <option value="">{f.default !== undefined ? `${word(f.default)} (${t("default")})` : "–"}</option>
        {f.enum.map((w) => <option key={w} value={w}>{word(w)}</option>)}
      </select>
    );
  if (f.ref && f.ref !== "*" && f.type !== "array") return <RefInput id={id} kind={f.ref} value={s} onChange={set} invalid={invalid} />;
  if (f.type === "array" || f.type === "any" || f.type === "object")
    return <textarea id={id} rows={f.type === "array" ? 3 : 6} class="mono" spellcheck={false} value={s} aria-invalid={invalid} onInput={(e) => set(e.currentTarget.value)} />;
  const number = f.type === "integer" || f.type === "number";
  return (
    <span class={`withunit ${number ? "number" : ""}`}>
      <input
        id={id} type={f.secret ? "password" : "text"} inputMode={number ? "decimal" : undefined} autocomplete="off" spellcheck={false} value={s}
        aria-invalid={invalid} onInput={(e) => set(e.currentTarget.value)}
      />
      {f.unit && f.unit !== "1" && <span class="unit">{f.unit}</span>}
    </span>
  );
}

export function FieldRow({ f, value, set, touched, prefix = "" }: { f: Field; value: string | boolean | undefined; set: (v: string | boolean) => void; touched: boolean; prefix?: string }) {
  const error = touched ? fieldError(f, value) : "";
  const id = "f-" + prefix + f.name;
  const range = limits(f);
  return (
    <div class={`field ${error ? "wrong" : ""}`}>
      <label for={id}>
        {label(f.name)}
        {f.required && <em title={t("required")}>*</em>}
        <code>{f.name}</code>
      </label>
      <div>
        <Input f={f} id={id} value={value} set={set} invalid={!!error} />
        <p class="doc">
          {error ? <b role="alert">{error}</b> : f.description}
          {!error && f.type === "array" && ` (${t("one_a_line")})`}
          {!error && range && <span class="dim num"> {range}</span>}
          {!error && f.default && <span class="dim"> · {t("default")} <code>{f.default}</code></span>}
        </p>
      </div>
    </div>
  );
}

// A value of an object as the form shows it.
export function editable(v: any): string | boolean {
  if (v === null || v === undefined) return "";
  if (typeof v === "boolean") return v;
  if (Array.isArray(v)) return v.map((x) => (typeof x === "object" ? JSON.stringify(x) : String(x))).join("\n");
  return typeof v === "object" ? JSON.stringify(v) : String(v);
}

export function Fields(p: { fields: Field[]; values: Values; set: (v: Values) => void; touched: boolean; prefix?: string }) {
  return (
    <div class="fields">
      {p.fields.map((f) => (
        <FieldRow key={f.name} f={f} value={p.values[f.name]} touched={p.touched || (p.values[f.name] ?? "") !== ""} prefix={p.prefix} set={(v) => p.set({ ...p.values, [f.name]: v })} />
      ))}
    </div>
  );
}

export const allGood = (fields: Field[], values: Values) => fields.every((f) => !fieldError(f, values[f.name]));

// Why: the reasons of a journal row. A placement shows every candidate with every term of its score.
import { Value } from "./api";
import { digits } from "./format";
import { t } from "./i18n";
import { ObjectLink } from "./ui";

interface Candidate {
  centre: string;
  refused?: string;
  score?: number;
  energy_cny?: number;
  carbon_cny?: number;
  compute_cny?: number;
  data_cny?: number;
  time_cny?: number;
  carbon_kg?: number;
}

const terms = [
  ["energy_cny", "energy_price"],
  ["carbon_cny", "carbon_price"],
  ["compute_cny", "compute_price"],
  ["data_cny", "data_price"],
  ["time_cny", "waiting_price"],
] as const;

const meaning: Record<string, "in_cny" | "score_kg" | "score_s" | "score_spread"> = { greenest: "score_kg", "nearest-data": "score_s", spread: "score_spread" };

// Small sums of money: as many digits as tell them apart.
function money(v: number | undefined): string {
  if (v === undefined) return "–";
  if (v === 0) return "0";
  return Math.abs(v) < 0.0000005 ? v.toExponential(1) : Math.abs(v) < 1 ? v.toFixed(6) : digits(v);
}

export function Candidates({ reasons }: { reasons: { policy: string; centre: string; node?: string; candidates: Candidate[] } }) {
  const rows = [...reasons.candidates].sort((a, b) => (a.refused ? 1 : 0) - (b.refused ? 1 : 0) || (a.score ?? 0) - (b.score ?? 0));
  const spread = reasons.policy === "spread";
  const most = Math.max(...rows.map((c) => terms.reduce((s, [k]) => s + (c[k] ?? 0), 0)), 1e-12);
  return (
    <div class="candidates">
      <div class="scroll">
        <table class="data compact">
          <thead>
            <tr>
              <th>{t("centre")}</th>
              <th class="r">{t("score")}</th>
              <th class="stackcol" />
              {terms.map(([k, l]) => <th class="r term" key={k}><i class={`key ${k}`} />{t(l)}</th>)}
            </tr>
          </thead>
          <tbody>
            {rows.map((c) => (
              <tr key={c.centre} class={c.centre === reasons.centre ? "won" : c.refused ? "out" : ""}>
                <td class="nowrap"><ObjectLink path={"centre/" + c.centre}>{c.centre}</ObjectLink>{c.centre === reasons.centre && <span class="wontag">{t("chosen")}</span>}</td>
                {c.refused ? (
                  <td colSpan={7} class="dim">{c.refused}</td>
                ) : (
                  <>
                    <td class="r num strong">
                      {spread && (c.score ?? 0) >= 1e5
                        ? `${Math.floor((c.score ?? 0) / 1e6 + 0.5)} ${t("same_job")}`
                        : money(c.score)}
                    </td>
                    <td class="stackcol">
                      <span class="stack" title={terms.map(([k, l]) => `${t(l)} ${money(c[k])}`).join(" · ")}>{terms.map(([k]) => <i key={k} class={k} style={{ width: `${((c[k] ?? 0) / most) * 100}%` }} />)}</span>
                    </td>
                    {terms.map(([k]) => <td class="r num term" key={k}>{money(c[k])}</td>)}
                  </>
                )}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      <p class="dim small termkeys">{terms.map(([k, l]) => <span key={k}><i class={`key ${k}`} />{t(l)}</span>)}</p>
      <p class="dim small">
        {t("policy")} <b>{reasons.policy}</b>. {meaning[reasons.policy] ? t(meaning[reasons.policy]) + " " : ""}{t("in_cny")}
      </p>
    </div>
  );
}

// Anything else: a map of names and values, nested as far as it goes.
export function Tree({ value }: { value: Value }) {
  if (value === null || value === "") return <span class="dim">–</span>;
  if (Array.isArray(value)) {
    if (!value.length) return <span class="dim">–</span>;
    if (value.every((v) => v !== null && typeof v === "object" && !Array.isArray(v))) return <Rows rows={value as any[]} />;
    return <span class="mono wrap">{value.map((v) => (typeof v === "object" ? JSON.stringify(v) : String(v))).join(", ")}</span>;
  }
  if (typeof value === "object")
    return (
      <dl class="kv tight">
        {Object.entries(value).map(([k, v]) => (
          <div key={k}>
            <dt>{k}</dt>
            <dd><Tree value={v} /></dd>
          </div>
        ))}
      </dl>
    );
  return <span class={typeof value === "number" ? "num" : "wrap"}>{typeof value === "number" ? digits(value) : String(value)}</span>;
}

function Rows({ rows }: { rows: Record<string, Value>[] }) {
  const keys = [...new Set(rows.slice(0, 200).flatMap((r) => Object.keys(r)))].slice(0, 10);
  return (
    <div class="scroll">
      <table class="data compact">
        <thead><tr>{keys.map((k) => <th key={k}>{k}</th>)}</tr></thead>
        <tbody>
          {rows.slice(0, 200).map((r, i) => (
            <tr key={i}>{keys.map((k) => <td key={k} class={typeof r[k] === "number" ? "num" : ""}>{cell(r[k])}</td>)}</tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

const cell = (v: Value | undefined) => (v === undefined || v === null ? "" : typeof v === "object" ? JSON.stringify(v) : String(v));

export function Reasons({ reasons }: { reasons: any }) {
  if (!reasons || (typeof reasons === "object" && !Object.keys(reasons).length)) return <p class="dim">{t("no_reasons")}</p>;
  return Array.isArray(reasons.candidates) ? <Candidates reasons={reasons} /> : <Tree value={reasons} />;
}

// Numbers, units and times as people read them.
import { lang, t } from "./i18n";

export interface Shown {
  n: string;
  u: string;
}

const SI: [number, string][] = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
  [1e3, "k"],
  [1, ""],
];

// Three digits that matter: 1234 -> 1,234; 55.66; 0.00170.
export function digits(v: number): string {
  const a = Math.abs(v);
  if (v === 0) return "0";
  if (a >= 1e15) return v.toExponential(2);
  if (a >= 1000) return Math.round(v).toLocaleString("en-US");
  if (a >= 100) return v.toFixed(0);
  if (a >= 10) return v.toFixed(1);
  if (a >= 1) return v.toFixed(2);
  if (a >= 0.001) return v.toPrecision(3).replace(/0+$/, "").replace(/\.$/, "");
  return v.toExponential(1);
}

function scaled(v: number, unit: string, from = 1): Shown {
  const a = Math.abs(v);
  for (const [f, p] of SI) if (a >= f * from || f === 1) return { n: digits(v / f), u: p + unit };
  return { n: digits(v), u: unit };
}

function bytes(v: number): Shown {
  const names = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
  let i = 0;
  while (Math.abs(v) >= 1024 && i < names.length - 1) {
    v /= 1024;
    i++;
  }
  return { n: i ? digits(v) : String(Math.round(v)), u: names[i] };
}

const UNITS: Record<string, (v: number) => Shown> = {
  W: (v) => scaled(v, "W"),
  kWh: (v) => (Math.abs(v) >= 1000 ? scaled(v * 1000, "Wh") : Math.abs(v) >= 1 || v === 0 ? { n: digits(v), u: "kWh" } : Math.abs(v) >= 1e-6 ? { n: digits(v * 1000), u: "Wh" } : { n: digits(v * 3.6e6), u: "J" }),
  kg: (v) => (Math.abs(v) >= 1000 ? { n: digits(v / 1000), u: "t" } : Math.abs(v) >= 1 || v === 0 ? { n: digits(v), u: "kg" } : Math.abs(v) >= 1e-4 ? { n: digits(v * 1e3), u: "g" } : Math.abs(v) >= 1e-6 ? { n: digits(v * 1e6), u: "mg" } : { n: digits(v * 1e9), u: "µg" }),
  "g/h": (v) => (Math.abs(v) >= 1e6 ? { n: digits(v / 1e6), u: "t/h" } : Math.abs(v) >= 1000 ? { n: digits(v / 1000), u: "kg/h" } : { n: digits(v), u: "g/h" }),
  "kg/kWh": (v) => ({ n: digits(v * 1000), u: "g/kWh" }),
  B: bytes,
  "bit/s": (v) => scaled(v, "bit/s"),
  us: (v) => (Math.abs(v) >= 1e6 ? { n: digits(v / 1e6), u: "s" } : Math.abs(v) >= 1000 ? { n: digits(v / 1000), u: "ms" } : { n: digits(v), u: "µs" }),
  s: (v) => (Math.abs(v) >= 60 ? { n: span(v), u: "" } : v !== 0 && Math.abs(v) < 1 ? { n: digits(v * 1000), u: "ms" } : { n: digits(v), u: "s" }),
  degC: (v) => ({ n: v.toFixed(1), u: "°C" }),
  deg: (v) => ({ n: v.toFixed(2), u: "°" }),
  CNY: (v) => ({ n: v > 0 && v < 1e-5 ? "<0.00001" : digits(v), u: "CNY" }),
  "J/K": (v) => scaled(v, "J/K"),
  "1": (v) => ({ n: digits(v), u: "" }),
};

export function shown(value: number, unit: string, name = ""): Shown {
  if (unit === "1" && /utilisation|load|soc|used/.test(name)) return { n: (value * 100).toFixed(0), u: "%" };
  const f = UNITS[unit];
  if (f) return f(value);
  return { n: Number.isInteger(value) ? value.toLocaleString("en-US") : digits(value), u: unit };
}

export function text(value: number | null | undefined, unit: string, name = ""): string {
  if (value === null || value === undefined) return "–";
  const s = shown(value, unit, name);
  return s.u ? s.n + (s.u === "%" || s.u === "°" ? "" : "\u00a0") + s.u : s.n;
}

export function span(seconds: number): string {
  const s = Math.round(seconds);
  if (seconds > 0 && seconds < 0.95) return Math.max(1, Math.round(seconds * 1000)) + "ms";
  if (s < 60) return (seconds < 10 ? seconds.toFixed(1) : String(s)) + "s";
  if (s < 3600) return `${Math.floor(s / 60)}m${String(s % 60).padStart(2, "0")}s`;
  if (s < 86400) return `${Math.floor(s / 3600)}h${String(Math.floor((s % 3600) / 60)).padStart(2, "0")}m`;
  return `${Math.floor(s / 86400)}d${Math.floor((s % 86400) / 3600)}h`;
}

const two = (n: number) => String(n).padStart(2, "0");

// In the reader's own zone; the title shows UTC.
export function clock(time: string | number | Date, seconds = true): string {
  const d = new Date(time);
  return `${two(d.getHours())}:${two(d.getMinutes())}${seconds ? ":" + two(d.getSeconds()) : ""}`;
}

export function date(time: string | number | Date): string {
  const d = new Date(time);
  return `${d.getFullYear()}-${two(d.getMonth() + 1)}-${two(d.getDate())}`;
}

export function when(time: string | null | undefined): string {
  return time ? `${date(time)} ${clock(time)}` : "–";
}

// Plant time runs by itself: what is "ago" is told against it, not against the browser's clock.
export function ago(time: string | null | undefined, now: number): string {
  if (!time) return "–";
  const s = (now - Date.parse(time)) / 1000;
  if (s < 5) return t("now");
  const n =
    s < 60 ? Math.round(s) + (lang.get() === "zh" ? "秒" : "s")
    : s < 3600 ? Math.round(s / 60) + (lang.get() === "zh" ? "分钟" : "m")
    : s < 86400 ? Math.round(s / 3600) + (lang.get() === "zh" ? "小时" : "h")
    : Math.round(s / 86400) + (lang.get() === "zh" ? "天" : "d");
  return t("ago", { n });
}

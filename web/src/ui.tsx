// Small parts that every page is made of.
import { ComponentChildren, JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Problem, Query } from "./api";
import { Shown, ago, shown, when } from "./format";
import { t, word } from "./i18n";
import { plantNow } from "./time";
import { objectHref } from "./router";

// -- icons: 16 px, drawn with strokes --

const paths: Record<string, string> = {
  overview: "M2.5 8.5 8 3l5.5 5.5M4 7.5V13h8V7.5",
  jobs: "M3 4h4v3H3zM9 9h4v3H9zM5 7v3.5h4M9 4h4",
  objects: "M3 3h4v4H3zM9 3h4v4H9zM3 9h4v4H3zM9 9h4v4H9z",
  journal: "M4 2.5h8v11H4zM6.5 5.5h3M6.5 8h3M6.5 10.5h2",
  actions: "M3 4.5 6.5 8 3 11.5M8 12h5",
  capabilities: "M8 2v3M8 11v3M2 8h3M11 8h3M8 5.5a2.5 2.5 0 1 1 0 5 2.5 2.5 0 0 1 0-5",
  search: "M7 2.5a4.5 4.5 0 1 1 0 9 4.5 4.5 0 0 1 0-9M10.5 10.5 14 14",
  sun: "M8 5a3 3 0 1 1 0 6 3 3 0 0 1 0-6M8 1.5v1.3M8 13.2v1.3M1.5 8h1.3M13.2 8h1.3M3.4 3.4l.9.9M11.7 11.7l.9.9M3.4 12.6l.9-.9M11.7 4.3l.9-.9",
  moon: "M13 9.5A5.5 5.5 0 1 1 6.5 3a4.5 4.5 0 0 0 6.5 6.5z",
  auto: "M8 2.5a5.5 5.5 0 1 1 0 11zM8 2.5a5.5 5.5 0 1 0 0 11",
  down: "m4 6 4 4 4-4",
  right: "m6 4 4 4-4 4",
  close: "m4 4 8 8M12 4l-8 8",
  out: "M6 3H3v10h3M7 8h6.5M11 5.5 13.5 8 11 10.5",
  plus: "M8 3v10M3 8h10",
  play: "M5 3.5v9l7-4.5z",
  pause: "M5.5 3.5v9M10.5 3.5v9",
  skip: "M3.5 4v8L9 8zM9 4v8l4-4z",
  alert: "M8 2.5 14 13H2zM8 6.5v3M8 11.3v.2",
  check: "m3 8.5 3.5 3.5L13 4.5",
  copy: "M5.5 5.5h7v7h-7zM3.5 10.5v-7h7",
};

export function Icon({ name, size = 16 }: { name: string; size?: number }) {
  return (
    <svg class="icon" width={size} height={size} viewBox="0 0 16 16" aria-hidden="true">
      <path d={paths[name]} />
    </svg>
  );
}

export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg class="mark" width={size} height={size} viewBox="0 0 32 32" aria-hidden="true">
      <rect width="32" height="32" rx="7" />
      <path d="M8 10h16M8 16h16M8 22h16" />
      <circle cx="13" cy="10" r="3" />
      <circle cx="20" cy="16" r="3" />
      <circle cx="12" cy="22" r="3" />
    </svg>
  );
}

// -- states --

const tones: Record<string, string> = {
  up: "good", done: "good", connected: "good", warm: "good", act: "good", measured: "good",
  running: "busy", placed: "busy", ready: "busy", advise: "busy",
  failed: "bad", down: "bad", "cut-off": "bad", lapsed: "bad", error: "bad", critical: "bad", alarm: "bad",
  away: "warn", drained: "warn", warning: "warn", cancelled: "mute", modelled: "warn",
};
export const tone = (state: string): string => tones[state] ?? "mute";

export function State({ of, quiet }: { of: string; quiet?: boolean }) {
  return (
    <span class={`state ${tone(of)} ${quiet ? "quiet" : ""}`}>
      <i />
      {word(of)}
    </span>
  );
}

export function Tag({ children, tone: tn = "mute" }: { children: ComponentChildren; tone?: string }) {
  return <span class={`tag ${tn}`}>{children}</span>;
}

// -- numbers --

export function Num({ value, unit = "", name = "" }: { value: number | null | undefined; unit?: string; name?: string }) {
  if (value === null || value === undefined || Number.isNaN(value)) return <span class="num dim">–</span>;
  return <Figure s={shown(value, unit, name)} nothing={value === 0} />;
}

export function Figure({ s, nothing }: { s: Shown; nothing?: boolean }) {
  return (
    <span class={nothing ? "num dim" : "num"}>
      {s.n}
      {s.u && <span class="unit">{s.u}</span>}
    </span>
  );
}

export function Ago({ time }: { time: string | null | undefined }) {
  const [, again] = useState(0);
  useEffect(() => {
    const i = setInterval(() => again((n) => n + 1), 15000);
    return () => clearInterval(i);
  }, []);
  return <span class="num" title={time ? `${when(time)} · ${time}` : ""}>{ago(time, plantNow())}</span>;
}

export function Bar({ value, of, tone: tn = "" }: { value: number; of: number; tone?: string }) {
  const part = of > 0 ? Math.min(1, value / of) : 0;
  return (
    <span class={`bar ${tn}`} role="img" aria-label={`${Math.round(part * 100)} %`}>
      <i style={{ width: `${part * 100}%` }} />
    </span>
  );
}

export function ObjectLink({ path, children }: { path: string; children?: ComponentChildren }) {
  if (!path) return <span class="dim">–</span>;
  return <a class="objlink" href={objectHref(path)}>{children ?? path}</a>;
}

// -- loading, empty, wrong --

export function Loading({ lines = 4 }: { lines?: number }) {
  return (
    <div class="loading" role="status" aria-label={t("loading")}>
      {Array.from({ length: lines }, (_, i) => <i key={i} style={{ width: `${88 - ((i * 37) % 50)}%` }} />)}
    </div>
  );
}

export function Empty({ title, hint, children }: { title: string; hint?: string; children?: ComponentChildren }) {
  return (
    <div class="empty">
      <strong>{title}</strong>
      {hint && <p>{hint}</p>}
      {children}
    </div>
  );
}

export function ErrorBox({ error, retry }: { error: Error; retry?: () => void }) {
  const p = error instanceof Problem ? error : new Problem(0, error.message);
  const away = p.status === 0 && p.message === "offline";
  return (
    <div class="problem" role="alert">
      <Icon name="alert" />
      <div>
        <strong>{away ? t("offline") : p.message}</strong>
        {p.place && <code class="place">{p.place}</code>}
        {p.detail && <p class="detail">{p.detail}</p>}
        {(p.hint || away) && <p class="hint"><b>{t("hint")}</b> {away ? t("offline_hint") : p.hint}</p>}
        {retry && <button class="small" onClick={retry}>{t("retry")}</button>}
      </div>
    </div>
  );
}

// A query's three states in one place; the last answer stays while the next one loads.
export function Await<T>({ q, lines, children }: { q: Query<T>; lines?: number; children: (data: T) => ComponentChildren }) {
  if (q.data === undefined) return q.error ? <ErrorBox error={q.error} retry={q.reload} /> : <Loading lines={lines} />;
  return (
    <>
      {q.error && q.error.status !== 0 && <ErrorBox error={q.error} retry={q.reload} />}
      {children(q.data)}
    </>
  );
}

export function Card(p: { title?: ComponentChildren; aside?: ComponentChildren; children: ComponentChildren; class?: string; id?: string }) {
  return (
    <section class={`card ${p.class ?? ""}`} id={p.id}>
      {p.title !== undefined && (
        <header>
          <h2>{p.title}</h2>
          {p.aside && <div class="aside">{p.aside}</div>}
        </header>
      )}
      {p.children}
    </section>
  );
}

export function Page(p: { title: ComponentChildren; sub?: ComponentChildren; actions?: ComponentChildren; children: ComponentChildren; class?: string }) {
  return (
    <div class={`page ${p.class ?? ""}`}>
      <div class="pagehead">
        <div>
          <h1>{p.title}</h1>
          {p.sub && <p class="sub">{p.sub}</p>}
        </div>
        {p.actions && <div class="pageactions">{p.actions}</div>}
      </div>
      {p.children}
    </div>
  );
}

// -- choices --

export function Segmented<T extends string>(p: { value: T; options: [T, ComponentChildren][]; onChange: (v: T) => void; label: string; disabled?: boolean }) {
  return (
    <div class="segmented" role="radiogroup" aria-label={p.label}>
      {p.options.map(([v, text]) => (
        <button key={v} role="radio" aria-checked={p.value === v} disabled={p.disabled} class={p.value === v ? "on" : ""} onClick={() => p.value !== v && p.onChange(v)}>
          {text}
        </button>
      ))}
    </div>
  );
}

export function SearchBox(p: { value: string; onInput: (v: string) => void; label: string; id?: string }) {
  return (
    <label class="searchbox">
      <Icon name="search" size={14} />
      <input id={p.id} type="search" value={p.value} aria-label={p.label} data-search onInput={(e) => p.onInput(e.currentTarget.value)} />
      {!p.value && <span class="searchlabel">{p.label}</span>}
    </label>
  );
}

export function Modal(p: { title: string; onClose: () => void; children: ComponentChildren; wide?: boolean }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const d = ref.current!;
    d.showModal();
    return () => d.close();
  }, []);
  const outside = (e: JSX.TargetedMouseEvent<HTMLDialogElement>) => {
    if (e.target === ref.current) p.onClose();
  };
  return (
    <dialog ref={ref} class={p.wide ? "wide" : ""} aria-label={p.title} onCancel={(e) => { e.preventDefault(); p.onClose(); }} onMouseDown={outside}>
      <div class="modal">
        <header>
          <h2>{p.title}</h2>
          <button class="ghost" aria-label={t("close")} onClick={p.onClose}><Icon name="close" /></button>
        </header>
        {p.children}
      </div>
    </dialog>
  );
}

export function Confirm(p: { title: string; text: string; yes: string; onYes: () => Promise<unknown>; onClose: () => void }) {
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const act = async () => {
    setBusy(true);
    try {
      await p.onYes();
      p.onClose();
    } catch (e) {
      setError(e as Error);
      setBusy(false);
    }
  };
  return (
    <Modal title={p.title} onClose={p.onClose}>
      <p>{p.text}</p>
      {error && <ErrorBox error={error} />}
      <footer>
        <button onClick={p.onClose}>{t("cancel")}</button>
        <button class="danger" disabled={busy} onClick={act}>{p.yes}</button>
      </footer>
    </Modal>
  );
}

export function CopyButton({ text }: { text: string }) {
  const [done, setDone] = useState(false);
  const copy = () => navigator.clipboard?.writeText(text).then(() => { setDone(true); setTimeout(() => setDone(false), 1500); });
  return <button class="ghost small" onClick={copy} title={t("copy")}><Icon name={done ? "check" : "copy"} size={14} /><span class="sr">{done ? t("copied") : t("copy")}</span></button>;
}

// Close a small panel on a press outside or on Escape.
export function useDismiss(open: boolean, close: () => void) {
  const ref = useRef<HTMLDivElement>(null);
  useEffect(() => {
    if (!open) return;
    const press = (e: Event) => !ref.current?.contains(e.target as Node) && close();
    const key = (e: KeyboardEvent) => e.key === "Escape" && close();
    document.addEventListener("mousedown", press);
    document.addEventListener("keydown", key);
    return () => {
      document.removeEventListener("mousedown", press);
      document.removeEventListener("keydown", key);
    };
  }, [open]);
  return ref;
}

// The public API, and nothing else: calls, problems, live changes.
import { useEffect, useRef, useState } from "preact/hooks";
import { store } from "./store";

export interface Condition {
  name: string;
  severity: string;
  since: string;
  text: string;
  by: string;
  object?: string;
}
export type Value = string | number | boolean | null | Value[] | { [key: string]: Value };
export interface Obj {
  name: string;
  path: string;
  parent: string | null;
  revision: number;
  conditions: Condition[];
  [field: string]: any;
}
export interface List {
  items: Obj[];
  count: number;
  matched: number;
  total: number;
}
export interface JournalRow {
  sequence: number;
  time: string;
  kind: string;
  by: string;
  object: string;
  text: string;
  reasons?: any;
  hash: string;
}

// RFC 9457, as the server sends it: message, detail, hint, place.
export class Problem extends Error {
  constructor(
    public status: number,
    message: string,
    public code = "",
    public hint = "",
    public place = "",
    public detail = "",
  ) {
    super(message);
  }
}

export const signedIn = store<boolean | null>(null); // null: not known yet
export const online = store(true);

async function problemOf(r: Response): Promise<Problem> {
  try {
    const p = await r.json();
    return new Problem(r.status, p.message ?? p.title ?? r.statusText, p.code, p.hint, p.place, p.detail);
  } catch {
    return new Problem(r.status, r.statusText || "HTTP " + r.status);
  }
}

async function send(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<Response> {
  let r: Response;
  try {
    r = await fetch("/api/v1/" + path, {
      method,
      signal,
      credentials: "same-origin",
      headers: body === undefined ? {} : { "Content-Type": "application/json" },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (e) {
    if ((e as Error).name === "AbortError") throw e;
    online.set(false);
    throw new Problem(0, "offline");
  }
  online.set(true);
  if (r.status === 401 && path !== "session") signedIn.set(false);
  if (!r.ok) throw await problemOf(r);
  return r;
}

export async function call<T = any>(method: string, path: string, body?: unknown, signal?: AbortSignal): Promise<T> {
  const r = await send(method, path, body, signal);
  const type = r.headers.get("Content-Type") ?? "";
  return (type.includes("json") ? r.json() : r.text()) as Promise<T>;
}

export async function bytes(path: string, signal?: AbortSignal): Promise<Uint8Array> {
  return new Uint8Array(await (await send("GET", path, undefined, signal)).arrayBuffer());
}

export function query(words: Record<string, string | number | undefined | null>): string {
  const q = new URLSearchParams();
  for (const [k, v] of Object.entries(words)) if (v !== undefined && v !== null && v !== "") q.set(k, String(v));
  const s = q.toString();
  return s ? "?" + s : "";
}

export const segment = encodeURIComponent;

// -- live: one event stream for the page, for the kinds somebody looks at --

export interface LiveEvent {
  type: "change" | "journal" | "event" | "resync";
  data: any;
}
interface Listener {
  kinds: string[];
  fn: (e: LiveEvent) => void;
}
const listeners = new Set<Listener>();
let source: EventSource | null = null;
let sourceKinds = "";
let timer = 0;

function wantedKinds(): string {
  const kinds = new Set<string>();
  for (const l of listeners) for (const k of l.kinds) kinds.add(k);
  return [...kinds].sort().join(",") || "-"; // "-" is no kind: journal and events only
}

function tell(e: LiveEvent): void {
  for (const l of [...listeners])
    if (e.type !== "change" || l.kinds.includes(e.data.kind)) l.fn(e);
}

function reopen(): void {
  const kinds = wantedKinds();
  if (source && kinds === sourceKinds && source.readyState !== EventSource.CLOSED) return;
  source?.close();
  source = null;
  if (!listeners.size) return;
  sourceKinds = kinds;
  source = new EventSource("/api/v1/events?kinds=" + kinds);
  for (const type of ["change", "journal", "event", "resync"] as const)
    source.addEventListener(type, (m) => tell({ type, data: JSON.parse((m as MessageEvent).data) }));
  // What changed between the first answers and the opening of the stream was told to nobody: ask again.
  source.onopen = () => {
    online.set(true);
    tell({ type: "resync", data: {} });
  };
  source.onerror = () => {
    if (source?.readyState !== EventSource.CLOSED) return;
    clearTimeout(timer);
    timer = window.setTimeout(reopen, 3000);
  };
}

export function listen(kinds: string[], fn: (e: LiveEvent) => void): () => void {
  const l = { kinds, fn };
  listeners.add(l);
  clearTimeout(timer);
  timer = window.setTimeout(reopen, 60);
  return () => {
    listeners.delete(l);
    clearTimeout(timer);
    timer = window.setTimeout(reopen, 60);
  };
}

addEventListener("pagehide", () => source?.close());

// -- reading, as a hook: first answer, then again when something it depends on has changed --

export interface Query<T> {
  data?: T;
  error?: Problem;
  loading: boolean;
  reload: () => void;
}
interface Options {
  kinds?: string[]; // changes of these kinds ask again
  journal?: boolean; // so do journal rows
  every?: number; // seconds: ask again anyway
  keep?: boolean; // show the last answer while another path loads
}

const AGAIN_MS = 900; // at most so often

export function useQuery<T = any>(path: string | null, options: Options = {}): Query<T> {
  const [state, set] = useState<{ path: string | null; data?: T; error?: Problem; loading: boolean }>({ path, loading: true });
  const latest = useRef(0);
  const reload = useRef<() => void>(() => {});
  const kinds = (options.kinds ?? []).join(",");
  useEffect(() => {
    if (path === null) return;
    const abort = new AbortController();
    let due = 0;
    let last = 0;
    const load = () => {
      const mine = ++latest.current;
      last = Date.now();
      due = 0;
      call<T>("GET", path, undefined, abort.signal).then(
        (data) => mine === latest.current && set({ path, data, loading: false }),
        (error) =>
          error.name !== "AbortError" &&
          mine === latest.current &&
          set((s) => ({ path, data: s.path === path ? s.data : undefined, error, loading: false })),
      );
    };
    const soon = () => {
      if (!due && !document.hidden) due = window.setTimeout(load, Math.max(0, AGAIN_MS - (Date.now() - last)));
    };
    reload.current = load;
    set((s) => (s.path === path || options.keep ? { ...s, error: undefined, loading: true } : { path, loading: true }));
    load();
    const un = listen(kinds ? kinds.split(",") : [], (e) => {
      if (e.type === "change" || e.type === "resync" || (e.type === "journal" && options.journal)) soon();
    });
    const each = options.every ? window.setInterval(soon, options.every * 1000) : 0;
    return () => {
      abort.abort();
      un();
      clearTimeout(due);
      clearInterval(each);
    };
  }, [path, kinds, options.every, options.journal]);
  return { data: state.data, error: state.error, loading: state.loading, reload: () => reload.current() };
}

// -- signing in --

export async function signIn(token: string): Promise<void> {
  await call("POST", "session", { token: token.trim() });
  signedIn.set(true);
}

export async function signOut(): Promise<void> {
  await call("DELETE", "session");
  signedIn.set(false);
}

// The console: sign in, then the frame around the pages.
import "uplot/dist/uPlot.min.css";
import "./style.css";
import { ComponentChildren, render } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { List, call, online, query, signIn, signOut, signedIn, useQuery } from "./api";
import { Actions } from "./actions";
import { Capabilities } from "./caps";
import { Key, lang, setLang, t, titled, useLang, word } from "./i18n";
import { Job } from "./job";
import { Jobs, Submit } from "./jobs";
import { Journal } from "./journal";
import { ObjectPage } from "./object";
import { Objects, titleOf } from "./objects";
import { Overview } from "./overview";
import { go, href, objectHref, useRoute } from "./router";
import { loadSchema, schema } from "./schema";
import { useStore } from "./store";
import { Theme, setTheme, theme } from "./theme";
import { TimeControl } from "./time";
import { Empty, ErrorBox, Icon, Loading, Mark, Page, useDismiss } from "./ui";

const nav: [string, Key][] = [
  ["overview", "overview"],
  ["jobs", "jobs"],
  ["objects", "objects"],
  ["journal", "journal"],
  ["actions", "actions"],
  ["capabilities", "capabilities"],
];

function LangButton() {
  return <button class="ghost" lang={lang.get() === "zh" ? "en" : "zh"} onClick={() => setLang(lang.get() === "zh" ? "en" : "zh")}>{t("language")}</button>;
}

function ThemeButton() {
  const now = useStore(theme);
  const next: Record<Theme, Theme> = { auto: "light", light: "dark", dark: "auto" };
  const title = `${t("theme")}: ${t(("theme_" + now) as Key)}`;
  return <button class="ghost iconbutton" title={title} aria-label={title} onClick={() => setTheme(next[now])}><Icon name={now === "auto" ? "auto" : now === "light" ? "sun" : "moon"} /></button>;
}

// -- search: any object of any kind, from anywhere with "/" --

interface Hit {
  path: string;
  title: string;
  kind: string;
}

function useHits(text: string): Hit[] | null {
  const [hits, set] = useState<Hit[] | null>(null);
  const asked = useRef(0);
  useEffect(() => {
    const mine = ++asked.current;
    if (text.trim().length < 2) {
      set(null);
      return;
    }
    const timer = setTimeout(async () => {
      const kinds = schema.get()?.kinds ?? [];
      const lists = await Promise.all(
        kinds.map((k) => call<List>("GET", k.name + query({ q: text.trim(), limit: 4, fields: "title,title_zh" })).then((l) => l.items.map((o): Hit => ({ path: `${k.name}/${o.name}`, title: titled(o as any), kind: titleOf(k) })), () => [])),
      );
      if (mine === asked.current) set(lists.flat().slice(0, 14));
    }, 150);
    return () => clearTimeout(timer);
  }, [text]);
  return hits;
}

function Search() {
  const [text, setText] = useState("");
  const [open, setOpen] = useState(false);
  const [at, setAt] = useState(0);
  const input = useRef<HTMLInputElement>(null);
  const hits = useHits(text);
  const ref = useDismiss(open, () => setOpen(false));
  useEffect(() => setAt(0), [hits]);
  useEffect(() => {
    const key = (e: KeyboardEvent) => {
      const typing = (e.target as HTMLElement).closest("input, textarea, select, [contenteditable]");
      if (e.key !== "/" || typing || e.ctrlKey || e.metaKey || e.altKey) return;
      e.preventDefault();
      input.current?.focus();
      input.current?.select();
    };
    document.addEventListener("keydown", key);
    return () => document.removeEventListener("keydown", key);
  }, []);
  const pick = (h: Hit) => {
    go(objectHref(h.path));
    setOpen(false);
    setText("");
    input.current?.blur();
  };
  const key = (e: KeyboardEvent) => {
    const n = hits?.length ?? 0;
    if ((e.key === "ArrowDown" || e.key === "ArrowUp") && n) {
      e.preventDefault();
      setAt((at + (e.key === "ArrowDown" ? 1 : n - 1)) % n);
    } else if (e.key === "Enter" && hits?.[at]) pick(hits[at]);
    else if (e.key === "Escape") input.current?.blur();
  };
  return (
    <div class="search" ref={ref}>
      <label class="searchbox">
        <Icon name="search" size={14} />
        <input ref={input} type="search" value={text} aria-label={t("search_all")} autocomplete="off" spellcheck={false} onFocus={() => setOpen(true)} onInput={(e) => { setText(e.currentTarget.value); setOpen(true); }} onKeyDown={key} />
        {!text && <span class="searchlabel">{t("search_all")}</span>}
        <kbd>/</kbd>
      </label>
      {open && hits && (
        <ul class="popover hits" role="listbox">
          {hits.map((h, i) => (
            <li key={h.path} role="option" aria-selected={i === at} class={i === at ? "on" : ""} onMouseEnter={() => setAt(i)} onMouseDown={(e) => { e.preventDefault(); pick(h); }}>
              <b>{h.path.slice(h.path.indexOf("/") + 1)}</b>
              <span class="dim clip">{h.title !== h.path.slice(h.path.indexOf("/") + 1) ? h.title : ""}</span>
              <em>{h.kind}</em>
            </li>
          ))}
          {!hits.length && <li class="dim none">{t("search_none")}</li>}
        </ul>
      )}
    </div>
  );
}

// -- the frame --

function Frame({ children, at }: { children: ComponentChildren; at: string }) {
  const up = useStore(online);
  const status = useQuery<{ user: string; role: string; version: string; store_ok: boolean; store_error?: string }>("system/status", { every: 15 });
  return (
    <div class="frame">
      <a class="skip" href="#main" onClick={(e) => { e.preventDefault(); document.querySelector<HTMLElement>("main")?.focus(); }}>{t("skip")}</a>
      <nav class="rail" aria-label={t("menu")}>
        <a class="brand" href="#/" title="Suan"><Mark /><span><b>Suan</b> <i>算</i></span></a>
        <div class="links">
          {nav.map(([name, key]) => (
            <a key={name} href={name === "overview" ? "#/" : href(name)} class={at === name ? "on" : ""} aria-current={at === name ? "page" : undefined}>
              <Icon name={name} />
              <span>{t(key)}</span>
            </a>
          ))}
        </div>
        <div class="foot">
          {status.data && <span class="dim">{status.data.user} · {word(status.data.role)}<br />v{status.data.version}</span>}
          <button class="ghost iconbutton" title={t("sign_out")} aria-label={t("sign_out")} onClick={() => void signOut()}><Icon name="out" /></button>
        </div>
      </nav>
      <header class="top">
        <Search />
        <span class="grow" />
        <TimeControl />
        <LangButton />
        <ThemeButton />
      </header>
      <main id="main" tabIndex={-1}>
        {!up && <p class="banner" role="status">{t("offline")}</p>}
        {status.data && !status.data.store_ok && <p class="banner bad" role="alert">{t("store_bad")} {status.data.store_error}</p>}
        {children}
      </main>
    </div>
  );
}

function Pages() {
  const { parts } = useRoute();
  const [page = "overview", a, b] = parts;
  const at = nav.some(([n]) => n === page) ? page : "";
  const body =
    page === "overview" ? <Overview />
    : page === "jobs" ? (a === "new" ? <Submit /> : a ? <Job name={a} key={a} /> : <Jobs />)
    : page === "objects" ? (a && b ? <ObjectPage kind={a} name={b} key={`${a}/${b}`} /> : <Objects kind={a} />)
    : page === "journal" ? <Journal sequence={a} key={a ?? ""} />
    : page === "actions" ? <Actions on={a} verb={b} />
    : page === "capabilities" ? <Capabilities />
    : <Page title={t("not_found")}><Empty title={"#/" + parts.join("/")}><a class="button" href="#/">{t("overview")}</a></Empty></Page>;
  return <Frame at={at}>{body}</Frame>;
}

function Login() {
  const [token, setToken] = useState("");
  const [error, setError] = useState<Error>();
  const [busy, setBusy] = useState(false);
  const submit = async (e: Event) => {
    e.preventDefault();
    setBusy(true);
    setError(undefined);
    try {
      await signIn(token);
    } catch (x) {
      setError(x as Error);
      setBusy(false);
    }
  };
  return (
    <div class="login">
      <div class="loginbar"><LangButton /><ThemeButton /></div>
      <form class="card" onSubmit={submit}>
        <div class="brand"><Mark size={40} /><span><b>Suan</b> <i>算</i></span></div>
        <p class="dim">{t("tagline")}</p>
        <label for="token">{t("token")}</label>
        <input id="token" type="password" autocomplete="current-password" autoFocus spellcheck={false} value={token} onInput={(e) => setToken(e.currentTarget.value)} />
        {error && <ErrorBox error={error} />}
        <button class="primary" disabled={busy || !token.trim()}>{t("sign_in")}</button>
        <p class="doc">{t("token_hint")}</p>
      </form>
    </div>
  );
}

function App() {
  useLang();
  const inside = useStore(signedIn);
  const s = useStore(schema);
  const [error, setError] = useState<Error>();
  useEffect(() => {
    if (inside === false) return;
    setError(undefined);
    loadSchema().then(() => signedIn.set(true), (e) => e.status !== 401 && setError(e));
  }, [inside]);
  if (inside === false) return <Login />;
  if (error) return <div class="login"><div class="card"><ErrorBox error={error} retry={() => location.reload()} /></div></div>;
  if (!s) return <div class="login"><div class="card"><Loading /></div></div>;
  return <Pages />;
}

// A link may bring its token along (#token=…); it is used once and leaves the address at once.
async function begin(): Promise<void> {
  setLang(lang.get());
  const given = /^#token=([0-9a-f]+)$/.exec(location.hash);
  if (given) {
    history.replaceState(null, "", location.pathname + "#/");
    dispatchEvent(new HashChangeEvent("hashchange"));
    await signIn(given[1]).catch(() => signedIn.set(false));
  }
  render(<App />, document.getElementById("app")!);
}

void begin();

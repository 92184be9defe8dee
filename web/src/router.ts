// Addresses after the #: the server needs to know one page only.
import { store, useStore } from "./store";

export interface Route {
  parts: string[];
  query: URLSearchParams;
}

function read(): Route {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { parts: path.split("/").filter(Boolean).map(decodeURIComponent), query: new URLSearchParams(query ?? "") };
}

const route = store<Route>(read());
addEventListener("hashchange", () => {
  const before = route.get().parts.join("/");
  route.set(read());
  if (route.get().parts.join("/") !== before) document.querySelector("main")?.scrollTo(0, 0);
});

export const useRoute = () => useStore(route);

export function href(...parts: string[]): string {
  return "#/" + parts.map(encodeURIComponent).join("/");
}

// "rack/r01" or {kind, name}: where an object is shown. Jobs and tasks have pages of their own.
export function objectHref(path: string): string {
  const i = path.indexOf("/");
  if (i < 0) return href("objects", path);
  const kind = path.slice(0, i);
  const name = path.slice(i + 1);
  return kind === "job" ? href("jobs", name) : href("objects", kind, name);
}

export function go(to: string): void {
  location.hash = to;
}

// Change some words of the query, without a new page in the browser's history.
export function setQuery(words: Record<string, string | null>): void {
  const r = read();
  for (const [k, v] of Object.entries(words)) {
    if (v === null || v === "") r.query.delete(k);
    else r.query.set(k, v);
  }
  const q = r.query.toString();
  history.replaceState(null, "", href(...r.parts) + (q ? "?" + q : ""));
  route.set(read());
}

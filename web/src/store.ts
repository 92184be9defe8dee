// A value that components can watch.
import { useEffect, useState } from "preact/hooks";

export interface Store<T> {
  get(): T;
  set(value: T): void;
  watch(fn: () => void): () => void;
}

export function store<T>(value: T): Store<T> {
  const watchers = new Set<() => void>();
  return {
    get: () => value,
    set(next) {
      if (next === value) return;
      value = next;
      for (const fn of [...watchers]) fn();
    },
    watch(fn) {
      watchers.add(fn);
      return () => void watchers.delete(fn);
    },
  };
}

export function useStore<T>(s: Store<T>): T {
  const [, again] = useState(0);
  useEffect(() => s.watch(() => again((n) => n + 1)), [s]);
  return s.get();
}

// What the browser remembers between visits; private windows may refuse, and that is fine.
export function remembered(key: string): string | null {
  try {
    return localStorage.getItem("suan." + key);
  } catch {
    return null;
  }
}

export function remember(key: string, value: string): void {
  try {
    localStorage.setItem("suan." + key, value);
  } catch {
    /* not kept */
  }
}

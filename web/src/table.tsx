// Tables of many rows: a page at a time, sorted by the server.
import { t } from "./i18n";

export function Pager(p: { offset: number; page: number; count: number; matched: number; go: (offset: number) => void }) {
  if (p.matched <= p.page && p.offset === 0) return p.matched > 10 ? <p class="pager"><span class="num dim">{t("rows", { a: 1, b: p.count, n: p.matched })}</span></p> : null;
  return (
    <nav class="pager" aria-label={t("rows", { a: p.offset + 1, b: p.offset + p.count, n: p.matched })}>
      <span class="num dim">{t("rows", { a: (p.offset + 1).toLocaleString("en-US"), b: (p.offset + p.count).toLocaleString("en-US"), n: p.matched.toLocaleString("en-US") })}</span>
      <span>
        <button class="small" disabled={p.offset === 0} onClick={() => p.go(Math.max(0, p.offset - p.page))}>{t("previous")}</button>
        <button class="small" disabled={p.offset + p.count >= p.matched} onClick={() => p.go(p.offset + p.page)}>{t("next")}</button>
      </span>
    </nav>
  );
}

// Plant time, and its control in a twin run.
import { useEffect, useState } from "preact/hooks";
import { call } from "./api";
import { clock, date } from "./format";
import { t } from "./i18n";
import { ErrorBox, Icon, useDismiss } from "./ui";
import { store, useStore } from "./store";

interface PlantTime {
  now_us: string;
  pace_ratio: number;
  twin: boolean;
}

const known = store<{ time: PlantTime; at: number } | null>(null);

function learn(time: PlantTime): void {
  known.set({ time, at: performance.now() });
}

// Between two answers plant time goes on at its pace.
export function plantNow(): number {
  const k = known.get();
  return k ? Date.parse(k.time.now_us) + (performance.now() - k.at) * k.time.pace_ratio : Date.now();
}

export function TimeControl() {
  const k = useStore(known);
  const [open, setOpen] = useState(false);
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<Error>();
  const [, again] = useState(0);
  const ref = useDismiss(open, () => setOpen(false));
  useEffect(() => {
    const ask = () => !document.hidden && call<PlantTime>("GET", "time/show").then(learn, () => {});
    ask();
    const slow = setInterval(ask, 10000);
    const fast = setInterval(() => again((n) => n + 1), 1000);
    return () => {
      clearInterval(slow);
      clearInterval(fast);
    };
  }, []);
  if (!k) return null;
  const now = plantNow();
  const pace = k.time.pace_ratio;
  const act = async (verb: string, body: unknown) => {
    setBusy(true);
    setError(undefined);
    try {
      learn(await call<PlantTime>("POST", "time/" + verb, body));
    } catch (e) {
      setError(e as Error);
    }
    setBusy(false);
  };
  return (
    <div class="timectl" ref={ref}>
      <button class="ghost timebutton" aria-expanded={open} aria-label={t("plant_time")} onClick={() => setOpen(!open)}>
        <span class="date num">{date(now)}</span>
        <span class="num">{clock(now)}</span>
        {k.time.twin ? <span class={`pace ${pace === 0 ? "stopped" : ""}`}>{pace === 0 ? t("stopped") : `${Number(pace.toPrecision(3))}×`}</span> : <span class="pace live">{t("live_plant")}</span>}
      </button>
      {open && (
        <div class="popover">
          {k.time.twin ? (
            <>
              <h3>{t("pace")}</h3>
              <div class="segmented">
                <button class={pace === 0 ? "on" : ""} disabled={busy} onClick={() => act("stop", {})}><Icon name="pause" size={14} /> {t("stop")}</button>
                {[1, 60, 600, 3600].map((p) => (
                  <button key={p} class={pace === p ? "on" : ""} disabled={busy} onClick={() => act("pace", { pace_ratio: p })}>{p}×</button>
                ))}
              </div>
              <h3>{t("warp")}</h3>
              <div class="segmented">
                {["1m", "15m", "1h", "6h", "1d"].map((by) => (
                  <button key={by} disabled={busy} onClick={() => act("warp", { by_us: by })}>+{by}</button>
                ))}
              </div>
            </>
          ) : (
            <p class="dim">{t("time_live")}</p>
          )}
          {error && <ErrorBox error={error} />}
        </div>
      )}
    </div>
  );
}

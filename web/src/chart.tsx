// Charts over time: uPlot, dressed in the page's colours.
import uPlot from "uplot";
import { useEffect, useRef, useState } from "preact/hooks";
import { clock, date, shown, text } from "./format";
import { t } from "./i18n";
import { useStore } from "./store";
import { colour, dark } from "./theme";

export interface Line {
  label: string;
  values: (number | null)[];
  colour?: string; // name of a token
}
interface Props {
  times: number[]; // ms
  lines: Line[];
  unit: string;
  name?: string;
  height?: number;
  spark?: boolean; // no axes, only the shape
  from0?: boolean;
}

function useWidth() {
  const ref = useRef<HTMLDivElement>(null);
  const [width, set] = useState(0);
  useEffect(() => {
    const o = new ResizeObserver((e) => set(Math.floor(e[0].contentRect.width)));
    o.observe(ref.current!);
    return () => o.disconnect();
  }, []);
  return { ref, width };
}

function axes(p: Props): uPlot.Axis[] {
  const stroke = colour("text-3");
  const grid = { stroke: colour("line-soft"), width: 1 };
  const font = "11px " + colour("font");
  return [
    { stroke, font, grid: { show: false }, ticks: { show: false }, size: 22, gap: 4, space: 70, values: (_, at) => at.map((s) => clock(s * 1000, false)) },
    { stroke, font, grid, ticks: { show: false }, size: 62, gap: 6, space: 32, values: (_, at) => at.map((v) => text(v, p.unit, p.name)) },
  ];
}

function options(p: Props, width: number, onCursor: (i: number | null) => void): uPlot.Options {
  const spark = !!p.spark;
  return {
    width,
    height: p.height ?? (spark ? 44 : 130),
    padding: spark ? [3, 0, 3, 0] : [8, 8, 0, 0],
    legend: { show: false },
    cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
    scales: {
      x: { time: true },
      y: {
        range: (_, lo, hi) => {
          if (lo === null || hi === null) return [0, 1];
          const room = (hi - lo || Math.abs(hi) || 1) * (spark ? 0.12 : 0.1);
          return [p.from0 ? 0 : Math.max(lo < 0 ? -Infinity : 0, lo - room), hi + room];
        },
      },
    },
    axes: spark ? [{ show: false }, { show: false }] : axes(p),
    series: [
      {},
      ...p.lines.map((l, i) => {
        const c = colour(l.colour ?? `series-${(i % 6) + 1}`);
        return { label: l.label, stroke: c, width: 1.5, points: { show: false }, spanGaps: false, fill: p.lines.length === 1 ? c + "1c" : undefined };
      }),
    ],
    hooks: { setCursor: [(u) => onCursor(u.cursor.idx ?? null)] },
  };
}

export function Chart(p: Props) {
  const { ref, width } = useWidth();
  const plot = useRef<uPlot>();
  const [at, setAt] = useState<number | null>(null);
  const isDark = useStore(dark);
  const shape = p.lines.map((l) => l.label).join("|");
  const data = (): uPlot.AlignedData => [p.times.map((ms) => ms / 1000), ...p.lines.map((l) => l.values)] as uPlot.AlignedData;
  useEffect(() => {
    if (!width || !ref.current) return;
    const u = new uPlot(options(p, width, setAt), data(), ref.current);
    plot.current = u;
    return () => u.destroy();
  }, [width, isDark, shape, p.unit, p.spark]);
  useEffect(() => plot.current?.setData(data()), [p.times, p.lines]);
  const some = p.times.length > 1 && p.lines.some((l) => l.values.some((v) => v !== null));
  return (
    <div class={`chart ${p.spark ? "spark" : ""}`} style={{ height: `${p.height ?? (p.spark ? 44 : 130)}px` }}>
      <div ref={ref} class="plot" />
      {!some && <span class="nopoints">{t("no_points")}</span>}
      {at !== null && some && p.times[at] !== undefined && (
        <div class="chartat num">
          <span>{date(p.times[at])} {clock(p.times[at])}</span>
          {p.lines.map((l) => {
            const v = l.values[at];
            const s = v === null || v === undefined ? null : shown(v, p.unit, p.name);
            return <b key={l.label}>{p.lines.length > 1 ? l.label + " " : ""}{s ? `${s.n}\u00a0${s.u}` : "–"}</b>;
          })}
        </div>
      )}
    </div>
  );
}

export interface Telemetry {
  every_s: number;
  times: number[];
  series: { object: string; field: string; unit: string; values: (number | null)[] }[];
}

// Several objects' series added up, point by point.
export function summed(tm: Telemetry | undefined): (number | null)[] {
  if (!tm) return [];
  return tm.times.map((_, i) => {
    let sum = 0;
    let n = 0;
    for (const s of tm.series) {
      const v = s.values[i];
      if (v !== null) {
        sum += v;
        n++;
      }
    }
    return n ? sum : null;
  });
}

// The region: centres where they are, on a conic projection fit for China. The graticule is computed; there is no map
// data. A ring tells the load, the disc the carbon intensity of the centre's grid, an arc between two centres its use.
import { useEffect, useRef, useState } from "preact/hooks";
import { Obj } from "./api";
import { text } from "./format";
import { brief, t, titled, word } from "./i18n";
import { objectHref } from "./router";

const RAD = Math.PI / 180;
// Albers equal-area, standard parallels 25 and 47 degrees, central meridian 105: the usual choice for the country.
const S1 = Math.sin(25 * RAD);
const N = (S1 + Math.sin(47 * RAD)) / 2;
const C = Math.cos(25 * RAD) ** 2 + 2 * N * S1;

function project(lon: number, lat: number): [number, number] {
  const rho = Math.sqrt(Math.max(0, C - 2 * N * Math.sin(lat * RAD))) / N;
  const theta = N * (lon - 105) * RAD;
  return [rho * Math.sin(theta), rho * Math.cos(theta)]; // y grows to the south
}

export interface Place {
  object: Obj;
  factor: number | null; // kg/kWh
}

interface Fit {
  x: (lon: number, lat: number) => [number, number];
  lons: number[];
  lats: number[];
}

function fit(places: Place[], w: number, h: number): Fit {
  const at = places.map((p) => project(p.object.longitude_deg, p.object.latitude_deg));
  const xs = at.map((p) => p[0]);
  const ys = at.map((p) => p[1]);
  const cx = (Math.min(...xs) + Math.max(...xs)) / 2;
  const cy = (Math.min(...ys) + Math.max(...ys)) / 2;
  const wide = Math.max(Math.max(...xs) - Math.min(...xs), 0.08);
  const high = Math.max(Math.max(...ys) - Math.min(...ys), 0.08);
  const k = Math.min((w - Math.min(230, w * 0.42)) / wide, (h - 96) / high);
  const lons = places.map((p) => p.object.longitude_deg);
  const lats = places.map((p) => p.object.latitude_deg);
  const steps = (lo: number, hi: number, around: number) => {
    const out = [];
    for (let v = Math.floor((lo - around) / 5) * 5; v <= hi + around; v += 5) out.push(v);
    return out;
  };
  return {
    x: (lon, lat) => {
      const [px, py] = project(lon, lat);
      return [w / 2 + (px - cx) * k, h / 2 + (py - cy) * k];
    },
    lons: steps(Math.min(...lons), Math.max(...lons), 35),
    lats: steps(Math.min(...lats), Math.max(...lats), 20).filter((v) => v > -5 && v < 70),
  };
}

const line = (points: [number, number][]) => points.map((p, i) => (i ? "L" : "M") + p[0].toFixed(1) + " " + p[1].toFixed(1)).join("");

function Graticule({ f, w, h }: { f: Fit; w: number; h: number }) {
  const lines: { d: string; main: boolean }[] = [];
  const labels: { x: number; y: number; s: string; end?: boolean }[] = [];
  for (const lon of f.lons) {
    const p = f.lats.flatMap((lat) => [f.x(lon, lat), f.x(lon, lat + 2.5)]);
    lines.push({ d: line(p), main: lon % 10 === 0 });
    const low = p.filter((q) => q[1] < h).sort((a, b) => b[1] - a[1])[0];
    if (low && lon % 10 === 0 && low[0] > 60 && low[0] < w - 30 && low[1] > h - 90) labels.push({ x: low[0] + 4, y: h - 8, s: `${lon}°E` });
  }
  for (const lat of f.lats) {
    const p: [number, number][] = [];
    for (let lon = f.lons[0]; lon <= f.lons[f.lons.length - 1]; lon += 1) p.push(f.x(lon, lat));
    lines.push({ d: line(p), main: lat % 10 === 0 });
    const edge = p.find((q) => q[0] >= w - 4);
    if (edge && lat % 10 === 0 && edge[1] > 14 && edge[1] < h - 14) labels.push({ x: w - 6, y: edge[1] - 4, s: `${lat}°N`, end: true });
  }
  return (
    <g class="graticule">
      {lines.map((l, i) => <path key={i} d={l.d} class={l.main ? "main" : ""} />)}
      {labels.map((l) => <text key={l.s} x={l.x} y={l.y} text-anchor={l.end ? "end" : "start"}>{l.s}</text>)}
    </g>
  );
}

// Green, straw, rust: from 0.25 to 0.85 kg/kWh.
const RAMP = [
  [56, 152, 105],
  [196, 168, 74],
  [178, 84, 52],
];
export function carbonColour(kgPerKwh: number | null): string {
  if (kgPerKwh === null || !(kgPerKwh > 0)) return "var(--text-3)";
  const p = Math.max(0, Math.min(1, (kgPerKwh - 0.25) / 0.6)) * 2;
  const i = Math.min(1, Math.floor(p));
  const mix = RAMP[i].map((c, k) => Math.round(c + (RAMP[i + 1][k] - c) * (p - i)));
  return `rgb(${mix.join(",")})`;
}

interface Label {
  x: number;
  y: number;
  anchor: "start" | "end" | "middle";
}

// Each label where it covers least: right, left, below, above.
function labels(at: [number, number][], size: [number, number][], r: number[], w: number, h: number): Label[] {
  const boxes: number[][] = at.map(([x, y], i) => [x - r[i] - 3, y - r[i] - 3, x + r[i] + 3, y + r[i] + 3]);
  return at.map(([x, y], i) => {
    const [bw, bh] = size[i];
    const gap = r[i] + 8;
    const tries: [Label, number[]][] = [
      [{ x: x + gap, y: y - 2, anchor: "start" }, [x + gap, y - bh / 2, x + gap + bw, y + bh / 2]],
      [{ x: x - gap, y: y - 2, anchor: "end" }, [x - gap - bw, y - bh / 2, x - gap, y + bh / 2]],
      [{ x, y: y + gap + 9, anchor: "middle" }, [x - bw / 2, y + gap, x + bw / 2, y + gap + bh]],
      [{ x, y: y - gap - 18, anchor: "middle" }, [x - bw / 2, y - gap - bh, x + bw / 2, y - gap]],
    ];
    let best = tries[0];
    let least = Infinity;
    for (const tr of tries) {
      const b = tr[1];
      let cost = tries.indexOf(tr) * 20;
      for (let k = 0; k < boxes.length; k++) {
        if (k === i) continue;
        const o = boxes[k];
        cost += Math.max(0, Math.min(b[2], o[2]) - Math.max(b[0], o[0])) * Math.max(0, Math.min(b[3], o[3]) - Math.max(b[1], o[1]));
      }
      cost += (Math.max(0, 6 - b[0]) + Math.max(0, b[2] - w + 6) + Math.max(0, 4 - b[1]) + Math.max(0, b[3] - h + 4)) * 60;
      if (cost < least) {
        least = cost;
        best = tr;
      }
    }
    boxes.push(best[1]);
    return best[0];
  });
}

function arc(x: number, y: number, r: number, part: number): string {
  const p = Math.min(0.9999, part) * 2 * Math.PI;
  return `M${x} ${y - r}A${r} ${r} 0 ${part > 0.5 ? 1 : 0} 1 ${x + r * Math.sin(p)} ${y - r * Math.cos(p)}`;
}

function Links({ links, at }: { links: Obj[]; at: Map<string, [number, number]> }) {
  const drawn = links.filter((l) => at.has(l.from) && at.has(l.to)).sort((a, b) => a.used_bps - b.used_bps);
  return (
    <g class="links">
      {drawn.map((l) => {
        const a = at.get(l.from)!;
        const b = at.get(l.to)!;
        const bend = 0.09;
        const d = `M${a[0]} ${a[1]}Q${(a[0] + b[0]) / 2 + (b[1] - a[1]) * bend} ${(a[1] + b[1]) / 2 - (b[0] - a[0]) * bend} ${b[0]} ${b[1]}`;
        const use = l.bandwidth_bps > 0 ? l.used_bps / l.bandwidth_bps : 0;
        return (
          <a key={l.name} href={objectHref("link/" + l.name)} tabIndex={-1}>
            <path d={d} class={use > 0.001 ? "used" : ""} style={use > 0.001 ? { strokeWidth: `${1.2 + 2.6 * Math.sqrt(use)}px` } : undefined}>
              <title>{`${l.from} – ${l.to}: ${text(l.used_bps, "bit/s")} / ${text(l.bandwidth_bps, "bit/s")}, ${text(l.delay_us, "us")}`}</title>
            </path>
          </a>
        );
      })}
    </g>
  );
}

function Marker({ p, x, y, r, l, narrow }: { p: Place; x: number; y: number; r: number; l: Label; narrow: boolean }) {
  const o = p.object;
  const load = o.cores_total > 0 ? o.cores_used / o.cores_total : 0;
  const off = o.state === "cut-off";
  const name = brief(titled(o as any));
  const figures = off ? word(o.state) : text(o.power_w, "W") + (p.factor !== null && !narrow ? ` · ${Math.round(p.factor * 1000)} g` : "");
  return (
    <a href={objectHref("centre/" + o.name)} class={`place ${off ? "off" : o.state === "up" ? "" : "quiet"}`} aria-label={`${name}: ${word(o.state)}, ${figures}`}>
      <title>{`${titled(o as any)}\n${word(o.state)} · ${text(o.power_w, "W")} · ${t("load")} ${Math.round(load * 100)} %${p.factor !== null ? ` · ${Math.round(p.factor * 1000)} g/kWh` : ""}`}</title>
      <circle class="halo" cx={x} cy={y} r={r + 6} />
      <circle class="track" cx={x} cy={y} r={r + 2.5} />
      {load > 0.005 && !off && <path class="loadring" d={arc(x, y, r + 2.5, load)} />}
      <circle class="disc" cx={x} cy={y} r={r - 2} style={{ fill: off ? "var(--surface)" : carbonColour(p.factor) }} />
      {off && <path class="cross" d={`M${x - 3} ${y - 3}l6 6m0-6l-6 6`} />}
      <text class="placename" x={l.x} y={l.y} text-anchor={l.anchor}>{name}</text>
      <text class={`placefig ${off ? "bad" : ""}`} x={l.x} y={l.y + 14} text-anchor={l.anchor}>{figures}</text>
    </a>
  );
}

export function RegionMap({ places, links }: { places: Place[]; links: Obj[] }) {
  const ref = useRef<HTMLDivElement>(null);
  const [[w, h], size] = useState<[number, number]>([0, 0]);
  useEffect(() => {
    const o = new ResizeObserver((e) => size([Math.floor(e[0].contentRect.width), Math.floor(e[0].contentRect.height)]));
    o.observe(ref.current!);
    return () => o.disconnect();
  }, []);
  return (
    <div class="map">
      <div class="drawing" ref={ref}>{w > 0 && places.length > 0 && <Drawing places={places} links={links} w={w} h={h} />}</div>
      <div class="legend small">
        <span><i class="rampbar" />{t("intensity")} <span class="num">250–850</span> g/kWh</span>
        <span><i class="ringkey" />{t("cores")}</span>
        <span><i class="linkkey" />{t("link_use")}</span>
      </div>
    </div>
  );
}

function Drawing({ places, links, w, h }: { places: Place[]; links: Obj[]; w: number; h: number }) {
  const f = fit(places, w, h);
  const at = places.map((p) => f.x(p.object.longitude_deg, p.object.latitude_deg));
  const most = Math.max(1, ...places.map((p) => p.object.power_w || 0));
  const narrow = w < 560;
  const r = places.map((p) => (narrow ? 6 : 7) + (narrow ? 3 : 6) * Math.sqrt((p.object.power_w || 0) / most));
  const sizes = places.map((p): [number, number] => [Math.max(brief(titled(p.object as any)).length * (/[^\x00-\x7f]/.test(titled(p.object as any)) ? 13 : 7), narrow ? 50 : 96), 30]);
  const l = labels(at, sizes, r, w, h);
  const byName = new Map(places.map((p, i) => [p.object.name, at[i]]));
  return (
    <svg width={w} height={h} viewBox={`0 0 ${w} ${h}`} role="group" aria-label={t("map")}>
      <Graticule f={f} w={w} h={h} />
      <Links links={links} at={byName} />
      {places.map((p, i) => <Marker key={p.object.name} p={p} x={at[i][0]} y={at[i][1]} r={r[i]} l={l[i]} narrow={narrow} />)}
    </svg>
  );
}

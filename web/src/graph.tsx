// A job's tasks as a drawing: columns by how much comes before, lines for what comes after what.
import { Obj } from "./api";
import { t, word } from "./i18n";
import { tone } from "./ui";

interface Spot {
  task: Obj;
  x: number;
  y: number;
}
interface Plan {
  spots: Spot[];
  edges: { a: Spot; b: Spot }[];
  w: number;
  h: number;
  bw: number;
  bh: number;
}

const EDGES_MAX = 1500;

function plan(tasks: Obj[]): Plan {
  const byName = new Map(tasks.map((x) => [x.name, x]));
  const layer = new Map<string, number>();
  // Tasks come after earlier ones of the list only, so one pass is enough.
  for (const x of tasks) {
    const before: string[] = x.after ?? [];
    layer.set(x.name, before.length ? 1 + Math.max(...before.map((b) => layer.get(b) ?? -1)) : 0);
  }
  const columns: Obj[][] = [];
  for (const x of tasks) (columns[layer.get(x.name)!] ??= []).push(x);
  const tallest = Math.max(...columns.map((c) => c.length));
  const [bw, bh, gy] = tallest <= 9 ? [150, 34, 10] : tallest <= 18 ? [146, 20, 6] : [14, 14, 5];
  const rows = bw === 14 ? 24 : tallest; // many small ones fold into several columns
  const gx = bw === 14 ? 44 : 40;
  const spots = new Map<string, Spot>();
  let x = 12;
  const h = Math.min(rows, tallest) * (bh + gy) - gy + 24;
  for (const c of columns) {
    const fold = Math.ceil(c.length / rows);
    c.forEach((task, i) => {
      const inColumn = Math.min(rows, c.length - Math.floor(i / rows) * rows);
      const top = (h - (inColumn * (bh + gy) - gy)) / 2;
      spots.set(task.name, { task, x: x + Math.floor(i / rows) * (bw + 5), y: top + (i % rows) * (bh + gy) });
    });
    x += fold * (bw + 5) - 5 + gx;
  }
  const edges: Plan["edges"] = [];
  for (const task of tasks)
    for (const b of (task.after ?? []) as string[])
      if (byName.has(b) && edges.length < EDGES_MAX) edges.push({ a: spots.get(b)!, b: spots.get(task.name)! });
  return { spots: [...spots.values()], edges, w: x - gx + 12, h, bw, bh };
}

export function TaskGraph({ job, tasks, chosen, choose }: { job: string; tasks: Obj[]; chosen: string | null; choose: (name: string) => void }) {
  const p = plan(tasks);
  const short = (name: string) => (name.startsWith(job + "-") ? name.slice(job.length + 1) : name);
  return (
    <div class="graph">
      <svg width={p.w} height={p.h} role="group" aria-label={t("task_graph")}>
        {p.edges.map((e, i) => {
          const x1 = e.a.x + p.bw;
          const y1 = e.a.y + p.bh / 2;
          const x2 = e.b.x;
          const y2 = e.b.y + p.bh / 2;
          const lit = chosen === e.a.task.name || chosen === e.b.task.name;
          return <path key={i} class={`edge ${lit ? "lit" : ""}`} d={`M${x1} ${y1}C${x1 + 20} ${y1} ${x2 - 20} ${y2} ${x2} ${y2}`} />;
        })}
        {p.spots.map((s) => (
          <g
            key={s.task.name}
            class={`task ${tone(s.task.state)} ${s.task.state} ${chosen === s.task.name ? "chosen" : ""}`}
            transform={`translate(${s.x} ${s.y})`}
            role="button"
            tabIndex={0}
            aria-label={`${s.task.name}: ${word(s.task.state)}`}
            onClick={() => choose(s.task.name)}
            onKeyDown={(e) => (e.key === "Enter" || e.key === " ") && (e.preventDefault(), choose(s.task.name))}
          >
            <title>{`${s.task.name}: ${word(s.task.state)}${s.task.centre ? " · " + s.task.centre : ""}`}</title>
            <rect width={p.bw} height={p.bh} rx={p.bh > 20 ? 6 : 4} />
            {p.bw > 14 && (
              <>
                <circle cx={12} cy={p.bh > 20 ? 12.5 : p.bh / 2} r={3.5} />
                <text x={22} y={p.bh > 20 ? 15 : p.bh / 2 + 4}>{clip(short(s.task.name), 19)}</text>
                {p.bh > 20 && <text class="where" x={22} y={28}>{s.task.centre || word(s.task.state)}</text>}
              </>
            )}
          </g>
        ))}
      </svg>
    </div>
  );
}

const clip = (s: string, n: number) => (s.length > n ? s.slice(0, n - 1) + "…" : s);

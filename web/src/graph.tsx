// A job's tasks as a drawing: columns by how much comes before, lines for what comes after what.
import { Obj } from "./api";
import { t, word } from "./i18n";
import { tone } from "./ui";

interface Spot {
  task: Obj;
  x: number;
  y: number;
  w: number;
  h: number;
}
interface Plan {
  spots: Spot[];
  edges: { a: Spot; b: Spot }[];
  w: number;
  h: number;
}

const EDGES_MAX = 1500;
const TALLEST = 460;

// The more tasks a column has, the smaller they are drawn; many fold into several columns of squares.
function shape(n: number): { w: number; h: number; gap: number; rows: number } {
  if (n <= 9) return { w: 138, h: 34, gap: 10, rows: n };
  if (n <= 18) return { w: 146, h: 20, gap: 6, rows: n };
  return { w: 14, h: 14, gap: 5, rows: Math.min(24, n) };
}

function plan(tasks: Obj[]): Plan {
  const layer = new Map<string, number>();
  // Tasks come after earlier ones of the list only, so one pass is enough.
  for (const x of tasks) {
    const before: string[] = x.after ?? [];
    layer.set(x.name, before.length ? 1 + Math.max(...before.map((b) => layer.get(b) ?? -1)) : 0);
  }
  const columns: Obj[][] = [];
  for (const x of tasks) (columns[layer.get(x.name)!] ??= []).push(x);
  const tall = (c: Obj[]) => shape(c.length).rows * (shape(c.length).h + shape(c.length).gap) - shape(c.length).gap;
  const h = Math.min(TALLEST, Math.max(...columns.map(tall))) + 24;
  const spots = new Map<string, Spot>();
  let x = 12;
  for (const c of columns) {
    const s = shape(c.length);
    c.forEach((task, i) => {
      const fold = Math.floor(i / s.rows);
      const inFold = Math.min(s.rows, c.length - fold * s.rows);
      const top = (h - (inFold * (s.h + s.gap) - s.gap)) / 2;
      spots.set(task.name, { task, x: x + fold * (s.w + 5), y: top + (i % s.rows) * (s.h + s.gap), w: s.w, h: s.h });
    });
    x += Math.ceil(c.length / s.rows) * (s.w + 5) - 5 + 40;
  }
  const edges: Plan["edges"] = [];
  for (const task of tasks)
    for (const b of (task.after ?? []) as string[])
      if (spots.has(b) && edges.length < EDGES_MAX) edges.push({ a: spots.get(b)!, b: spots.get(task.name)! });
  return { spots: [...spots.values()], edges, w: x - 40 + 12, h };
}

export function TaskGraph({ job, tasks, chosen, choose }: { job: string; tasks: Obj[]; chosen: string | null; choose: (name: string) => void }) {
  const p = plan(tasks);
  const short = (name: string) => (name.startsWith(job + "-") ? name.slice(job.length + 1) : name);
  return (
    <div class="graph">
      <svg width={p.w} height={p.h} role="group" aria-label={t("task_graph")}>
        {p.edges.map((e, i) => {
          const x1 = e.a.x + e.a.w;
          const y1 = e.a.y + e.a.h / 2;
          const x2 = e.b.x;
          const y2 = e.b.y + e.b.h / 2;
          const lit = chosen === e.a.task.name || chosen === e.b.task.name;
          return <path key={i} class={`edge ${lit ? "lit" : ""}`} d={`M${x1} ${y1}C${x1 + 20} ${y1} ${x2 - 20} ${y2} ${x2} ${y2}`} />;
        })}
        {p.spots.map((s) => (
          <g
            key={s.task.name}
            class={`task ${s.w > 14 ? "" : "small"} ${tone(s.task.state)} ${s.task.state} ${chosen === s.task.name ? "chosen" : ""}`}
            transform={`translate(${s.x} ${s.y})`}
            role="button"
            tabIndex={0}
            aria-label={`${s.task.name}: ${word(s.task.state)}`}
            onClick={() => choose(s.task.name)}
            onKeyDown={(e) => (e.key === "Enter" || e.key === " ") && (e.preventDefault(), choose(s.task.name))}
          >
            <title>{`${s.task.name}: ${word(s.task.state)}${s.task.centre ? " · " + s.task.centre : ""}`}</title>
            <rect width={s.w} height={s.h} rx={s.h > 20 ? 6 : 4} />
            {s.w > 14 && (
              <>
                <circle cx={12} cy={s.h > 20 ? 12.5 : s.h / 2} r={3.5} />
                <text x={22} y={s.h > 20 ? 15 : s.h / 2 + 4}>{clip(short(s.task.name), 18)}</text>
                {s.h > 20 && <text class="where" x={22} y={28}>{s.task.centre || word(s.task.state)}</text>}
              </>
            )}
          </g>
        ))}
      </svg>
    </div>
  );
}

const clip = (s: string, n: number) => (s.length > n ? s.slice(0, n - 1) + "…" : s);

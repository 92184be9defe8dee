// /api/v1/schema: what there is, told by the server. Forms, tables and object pages are made from it.
import { call } from "./api";
import { store } from "./store";

export interface Field {
  name: string;
  type: string; // boolean integer number string array object any date-time
  description: string;
  unit: string;
  enum?: string[];
  ref?: string;
  default?: string;
  minimum?: number;
  maximum?: number;
  maxLength?: number;
  maxItems?: number;
  items?: Field;
  fields?: Field[]; // of a group
  required: boolean;
  readOnly: boolean;
  flows: boolean; // telemetry
  final: boolean;
  secret: boolean;
}
export interface Kind {
  name: string;
  title: string;
  title_zh: string;
  doc: string;
  parents: string[];
  flags: string[];
  states: { states: string[]; edges: { from: string; to: string; why: string }[] } | null;
  fields: Field[];
}
export interface Verb {
  name: string;
  on: string;
  on_object: boolean;
  in: Field[];
  has_in: boolean;
  role: string;
  flags: string[];
  permitted_states: string;
  doc: string;
  example: string;
}
export interface Schema {
  product: string;
  version: string;
  kinds: Kind[];
  verbs: Verb[];
  caps: any[];
  kind: Map<string, Kind>;
}

function fieldOf(name: string, s: any, required: boolean): Field {
  const flags: string[] = s["x-flags"] ?? [];
  const type = Array.isArray(s.type) ? (s.format ?? s.type[0]) : s.type;
  return {
    name,
    type: s.format === "date-time" ? "date-time" : (type ?? "any"),
    description: s.description ?? "",
    unit: s["x-unit"] ?? s.items?.["x-unit"] ?? "",
    enum: s.enum,
    ref: s["x-ref"] ?? s.items?.["x-ref"],
    default: s.default,
    minimum: s.minimum,
    maximum: s.maximum,
    maxLength: s.maxLength,
    maxItems: s.maxItems,
    items: s.items ? fieldOf(name, s.items, false) : undefined,
    fields: s.properties ? fieldsOf(s) : undefined,
    required,
    readOnly: !!s.readOnly,
    flows: flags.includes("volatile"),
    final: flags.includes("final"),
    secret: flags.includes("secret"),
  };
}

export function fieldsOf(table: any): Field[] {
  if (!table?.properties) return [];
  const required = new Set<string>(table.required ?? []);
  return Object.entries(table.properties).map(([name, s]) => fieldOf(name, s, required.has(name)));
}

export const schema = store<Schema | null>(null);

export async function loadSchema(): Promise<void> {
  const raw = await call<any>("GET", "schema");
  const kinds: Kind[] = raw.kinds.map((k: any) => ({ ...k, fields: fieldsOf(k.schema) }));
  schema.set({
    product: raw.product,
    version: raw.version,
    caps: raw.caps,
    kinds,
    verbs: raw.verbs.map((v: any) => ({ ...v, in: fieldsOf(v.in), has_in: !!v.in })),
    kind: new Map(kinds.map((k) => [k.name, k])),
  });
}

// What may be done to an object: its kind's own verbs, then those of every kind.
export function verbsOn(s: Schema, kind: string): Verb[] {
  const own = s.verbs.filter((v) => v.on === kind && v.on_object);
  const all = s.verbs.filter((v) => v.on === "*" && v.on_object && v.name !== "show");
  const runtime = s.kind.get(kind)?.flags.includes("runtime");
  return own.concat(all.filter((v) => !(runtime && v.name !== "delete") && !own.some((o) => o.name === v.name)));
}

export function verbPath(v: Verb, kind: string, object: string): string {
  const on = v.on === "*" ? kind : v.on;
  if (v.on === "*" && v.name === "create") return on;
  if (v.on === "*" && v.name === "list") return on;
  return on + (v.on_object ? "/" + encodeURIComponent(object) : "") + "/" + v.name;
}

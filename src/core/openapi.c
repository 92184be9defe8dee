/* The API described from its tables: OpenAPI 3.1, and the plainer schema that console and CLI are built on. */
#include <string.h>

#include "core/http_private.h"

static const struct {
    uint32_t flag;
    const char *word;
} flag_words[] = {{VERB_READ, "read"},     {VERB_IDEMPOTENT, "idempotent"}, {VERB_DANGEROUS, "dangerous"},
                  {VERB_SLOW, "slow"},     {VERB_QUIET, "quiet"},           {VERB_RAW, "raw"},
                  {VERB_FREE_FORM, "free-form"}};

static struct doc *verb_doc(struct arena *a, const struct verb *v) {
    struct doc *d = doc_map(a), *flags = doc_seq(a);
    doc_put_str(a, d, "name", v->name);
    doc_put_str(a, d, "on", v->on);
    doc_put_bool(a, d, "on_object", v->on_object);
    doc_put(d, "in", v->in ? table_schema(v->in, a) : doc_null(a));
    doc_put(d, "out", v->out ? table_schema(v->out, a) : doc_null(a));
    doc_put_str(a, d, "role", role_words[v->role]);
    for (size_t i = 0; i < sizeof flag_words / sizeof flag_words[0]; i++)
        if (v->flags & flag_words[i].flag)
            doc_push(flags, doc_str(a, flag_words[i].word));
    doc_put(d, "flags", flags);
    doc_put_str(a, d, "permitted_states", v->permitted_states ? v->permitted_states : "");
    doc_put_str(a, d, "doc", v->doc);
    doc_put_str(a, d, "example", v->example ? v->example : "");
    return d;
}

static struct doc *kind_doc(struct arena *a, const struct kind *k) {
    struct doc *d = doc_map(a), *parents = doc_seq(a), *flags = doc_seq(a);
    doc_put_str(a, d, "name", k->name);
    doc_put_str(a, d, "title", k->title);
    doc_put_str(a, d, "title_zh", k->title_zh);
    doc_put_str(a, d, "doc", k->doc);
    for (size_t i = 0; k->parents && k->parents[i]; i++)
        doc_push(parents, doc_str(a, k->parents[i]));
    doc_put(d, "parents", parents);
    if (k->flags & KIND_DURABLE)
        doc_push(flags, doc_str(a, "durable"));
    if (k->flags & KIND_RUNTIME)
        doc_push(flags, doc_str(a, "runtime"));
    if (k->flags & KIND_DEVICE)
        doc_push(flags, doc_str(a, "device"));
    doc_put(d, "flags", flags);
    if (k->states) {
        struct doc *m = doc_map(a), *states = doc_seq(a), *edges = doc_seq(a);
        for (int i = 0; k->states->states[i]; i++)
            doc_push(states, doc_str(a, k->states->states[i]));
        for (size_t i = 0; i < k->states->nedges; i++) {
            struct doc *e = doc_map(a);
            doc_put_str(a, e, "from", k->states->states[k->states->edges[i].from]);
            doc_put_str(a, e, "to", k->states->states[k->states->edges[i].to]);
            doc_put_str(a, e, "why", k->states->edges[i].why);
            doc_push(edges, e);
        }
        doc_put(m, "states", states);
        doc_put(m, "edges", edges);
        doc_put(d, "states", m);
    } else {
        doc_put(d, "states", doc_null(a));
    }
    doc_put(d, "schema", table_schema(k->table, a));
    return d;
}

static struct doc *cap_doc(struct host *h, struct arena *a, size_t i) {
    const struct cap *c = h->caps[i];
    struct doc *d = doc_map(a), *goals = doc_seq(a);
    doc_put_str(a, d, "name", c->name);
    doc_put_str(a, d, "title", c->title);
    doc_put_str(a, d, "title_zh", c->title_zh);
    doc_put_str(a, d, "family", c->family);
    doc_put_str(a, d, "maturity", maturity_words[c->maturity]);
    doc_put_str(a, d, "mode", cap_mode_words[host_cap_mode(h, i)]);
    for (size_t k = 0; k < c->ngoals; k++) {
        struct doc *g = doc_map(a);
        doc_put_str(a, g, "name", c->goals[k].name);
        doc_put_real(a, g, "target", c->goals[k].target);
        doc_put_str(a, g, "unit", c->goals[k].unit);
        doc_put_str(a, g, "better", c->goals[k].better);
        doc_put_str(a, g, "measured_by", c->goals[k].measured_by);
        doc_put_str(a, g, "doc", c->goals[k].doc);
        doc_push(goals, g);
    }
    doc_put(d, "goals", goals);
    if (c->config)
        doc_put(d, "config", table_schema(c->config, a));
    return d;
}

struct doc *schema_doc(struct host *h, struct arena *a) {
    struct doc *d = doc_map(a), *kinds = doc_seq(a), *verbs = doc_seq(a), *caps = doc_seq(a), *roles = doc_seq(a);
    doc_put_str(a, d, "product", "Suan");
    doc_put_str(a, d, "version", SUAN_VERSION);
    for (size_t i = 0; i < estate_kind_count(h->estate); i++)
        doc_push(kinds, kind_doc(a, estate_kind_at(h->estate, i)));
    for (size_t i = 0; i < verbs_count(h->verbs); i++)
        doc_push(verbs, verb_doc(a, verbs_at(h->verbs, i)));
    for (size_t i = 0; h->caps && h->caps[i]; i++)
        doc_push(caps, cap_doc(h, a, i));
    for (int i = 0; role_words[i]; i++)
        doc_push(roles, doc_str(a, role_words[i]));
    doc_put(d, "kinds", kinds);
    doc_put(d, "verbs", verbs);
    doc_put(d, "metrics", metrics_schema(h->metrics, a));
    doc_put(d, "caps", caps);
    doc_put(d, "roles", roles);
    return d;
}

/* -- OpenAPI -- */

static struct doc *content(struct arena *a, const char *type, struct doc *schema) {
    struct doc *c = doc_map(a), *t = doc_map(a);
    doc_put(t, "schema", schema);
    doc_put(c, type, t);
    return c;
}

static struct doc *ref(struct arena *a, const char *name) {
    struct doc *d = doc_map(a);
    doc_put(d, "$ref", doc_str(a, arena_printf(a, "#/components/schemas/%s", name)));
    return d;
}

static struct doc *string_schema(struct arena *a) {
    struct doc *s = doc_map(a);
    doc_put_str(a, s, "type", "string");
    return s;
}

static void parameter(struct arena *a, struct doc *list, const char *in, const char *name, struct doc *schema, bool required) {
    struct doc *p = doc_map(a);
    doc_put_str(a, p, "name", name);
    doc_put_str(a, p, "in", in);
    doc_put_bool(a, p, "required", required);
    doc_put(p, "schema", schema);
    doc_push(list, p);
}

static struct doc *operation(struct arena *a, const struct verb *v, const char *on, bool has_name, struct doc *in,
                             struct doc *out) {
    struct doc *o = doc_map(a), *responses = doc_map(a), *good = doc_map(a), *bad = doc_map(a), *tags = doc_seq(a);
    doc_put(o, "operationId", doc_str(a, arena_printf(a, "%s_%s", on, v->name)));
    doc_put_str(a, o, "summary", v->doc);
    doc_push(tags, doc_str(a, on));
    doc_put(o, "tags", tags);
    struct doc *list = doc_seq(a);
    if (has_name)
        parameter(a, list, "path", "name", string_schema(a), true);
    if (v->in && (v->flags & VERB_READ))
        for (uint32_t i = 0; i < v->in->nfields; i++)
            parameter(a, list, "query", v->in->fields[i].name, field_schema(&v->in->fields[i], a),
                      v->in->fields[i].flags & F_REQUIRED);
    if (!(v->flags & VERB_READ))
        parameter(a, list, "query", "dry_run", string_schema(a), false);
    if (list->list.n)
        doc_put(o, "parameters", list);
    if (in) {
        struct doc *body = doc_map(a);
        doc_put(body, "content", content(a, "application/json", in));
        doc_put(o, "requestBody", body);
    }
    doc_put_str(a, good, "description", "Done.");
    if (v->flags & VERB_RAW)
        doc_put(good, "content", content(a, "text/plain", string_schema(a)));
    else
        doc_put(good, "content", content(a, "application/json", out ? out : doc_map(a)));
    doc_put(responses, "200", good);
    doc_put_str(a, bad, "description", "Refused: RFC 9457 problem.");
    doc_put(bad, "content", content(a, "application/problem+json", ref(a, "problem")));
    doc_put(responses, "default", bad);
    doc_put(o, "responses", responses);
    return o;
}

static struct doc *path_item(struct arena *a, struct doc *paths, const char *path) {
    struct doc *d = doc_get(paths, path);
    if (!d) {
        d = doc_map(a);
        doc_put(paths, path, d);
    }
    return d;
}

/* The verbs of every kind that have a method of their own instead of a path. */
static const struct {
    const char *verb, *method;
    bool named;
} rest[] = {{"list", "get", false}, {"create", "post", false}, {"show", "get", true}, {"set", "patch", true}, {"delete", "delete", true}};

/* A kind may have its own row of them. */
static bool is_rest(const struct host *h, const struct verb *v) {
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++)
        if (!strcmp(v->name, rest[i].verb) && v->on_object == rest[i].named && estate_kind(h->estate, v->on))
            return true;
    return !strcmp(v->on, "*");
}

static void kind_paths(struct host *h, struct arena *a, struct doc *paths, const struct kind *k) {
    for (size_t i = 0; i < sizeof rest / sizeof rest[0]; i++) {
        const struct verb *own = verbs_find(h->verbs, k->name, rest[i].verb), *v = own ? own : verbs_find(h->verbs, "*", rest[i].verb);
        const char *path = arena_printf(a, rest[i].named ? "/api/v1/%s/{name}" : "/api/v1/%s", k->name);
        bool changes = !strcmp(rest[i].method, "post") || !strcmp(rest[i].method, "patch");
        doc_put(path_item(a, paths, path), rest[i].method,
                operation(a, v, k->name, rest[i].named, changes ? ref(a, k->name) : NULL,
                          !strcmp(rest[i].verb, "show") ? ref(a, k->name) : NULL));
    }
}

struct doc *openapi_doc(struct host *h, struct arena *a) {
    struct doc *d = doc_map(a), *info = doc_map(a), *paths = doc_map(a), *components = doc_map(a), *schemas = doc_map(a);
    doc_put_str(a, d, "openapi", "3.1.0");
    doc_put_str(a, info, "title", "Suan");
    doc_put_str(a, info, "version", SUAN_VERSION);
    doc_put(d, "info", info);
    for (size_t i = 0; i < estate_kind_count(h->estate); i++) {
        const struct kind *k = estate_kind_at(h->estate, i);
        doc_put(schemas, k->name, table_schema(k->table, a));
        kind_paths(h, a, paths, k);
    }
    for (size_t i = 0; i < verbs_count(h->verbs); i++) {
        const struct verb *v = verbs_at(h->verbs, i);
        if (is_rest(h, v))
            continue;
        const char *path = arena_printf(a, v->on_object ? "/api/v1/%s/{name}/%s" : "/api/v1/%s/%s", v->on, v->name);
        doc_put(path_item(a, paths, path), v->flags & VERB_READ ? "get" : "post",
                operation(a, v, v->on, v->on_object, v->in && !(v->flags & VERB_READ) ? table_schema(v->in, a) : NULL,
                          v->out ? table_schema(v->out, a) : NULL));
    }
    doc_put(d, "paths", paths);
    static const char problem[] =
        "{\"type\":\"object\",\"properties\":{\"type\":{\"type\":\"string\"},\"title\":{\"type\":\"string\"},"
        "\"status\":{\"type\":\"integer\"},\"code\":{\"type\":\"string\"},\"message\":{\"type\":\"string\"},"
        "\"detail\":{\"type\":\"string\"},\"hint\":{\"type\":\"string\"},\"place\":{\"type\":\"string\"}}}";
    struct doc *p = NULL;
    json_parse(a, "openapi", problem, sizeof problem - 1, NULL, &p, NULL);
    doc_put(schemas, "problem", p);
    doc_put(components, "schemas", schemas);
    struct doc *schemes = NULL, *security = NULL;
    static const char bearer[] = "{\"bearer\":{\"type\":\"http\",\"scheme\":\"bearer\"}}", wanted[] = "[{\"bearer\":[]}]";
    json_parse(a, "openapi", bearer, sizeof bearer - 1, NULL, &schemes, NULL);
    json_parse(a, "openapi", wanted, sizeof wanted - 1, NULL, &security, NULL);
    doc_put(components, "securitySchemes", schemes);
    doc_put(d, "security", security);
    doc_put(d, "components", components);
    return d;
}

#!/usr/bin/env python3
"""The API as a whole, against a real controller: what every verb allows to whom, what a dry run leaves alone, what the
journal says of each call, and whether the three descriptions (OpenAPI, schema, metrics) are what they claim to be."""
import json
import os
import re
import shlex
import sys
import threading
import time
import urllib.request

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from region import Region, done, is_, ok  # noqa: E402

SUAN = os.path.abspath(sys.argv[1])
STATUS = {"invalid": 400, "parse": 400, "auth": 401, "denied": 403, "not-found": 404, "exists": 409, "state": 409,
          "cancelled": 409, "conflict": 412, "limit": 429, "unsupported": 501, "unavailable": 503, "timeout": 504}


def token(region, name, role, **more):
    return region.post("token/create", {"name": name, "role": role, **more})["token"]


def path_of(verb, name):
    on = "tenant" if verb["on"] == "*" else verb["on"]
    if verb["on"] == "*" and verb["name"] == "create":
        return "POST", on
    if verb["on"] == "*" and verb["name"] in ("set", "delete"):
        return {"set": "PATCH", "delete": "DELETE"}[verb["name"]], f"{on}/{name}"
    return "POST", f"{on}/{name}/{verb['name']}" if verb["on_object"] else f"{on}/{verb['name']}"


def roles(region, verbs):
    """A viewer calls no changing verb, an owner none that is not on an object of its tenant, an operator none of admin's."""
    region.post("tenant", {"name": "mine", "title": "Mine"})
    region.post("tenant", {"name": "theirs", "title": "Theirs"})
    for name in ("mine", "theirs"):
        job = {"job": f"of-{name}", "tenant": name, "tasks": [{"name": "one", "argv": ["sleep", "1000"], "env": ["SUAN_CORE_S=1000"]}]}
        status, d = region.request("POST", "job/submit", {"job": job})
        ok(status == 200, f"a job of tenant {name}", d)
    who = {"viewer": token(region, "r-viewer", "viewer"), "owner": token(region, "r-owner", "owner", tenant="mine"),
           "operator": token(region, "r-operator", "operator"), "none": token(region, "r-none", "none")}
    rank = {"none": 0, "viewer": 1, "owner": 2, "operator": 3, "admin": 4}
    wrong = {r: [] for r in who}
    changing = 0
    for v in verbs:
        if "read" in v["flags"]:
            continue
        changing += 1
        name = {"job": "of-theirs", "task": "of-theirs-one"}.get(v["on"], "nosuch" if v["on"] != "*" else "theirs")
        method, path = path_of(v, name)
        for role, secret in who.items():
            status, d = region.request(method, path + "?dry_run=1", token=secret)
            # A verb for owners that is on no object looks itself at whose things its words are about.
            allowed = rank[role] >= rank[v["role"]] and (role == "operator" or (role == "owner" and not v["on_object"]))
            refused = status == 403 or (status == 404 and v["on_object"] and name == "nosuch")
            if status in (401, 403) if allowed else not refused:
                wrong[role].append(f"{method} {path}: {status} {d}")
    for role in who:
        ok(not wrong[role], f"{role}: {changing} changing verbs refuse it, or take it, as their role says", "\n".join(wrong[role]))
    status, d = region.request("POST", "job/of-theirs/cancel", token=who["owner"])
    is_((status, d.get("code")), (403, "denied"), "an owner does not cancel a job of another tenant")
    status, d = region.request("POST", "job/of-mine/cancel", token=who["owner"])
    ok(status == 200, "but its own", d)
    reads = [v for v in verbs if "read" in v["flags"] and v["on"] != "*" and not v["on_object"]]
    bad = [v for v in reads if (region.request("GET", f"{v['on']}/{v['name']}", token=who["viewer"])[0] == 403) !=
           (v["role"] not in ("none", "viewer"))]
    ok(not bad, f"a viewer reads what is for viewers: {len(reads)} verbs", bad)
    bad = [v for v in reads if region.request("GET", f"{v['on']}/{v['name']}", token=who["none"])[0] not in (401, 403)]
    ok(not bad, "a token without a role reads nothing", bad)


def tokens(region):
    past = token(region, "t-past", "admin", expires_us="2020-01-01T00:00:00Z")
    is_(region.request("GET", "system/status", token=past)[0], 401, "an expired token")
    short = token(region, "t-short", "viewer")
    is_(region.request("GET", "system/status", token=short)[0], 200, "a good token")
    region.post("token/revoke", {"name": "t-short"})
    is_(region.request("GET", "system/status", token=short)[0], 401, "revoked: at once")
    for wrong in ("0" * 64, short[:63], short + "0", short.upper(), "x"):
        is_(region.request("GET", "system/status", token=wrong)[0], 401, f"a wrong token of {len(wrong)} characters")
    is_(region.request("POST", "token/create", {"name": "t-o", "role": "owner"})[0], 400, "an owner without a tenant")
    listed = json.dumps(region.get("token/list"))
    ok(past not in listed and "hash" not in listed, "the list of tokens shows neither secret nor hash", listed)


def world(region):
    """All that a changing verb could change, but for the journal of calls."""
    d = {"hash": region.get("estate/hash"), "export": region.get("estate/export"), "tokens": region.get("token/list"),
         "caps": region.get("cap/list"), "claims": region.get("claim/list"), "pace": region.get("time/show")["pace_ratio"],
         "now": region.get("time/show")["now_us"], "revision": region.get("estate/history")["revision"]}
    for kind in ("job", "task", "function", "tenant", "agent"):
        d[kind] = region.get(kind)
    return d


def dry_runs(region, verbs):
    """Every changing verb's own example with --dry-run, on a plant that stands still: nothing may be different."""
    region.cli("job", "submit", "share/jobs/hello.yaml")
    region.cli("token", "create", "name=eye", "role=viewer")
    region.cli("tenant", "create", "name=lab", "title=Lab")
    region.post("time/stop")
    settled = None
    for _ in range(50):
        before = world(region)
        if before == settled:
            break
        settled = before
        time.sleep(0.05)
    n = ran = 0
    for v in verbs:
        if "read" in v["flags"]:
            continue
        n += 1
        code, out, err = region.cli(*shlex.split(v["example"]), "--dry-run", *(["--yes"] if "dangerous" in v["flags"] else []))
        after = world(region)
        ran += code == 0
        ok(after == before, f"dry run changes nothing: {v['example']} ({'taken' if code == 0 else 'refused'})",
           "\n".join(f"{k}: {str(before[k])[:200]} -> {str(after[k])[:200]}" for k in before if before[k] != after[k]) + err)
        before = after
    ok(ran * 2 > n, f"{ran} of {n} examples were taken")
    region.post("time/pace", {"pace_ratio": 1})


def audit(region):
    last = {}

    def newest():
        # What is refused is answered at once, and its row follows with the cycle's commit.
        def there():
            row = region.get("journal/list?kind=verb&limit=1")["rows"][0]
            new = row["sequence"] > last.get("sequence", 0) and not row["text"].startswith("token")
            last.update(row if new else {})
            return new
        region.wait(there, 5, "a row of the journal")
        return dict(last)
    region.post("tenant", {"name": "au", "title": "Audit"})
    row = newest()
    ok(row["by"] == "admin" and "tenant create" in row["text"] and row["text"].endswith(": done") and
       row["reasons"]["title"] == "Audit", "who, what, with which words, and the outcome", row)
    viewer = token(region, "a-viewer", "viewer")
    region.request("DELETE", "tenant/au", token=viewer)
    row = newest()
    ok(row["by"] == "a-viewer" and row["object"] == "tenant/au" and row["text"].endswith(": denied"), "refused: too", row)
    region.request("DELETE", "tenant/nosuch")
    row = newest()
    ok("delete" in row["text"] and "nosuch" in json.dumps(row) and row["text"].endswith(": not-found"), "an object that is not there: by the name asked for", row)
    region.request("PATCH", "tenant/au", {"nosuch": 1})
    row = newest()
    ok(row["object"] == "tenant/au" and row["text"].endswith(": invalid"), "words that make no sense", row)
    region.request("PATCH", "tenant/au?dry_run=1", {"title": "Other"})
    row = newest()
    ok(row["text"].endswith(": dry run"), "a dry run says that it was one", row)
    region.get("tenant/au")
    region.get("estate/export")
    time.sleep(0.1)
    row = region.get("journal/list?kind=verb&limit=1")["rows"][0]
    is_(row["sequence"], last["sequence"], "reading is not audited")
    ok(region.get("journal/verify")["ok"], "the chain holds")


def problems(region):
    def problem(method, path, code, body=None, status=None, **more):
        got, d = region.request(method, path, body, **more)
        want = status or STATUS[code]
        ok(isinstance(d, dict) and got == want and d.get("status") == STATUS[code] and d.get("code") == code and
           d.get("title") == code and d.get("type") == "about:blank" and d.get("message"), f"{method} {path}: {want} {code}", (got, d))
    problem("GET", "tenant/nosuch", "not-found")
    problem("GET", "nosuch/list", "not-found")
    problem("POST", "tenant", "invalid", {"title": "no name"})
    problem("POST", "tenant", "parse", b"{\"name\": ")
    problem("POST", "tenant", "exists", {"name": "au"})
    problem("GET", "tenant", "auth", token="0" * 64)
    problem("PATCH", "tenant/au", "conflict", {"title": "x"}, headers={"If-Match": '"1"'})
    problem("POST", "tenant", "unsupported", b"<a/>", headers={"Content-Type": "text/xml"})
    problem("POST", "job/of-mine/cancel", "state")


def openapi(region):
    d = region.get("openapi.json")
    is_(d["openapi"], "3.1.0", "OpenAPI 3.1")
    refs, ids, bad = [], [], []

    def walk(x, at):
        if isinstance(x, dict):
            if "$ref" in x:
                refs.append((x["$ref"], at))
            for k, v in x.items():
                walk(v, f"{at}/{k}")
        elif isinstance(x, list):
            for i, v in enumerate(x):
                walk(v, f"{at}/{i}")
    walk(d, "")
    for ref, at in refs:
        x = d
        for part in ref.removeprefix("#/").split("/"):
            x = x.get(part) if isinstance(x, dict) else None
        if x is None or not ref.startswith("#/"):
            bad.append(f"{ref} at {at}")
    ok(refs and not bad, f"all {len(refs)} references lead somewhere", "\n".join(bad))
    bad = []
    for path, item in d["paths"].items():
        holes = re.findall(r"{(\w+)}", path)
        for method, o in item.items():
            ids.append(o["operationId"])
            named = [p["name"] for p in o.get("parameters", []) if p["in"] == "path"]
            if method not in ("get", "post", "patch", "delete") or holes != named or not o["summary"]:
                bad.append(f"{method} {path}: {named}")
            if not {"200", "default"} <= set(o["responses"]) or any("description" not in r for r in o["responses"].values()):
                bad.append(f"{method} {path}: responses")
            if any(set(p) < {"name", "in", "schema"} for p in o.get("parameters", [])):
                bad.append(f"{method} {path}: parameters")
    ok(not bad, f"{len(ids)} operations have a summary, their parameters and responses", "\n".join(bad))
    is_(sorted(ids), sorted(set(ids)), "operation ids are unique")
    query = [p["name"] for p in d["paths"]["/api/v1/telemetry/show"]["get"].get("parameters", []) if p["in"] == "query"]
    is_(query, ["object", "kind", "field", "points"], "what a reading verb takes is described as its query")
    scheme = d["components"]["securitySchemes"]
    ok(d.get("security") == [{"bearer": []}] and scheme["bearer"]["scheme"] == "bearer", "and that a token is wanted", d.get("security"))
    return d


def fits(schema, x):
    """JSON Schema as far as tables speak it: type, enum, bounds, properties, items. Returns what is wrong, or nothing."""
    types = {"string": str, "integer": int, "number": (int, float), "boolean": bool, "object": dict, "array": list, "null": type(None)}
    want = schema.get("type")
    if want:
        names = want if isinstance(want, list) else [want]
        good = any(isinstance(x, types[n]) and (n == "boolean" or not isinstance(x, bool)) for n in names)
        if not good:
            return f"{x!r} is no {want}"
    if "enum" in schema and x not in schema["enum"]:
        return f"{x!r} is none of {schema['enum']}"
    if isinstance(x, (int, float)) and not isinstance(x, bool) and not schema.get("minimum", x) <= x <= schema.get("maximum", x):
        return f"{x!r} is out of bounds"
    if isinstance(x, list):
        for i in x:
            why = fits(schema.get("items", {}), i)
            if why:
                return why
    if isinstance(x, dict) and "properties" in schema:
        for k, v in x.items():
            why = fits(schema["properties"].get(k, {}), v)
            if why:
                return f"{k}: {why}"
        if schema.get("additionalProperties") is False and set(x) - set(schema["properties"]):
            return f"unknown: {set(x) - set(schema['properties'])}"
    return None


def schemas(region):
    d = region.get("schema")
    known = {"string", "integer", "number", "boolean", "object", "array", "null"}
    bad, n = [], 0
    tables = [(k["name"], k["schema"]) for k in d["kinds"]]
    tables += [(f"{v['on']} {v['name']}", v[io]) for v in d["verbs"] for io in ("in", "out") if v[io]]
    tables += [(c["name"], c["config"]) for c in d["caps"] if "config" in c]
    for name, t in tables:
        if t.get("type") != "object" or not t.get("properties"):
            bad.append(name)
        for f, s in t.get("properties", {}).items():
            n += 1
            if "type" in s and not set(s["type"] if isinstance(s["type"], list) else [s["type"]]) <= known:
                bad.append(f"{name}.{f}: {s}")
            if s.get("type") == "array" and "items" not in s:
                bad.append(f"{name}.{f}: items")
        if set(t.get("required", [])) - set(t.get("properties", {})):
            bad.append(f"{name}: required")
    ok(not bad, f"{len(tables)} tables, {n} fields with a type of JSON Schema", "\n".join(bad))
    bad, n = [], 0
    for k in d["kinds"]:
        for item in region.get(k["name"] + "?limit=20")["items"]:
            x = region.get(f"{k['name']}/{item['name']}")
            n += 1
            why = fits(k["schema"], {f: v for f, v in x.items() if f in k["schema"]["properties"]})
            if why:
                bad.append(f"{k['name']}/{item['name']}: {why}")
    ok(n > 10 and not bad, f"{n} objects are as their schema says", "\n".join(bad))


LINE = re.compile(r'^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(.*)\})? (NaN|[+-]Inf|[+-]?[0-9.]+(?:[eE][+-]?[0-9]+)?)$')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)')


def fetch(region, path):
    r = urllib.request.Request(region.controller()["url"] + path, headers={"Authorization": "Bearer " + region.token()})
    return urllib.request.build_opener(urllib.request.ProxyHandler({})).open(r, timeout=60).read().decode()


def metrics(region):
    text = fetch(region, "/metrics")
    lines = text.split("\n")
    ok(text.endswith("# EOF\n") and text.count("# EOF") == 1, "metrics end with # EOF")
    bad, families, series, kind, last = [], set(), set(), None, {}
    for line in lines[:-2]:
        meta = re.match(r"^# (TYPE|UNIT|HELP) (\S+) (.*)$", line)
        if meta:
            word, name, rest = meta.groups()
            if word == "TYPE":
                if name in families or rest not in ("counter", "gauge", "histogram"):
                    bad.append(line)
                families.add(name)
                family, kind = name, rest
            elif name != family or (word == "UNIT" and not name.endswith("_" + rest)):
                bad.append(line)
            continue
        m = LINE.match(line)
        if not m:
            bad.append(line)
            continue
        name, _, labels, value = m.groups()
        suffix = name[len(family):] if name.startswith(family) else "?"
        if suffix not in {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_count", "_sum")}[kind]:
            bad.append(line)
        pairs = LABEL.findall(labels or "")
        if "".join(f'{k}="{v}"{c}' for k, v, c in pairs) != (labels or "") or (labels or "").endswith(","):
            bad.append(line)
        names = [p[0] for p in pairs]
        if len(set(names)) != len(names) or line.rsplit(" ", 1)[0] in series:
            bad.append("twice: " + line)
        series.add(line.rsplit(" ", 1)[0])
        if kind == "counter" and not float(value) >= 0:
            bad.append(line)
        if suffix == "_bucket":
            key = (family, tuple(p[:2] for p in pairs if p[0] != "le"))
            if float(value) < last.get(key, 0):
                bad.append("not cumulative: " + line)
            last[key] = float(value)
        if suffix == "_count" and float(value) != last.get((family, tuple(p[:2] for p in pairs))):
            bad.append("count is not +Inf's: " + line)
    ok(len(series) > 20 and not bad, f"{len(families)} families, {len(series)} series, all of OpenMetrics", "\n".join(bad))


def warp_answers(region):
    """While a year goes by, the house answers."""
    took, answered = [], []

    def look():
        while not took:
            begun = time.monotonic()
            region.get("time/show")
            answered.append(time.monotonic() - begun)
    t = threading.Thread(target=look)
    begun = time.monotonic()
    t.start()
    status, d = region.request("POST", "time/warp", {"by_us": "5d"}, timeout=300)
    took.append(time.monotonic() - begun)
    t.join()
    ok(status == 200 and len(answered) > 3 and max(answered) < max(1.0, took[0] / 2),
       f"during a warp of {took[0]:.1f} s it answered {len(answered)} times, within {max(answered):.2f} s", d)


def main():
    with Region(SUAN, "share/estates/rack.yaml", agents=False, options=["--twin"]) as region:
        verbs = region.get("schema")["verbs"]
        roles(region, verbs)
        tokens(region)
        audit(region)
        problems(region)
        openapi(region)
        schemas(region)
        metrics(region)
        warp_answers(region)
        is_(region.stop(), 0, "the controller stops cleanly")
    with Region(SUAN, "share/estates/national-hubs.yaml", agents=False, options=["--twin"]) as region:
        dry_runs(region, verbs)
    done()


main()

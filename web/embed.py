#!/usr/bin/env python3
"""The console's build, as C: `struct asset` rows (core/http.h), gzip-compressed.

embed.py DIST OUT.c DEPFILE

When DIST was never built the binary still links, with one small page that says how to build it. The depfile names what
was read, and the folder above DIST, whose time changes when DIST appears or goes."""
import gzip
import os
import sys

TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".svg": "image/svg+xml",
    ".json": "application/json",
}
MISSING = b"""<!doctype html>
<meta charset="utf-8"><title>Suan</title>
<style>body{font:15px/1.5 system-ui;max-width:34em;margin:15vh auto;padding:0 1em;color:#223}code{background:#eef;padding:.1em .3em}</style>
<h1>The console was not built</h1>
<p>This binary was linked before <code>web/dist</code> existed. Build the console and link again:</p>
<p><code>web/build &amp;&amp; ninja -C build</code></p>
<p>Everything the console shows is also behind <code>/api/v1/</code>; <code>/api/v1/openapi.json</code> describes it.</p>
"""


def files(dist):
    found = []
    for folder, _, names in os.walk(dist):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.splitext(name)[1] in TYPES:
                found.append(("/" + os.path.relpath(path, dist).replace(os.sep, "/"), path))
    return sorted(found)


def rows(dist):
    found = files(dist)
    if not any(url == "/index.html" for url, _ in found):
        return [("/index.html", "text/html; charset=utf-8", MISSING)], []
    out = []
    for url, path in found:
        with open(path, "rb") as f:
            out.append((url, TYPES[os.path.splitext(path)[1]], f.read()))
    return out, [path for _, path in found]


def main(dist, out, depfile):
    assets, read = rows(dist)
    lines = ["/* Made by web/embed.py from web/dist. */", '#include "app/console.h"', ""]
    table = []
    for i, (url, mime, data) in enumerate(assets):
        packed = gzip.compress(data, 9, mtime=0)
        lines.append("static const unsigned char a%d[] = {" % i)
        for at in range(0, len(packed), 24):
            lines.append(",".join(str(b) for b in packed[at : at + 24]) + ",")
        lines.append("};")
        table.append('    {"%s", "%s", a%d, sizeof a%d, true},' % (url, mime, i, i))
    lines += ["", "const struct asset console_assets[] = {"] + table + ["};"]
    lines += ["const size_t console_nassets = sizeof console_assets / sizeof console_assets[0];", ""]
    with open(out, "w", encoding="ascii") as f:
        f.write("\n".join(lines))
    above = os.path.dirname(os.path.abspath(dist))
    with open(depfile, "w", encoding="utf-8") as f:
        f.write("%s: %s\n" % (out, " ".join(p.replace(" ", "\\ ") for p in [above] + [os.path.abspath(p) for p in read])))


main(*sys.argv[1:4])

"""The rules of the house as functions: each takes a tree of files and yields what breaks it ("path:line: why").
Every rule carries a sample that breaks it; test_rules.py proves that each rule fires before it trusts its silence."""
import json
import os
import re
import subprocess

SPLIT = ""  # joins words that this file may not contain in one piece, because it is read by its own rules


class Tree:
    """The text files of a checkout, or of a sample."""

    def __init__(self, files, root=None):
        self.files, self.root = files, root

    @staticmethod
    def of(root):
        listed = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard", "-z"], capture_output=True)
        names = listed.stdout.decode().split("\0") if listed.returncode == 0 else walk(root)
        files = {}
        for name in filter(None, names):
            try:
                with open(os.path.join(root, name), encoding="utf-8") as f:
                    files[name] = f.read()
            except (UnicodeDecodeError, FileNotFoundError, IsADirectoryError):
                continue
        return Tree(files, root)

    def under(self, folders, ends):
        return {n: t for n, t in self.files.items() if n.startswith(tuple(folders)) and n.endswith(tuple(ends))}


def walk(root):
    for folder, folders, names in os.walk(root):
        folders[:] = [f for f in folders if not f.startswith("build") and f not in (".git", "node_modules", "dist", "__pycache__")]
        for name in names:
            yield os.path.relpath(os.path.join(folder, name), root)


def code_only(text):
    """C without comments and strings, line for line."""
    blank = lambda m: re.sub(r"[^\n]", " ", m[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


# -- what may include what (ARCHITECTURE, the dependency rule; doc/adr/001, 005) --

FOUNDATION = ["base", "estate", "core"]
ARROWS = {
    "base": ["base"],
    "engine": ["base"],
    "estate": ["base", "estate"],
    "core": FOUNDATION,
    "sched": FOUNDATION + ["sched"],
    "world": ["base", "engine", "estate", "world"],
    "device/class": FOUNDATION + ["device/class"],
    "device/filter": FOUNDATION + ["device/class", "device/filter"],
    "device/live": FOUNDATION + ["device/class", "device/live"],
    "device/twin": FOUNDATION + ["device/class", "device/twin", "world"],
    "device/wire": FOUNDATION + ["device/class", "device/wire", "world"],
    "cap": FOUNDATION + ["engine", "sched", "device/class"],
    "plane": FOUNDATION + ["engine", "device/class"],
}
# src/device/*.h stands beside the classes (devices of a host, requests); planes may see the classes' tables only.
NOT_FOR_PLANES = ("device/device.h",)
SHARED_WITH_WIRE = re.compile(r"device/live/\w+/(frame|\w+_map)\.h")


def layer_of(path):
    part = path.split("/")
    if part[0] == "device":
        return "device/" + (part[1] if len(part) > 2 else "class")
    return part[0]


def own_folder(path):
    """cap/x, plane/x and engine/x are closed to their siblings."""
    part = path.split("/")
    return "/".join(part[:2]) if part[0] in ("cap", "plane", "engine") else layer_of(path)


def rule_layers(tree):
    for name, text in tree.under(["src/"], [".c", ".h"]).items():
        at = name[len("src/"):]
        if layer_of(at) == "app":
            continue
        for number, line in enumerate(text.splitlines(), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not m:
                continue
            to = m[1]
            if "/" not in to or ".." in to:
                yield f"{name}:{number}: include \"{to}\" by its full path below src/"
            elif own_folder(to) == own_folder(at):
                continue
            elif layer_of(at) == "device/wire" and SHARED_WITH_WIRE.fullmatch(to):
                continue
            elif layer_of(to) not in ARROWS.get(layer_of(at), []):
                yield f"{name}:{number}: {layer_of(at)} may not include {to}"
            elif layer_of(at) == "plane" and to in NOT_FOR_PLANES:
                yield f"{name}:{number}: a plane may include device/class only, not {to}"


def rule_private(tree):
    for name, text in tree.under(["src/"], [".c", ".h"]).items():
        for number, line in enumerate(text.splitlines(), 1):
            m = re.match(r'\s*#\s*include\s+"([^"]*private[^"]*)"', line)
            if m and os.path.dirname(m[1]) != os.path.dirname(name[len("src/"):]):
                yield f"{name}:{number}: {m[1]} is private to its folder"


# -- calls that exist in one place only --

BANNED = ["time", "clock_gettime", "gettimeofday", "clock", "rand", "random", "srand", "srandom", "drand48", "getrandom",
          "sleep", "usleep", "nanosleep", "clock_nanosleep", "pthread_create", "thrd_create", "localtime", "gmtime"]
ALLOWED = {
    "src/core/clock.c": ["clock_gettime"],   # the one clock
    "src/core/pool.c": ["pthread_create"],   # the one worker pool
}
CALL = re.compile(r"(?<![\w.>])(" + "|".join(BANNED) + r")(?:_r)?\s*\(")


def rule_calls(tree):
    for name, text in tree.under(["src/"], [".c", ".h"]).items():
        for number, line in enumerate(code_only(text).splitlines(), 1):
            for m in CALL.finditer(line):
                if m[1] not in ALLOWED.get(name, []):
                    yield f"{name}:{number}: {m[1]}() is banned here: ask the loop, the rng or the pool"


SPEAK = re.compile(r"(?<![\w.>])(printf|puts|putchar|perror|syslog|vprintf|fprintf\s*\(\s*(?:stderr|stdout)|fputs\s*\([^;]*\b(?:stderr|stdout))\b")
# Out of memory and a broken table of our own: there is no caller who could be told.
MAY_SPEAK = ("src/base/arena.c", "src/base/vec.c", "src/base/field.c", "src/core/log.c", "src/app/")


def rule_quiet(tree):
    for name, text in tree.under(["src/"], [".c"]).items():
        if name.startswith(MAY_SPEAK):
            continue
        for number, line in enumerate(code_only(text).splitlines(), 1):
            if SPEAK.search(line) and "__attribute__" not in line:
                yield f"{name}:{number}: libraries never print: return a struct err"


# -- budgets --

CODE = (".c", ".h", ".py", ".sh", ".ts", ".tsx", ".mjs", ".css")


def is_ours(name):
    return not name.endswith("package-lock.json")


def rule_file_lines(tree):
    for name, text in tree.files.items():
        n = text.count("\n")
        if name.endswith(CODE) and is_ours(name) and n >= 1000:
            yield f"{name}:1: {n} lines; a file stays below 1,000"
        if name.startswith("src/") and name.endswith(".h") and n >= 200:
            yield f"{name}:1: {n} lines; a header stays below 200"


def functions(text):
    """(line, name, length) of each function: starts in column 0, ends with } in column 0."""
    lines = code_only(text).splitlines()
    start = None
    for i, line in enumerate(lines):
        if start is None and re.match(r"[A-Za-z_].*\)\s*\{\s*$", line) and not line.startswith(("struct ", "enum ", "union ")):
            start = i
        elif start is None and re.match(r"(static |const |struct |enum )*[\w *]+\(.*[^;{]$", line):
            for k in range(i + 1, min(i + 8, len(lines))):
                if lines[k].endswith("{") and ")" in lines[k]:
                    start = i
                    break
                if not lines[k].startswith(" "):
                    break
        elif start is not None and line.startswith("}"):
            name = re.search(r"(\w+)\s*\(", lines[start])
            yield start + 1, name[1] if name else "?", i - start + 1
            start = None


def rule_function_lines(tree):
    for name, text in tree.under(["src/", "test/", "bench/", "share/"], [".c", ".h"]).items():
        lines = text.splitlines()
        for at, what, n in functions(text):
            reason = re.search(r"[Ll]ong because", "\n".join(lines[max(0, at - 6):at + 1]))
            if n >= 70 and not reason:
                yield f"{name}:{at}: {what} has {n} lines; below 70, or a comment above it says 'Long because …'"


# -- words and names --

UNFINISHED = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK"]) + r")\b")


def rule_unfinished(tree):
    for name, text in tree.files.items():
        if not is_ours(name) or name.startswith(("LICENSE", "share/data/")):
            continue
        for number, line in enumerate(text.splitlines(), 1):
            if UNFINISHED.search(line):
                yield f"{name}:{number}: work that is left undone: {line.strip()[:60]}"


def rule_names(tree):
    for name in tree.files:
        for part in name.split("/"):
            stem = part.split(".")[0]
            if any(w in ("util", "utils", "common", "misc", "helper", "helpers", "manager") for w in re.split(r"[_-]", stem)):
                yield f"{name}:1: '{part}' says nothing about what is in it"


PLACES = ["/wo" + "rk/", "/tmp/" + "wt", "registry.npm" + "js.org", "deb.deb" + "ian.org", "pypi" + ".org"]


def rule_places(tree):
    for name, text in tree.files.items():
        for number, line in enumerate(text.splitlines(), 1):
            for place in PLACES:
                if place in line:
                    yield f"{name}:{number}: names a place of one machine or network: {place}"


def rule_lock(tree):
    for name, text in tree.files.items():
        if name.endswith("package-lock.json") and '"resolved"' in text:
            line = text[:text.index('"resolved"')].count("\n") + 1
            yield f"{name}:{line}: \"resolved\" ties the lock to one registry"


def rule_registered(tree):
    """A source that no build file names is dead; a test that none names never runs."""
    lists = {}
    for name, text in tree.files.items():
        if name.endswith("meson.build"):
            lists[os.path.dirname(name)] = text
    for name in tree.under(["src/", "test/", "bench/"], [".c"]):
        # A list of a foreach names its files by a part: 'fuzz_' + name + '.c', with 'json' in the list.
        stem = os.path.basename(name)[:-2].rpartition("_")
        made = [t for f, t in lists.items() if f == os.path.dirname(name) and f"'{stem[0]}_' + name" in t and f"'{stem[2]}'" in t]
        found = made or any(re.search(r"(?<![\w/])" + re.escape(os.path.relpath(name, folder) if folder else name) + r"['\"]", text)
                    for folder, text in lists.items())
        if not found and name.split("/")[-1] not in "".join(t for n, t in tree.files.items() if n.endswith(".sh")):
            yield f"{name}:1: no meson.build names it"


# -- scripts --

def interpreter(text):
    first = text.split("\n", 1)[0]
    return first.split("/")[-1].split(" ")[-1] if first.startswith("#!") else ""


def rule_scripts(tree):
    for name, text in tree.files.items():
        shell = interpreter(text)
        if shell in ("sh", "bash", "dash"):
            done = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True)
            if done.returncode:
                yield f"{name}:1: {shell} -n: {done.stderr.strip()[:100]}"
        if name.endswith(".py") or shell == "python3":
            try:
                compile(text, name, "exec")
            except SyntaxError as x:
                yield f"{name}:{x.lineno}: {x.msg}"
        if shell and tree.root and not os.access(os.path.join(tree.root, name), os.X_OK):
            yield f"{name}:1: has an interpreter line but may not be executed"


def rule_json(tree):
    for name, text in tree.files.items():
        if not name.endswith((".json", ".jsonl")) or "tsconfig" in name or name.startswith("test/fuzz/"):
            continue
        try:
            for part in text.splitlines() if name.endswith(".jsonl") else [text]:
                json.loads(part)
        except ValueError as x:
            yield f"{name}:1: {x}"


BIG_FUNCTION = "int f(int x) {\n" + "    x++;\n" * 70 + "    return x;\n}\n"
RULES = [
    ("a file includes only along the arrows", rule_layers,
     {"src/world/a.c": '#include "core/loop.h"\n', "src/cap/a/a.c": '#include "cap/b/b.h"\n', "src/base/a.c": '#include "text.h"\n',
      "src/plane/agent/a.c": '#include "device/device.h"\n', "src/cap/a/b.c": '#include "device/twin/twin.h"\n',
      "src/device/live/x/x.c": '#include "world/world.h"\n', "src/engine/a/a.c": '#include "engine/b/b.h"\n',
      "src/device/filter/f.c": '#include "device/live/modbus/modbus.h"\n',
      "src/device/wire/w.c": '#include "device/live/modbus/modbus.h"\n#include "device/live/modbus/frame.h"\n'}, 9),
    ("a private header stays in its folder", rule_private, {"src/app/a.c": '#include "core/http_private.h"\n'}, 1),
    ("clock, chance, sleep and threads have one home", rule_calls,
     {"src/cap/a/a.c": "int64_t f(void) {\n    return time(NULL);\n}\n", "src/core/a.c": "    usleep (3); random();\n"}, 3),
    ("libraries never print", rule_quiet, {"src/core/a.c": '    printf("x");\n    fprintf(stderr, "x");\n'}, 2),
    ("files and headers keep their budget", rule_file_lines, {"src/base/a.c": "\n" * 1000, "src/base/a.h": "\n" * 200}, 2),
    ("functions keep their budget", rule_function_lines,
     {"src/base/a.c": BIG_FUNCTION, "src/base/b.c": BIG_FUNCTION.replace("f(int x) {", "f(int x,\n    int y) {")}, 2),
    ("nothing is left undone", rule_unfinished, {"src/base/a.c": "/* TO" + SPLIT + "DO: later */\n"}, 1),
    ("names say what is inside", rule_names, {"src/base/string_util.c": "", "src/common/a.c": ""}, 2),
    ("no place of one machine is named", rule_places, {"doc/a.md": "see /wo" + SPLIT + "rk/main\n"}, 1),
    ("package locks name no registry", rule_lock, {"web/package-lock.json": '{"resolved": "x"}'}, 1),
    ("every source is in a build file", rule_registered, {"src/base/a.c": "", "src/base/meson.build": "'b.c', 'x_a.c'"}, 1),
    ("scripts parse and may be executed", rule_scripts, {"a": "#!/bin/sh\nif true; then\n", "b.py": "def f(:\n"}, 2),
    ("JSON files parse", rule_json, {"a.json": "{", "b.jsonl": "{}\n{\n"}, 2),
]

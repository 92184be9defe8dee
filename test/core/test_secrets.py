#!/usr/bin/env python3
"""No secret leaves the house: a real controller makes tokens and refuses wrong ones, then everything that it has written or
shows to others is searched for every one of them."""
import glob
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), ".."))
from region import Region, done, is_, ok  # noqa: E402

SUAN = os.path.abspath(sys.argv[1])
KEPT = ("token", ".key", "identity")  # files whose business secrets are


def calls(region):
    """Secrets in every place that a caller may put one, into calls that succeed and that fail."""
    secrets = {"the first token": region.token()}
    for role in ("viewer", "operator", "admin"):
        secrets[f"a token of {role}"] = region.post("token/create", {"name": "s-" + role, "role": role})["token"]
    wrong = "deadbeef" * 8
    secrets["a wrong token"] = wrong
    region.request("GET", "tenant", token=wrong)
    region.request("POST", "tenant", {"name": "x"}, token=wrong)
    region.request("POST", "token/create", {"name": "more", "role": "admin"}, token=secrets["a token of viewer"])
    region.request("POST", "tenant", {"name": "good", "title": "Good"}, token=secrets["a token of operator"])
    region.request("PATCH", "tenant/nosuch", {"title": "x"}, token=secrets["a token of operator"])
    region.request("POST", "session", {"token": secrets["a token of admin"]})
    region.request("POST", "session", {"token": wrong})
    region.request("POST", "token/revoke", {"name": "s-viewer"}, token=secrets["a token of admin"])
    region.request("GET", "tenant", token=secrets["a token of viewer"])
    cookie = {"Cookie": "suan=" + secrets["a token of admin"], "Authorization": ""}
    region.request("PATCH", "tenant/good", {"title": "x"}, headers=cookie)
    region.cli("token", "create", "name=cli", "role=viewer", "--dry-run")
    region.cli("tenant", "create", "name=bad name")
    region.wait(lambda: "token revoke" in str(region.get("journal/list?kind=verb")), 5, "the rows are written")
    return secrets


def leaks(what, data, secrets):
    found = [name for name, s in secrets.items() if s.encode() in data or bytes.fromhex(s) in data]
    ok(not found, f"{what}: none of {len(secrets)} secrets in {len(data)} bytes", found)


def read(path):
    with open(path, "rb") as f:
        return f.read()


def files(region):
    return [p for p in glob.glob(os.path.join(region.state, "**"), recursive=True) if os.path.isfile(p)]


def main():
    with Region(SUAN, "share/estates/rack.yaml", agents=False, options=["--twin"]) as region:
        secrets = calls(region)
        pid = region.process.pid
        leaks("the command line", read(f"/proc/{pid}/cmdline"), secrets)
        leaks("the environment", read(f"/proc/{pid}/environ"), secrets)
        for path in ("journal/list?limit=10000", "token/list", "estate/export", "system/status", "schema", "cap/list", "claim/list"):
            leaks(f"GET {path}", str(region.get(path)).encode(), secrets)
        keys = [s for s in region.get("journal/list?limit=10000")["rows"] if "token create" in s["text"]]
        ok(len(keys) >= 4, "although the journal tells of their making", keys)
        for p in files(region):
            if not os.path.basename(p).endswith(KEPT):
                leaks(os.path.basename(p), read(p), secrets)
        hidden = [p for p in files(region) if os.path.basename(p).endswith(KEPT)]
        ok(any(secrets["the first token"] in read(p).decode(errors="replace") for p in hidden), "the search would have found one", hidden)
        loose = [f"{p}: {oct(os.stat(p).st_mode & 0o777)}" for p in files(region)
                 if p != region.log_path and not p.endswith(".crt") and os.stat(p).st_mode & 0o077]
        ok(not loose, f"{len(files(region))} files, but for certificates, are the owner's alone", "\n".join(loose))
        folders = [region.state] + [p for p in glob.glob(os.path.join(region.state, "**"), recursive=True) if os.path.isdir(p)]
        loose = [f"{p}: {oct(os.stat(p).st_mode & 0o777)}" for p in folders if os.stat(p).st_mode & 0o077]
        ok(not loose, f"so are {len(set(folders))} folders", "\n".join(loose))
        limits = [line.split() for line in open(f"/proc/{pid}/limits") if line.startswith("Max core")]
        is_(limits[0][4:6], ["0", "0"], "it leaves no core file")
        is_(os.stat(f"/proc/{pid}/mem").st_uid, 0, "its memory is not its user's to read")
        if os.geteuid() == 0:
            r = subprocess.run(["setpriv", "--reuid=65534", "--clear-groups", "cat", os.path.join(region.state, "token"),
                                os.path.join(region.state, "state.db"), f"/proc/{pid}/environ"], capture_output=True)
            ok(r.returncode and not r.stdout, "another user reads neither token, nor state, nor environment", r.stdout[:200])
        is_(region.stop(), 0, "the controller stops cleanly")
        for p in files(region):
            if not os.path.basename(p).endswith(KEPT):
                leaks(f"afterwards, {os.path.basename(p)}", read(p), secrets)
    done()


main()

"""A controller or a whole region for a test: started on free ports with a state folder of its own, ended by process id.
And TAP for tests written in Python: ok(), is_(), done()."""
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request

SOURCE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
_count, _failed = 0, 0


def ok(good, name, why=""):
    global _count, _failed
    _count += 1
    print(f"{'ok' if good else 'not ok'} {_count} - {name}".replace("#", "no."), flush=True)
    if not good:
        _failed += 1
        for line in str(why).splitlines()[-12:]:
            print(f"#   {line}", flush=True)
    return good


def is_(got, want, name):
    return ok(got == want, name, f"got  {got!r}\nwant {want!r}")


def done():
    print(f"1..{_count}")
    sys.exit(1 if _failed else 0)


class Region:
    """`suan up` (or `suan daemon` with agents=False) on `estate`. Use as a context manager."""

    def __init__(self, suan, estate, agents=True, options=(), state=None):
        self.suan, self.agents = suan, agents
        self.own = state is None
        self.state = state or tempfile.mkdtemp(prefix="region-")
        self.log_path = os.path.join(self.state, "log")
        self.words = [suan, "up" if agents else "daemon", os.path.join(SOURCE, estate) if estate else None,
                      "--state", self.state, "--port", "0", "--link-port", "0", *options]
        self.words = [w for w in self.words if w]
        self.process = None

    def start(self, limit_s=60):
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(self.words, stdout=log, stderr=log, stdin=subprocess.DEVNULL, cwd=SOURCE)
        log.close()
        self.wait(self.is_ready, limit_s, "the controller is ready")
        if self.agents:
            self.wait(lambda: all(a["state"] == "connected" for a in self.get("agent")["items"]), limit_s, "agents connect")
        return self

    def controller(self):
        with open(os.path.join(self.state, "controller.json")) as f:
            return json.load(f)

    def is_ready(self):
        try:
            c = self.controller()
            parent = self.process.pid
            if c["pid"] != parent and self.parent_of(c["pid"]) != parent:
                return False
            return self.get("system/status")["store_ok"]
        except (OSError, ValueError, KeyError):
            return False

    @staticmethod
    def parent_of(pid):
        with open(f"/proc/{pid}/stat") as f:
            return int(f.read().rsplit(")", 1)[1].split()[1])

    def wait(self, what, limit_s, name):
        end = time.monotonic() + limit_s * float(os.environ.get("SUAN_TIMEOUT_SCALE", "1"))
        while time.monotonic() < end:
            try:
                if what():
                    return True
            except (OSError, ValueError):
                pass
            if self.process and self.process.poll() is not None:
                raise RuntimeError(f"{name}: ended with {self.process.returncode}\n{self.log()[-2000:]}")
            time.sleep(0.02)
        raise RuntimeError(f"{name}: not within {limit_s} s\n{self.log()[-2000:]}")

    def log(self):
        with open(self.log_path, errors="replace") as f:
            return f.read()

    def token(self):
        with open(os.path.join(self.state, "token")) as f:
            return f.read().strip()

    def request(self, method, path, body=None, token=None, headers=None, timeout=60):
        """(status, parsed JSON or text)."""
        data = None if body is None else (body if isinstance(body, bytes) else json.dumps(body).encode())
        r = urllib.request.Request(self.controller()["url"] + "/api/v1/" + path, data=data, method=method)
        r.add_header("Authorization", "Bearer " + (token or self.token()))
        r.add_header("Content-Type", "application/json")
        for k, v in (headers or {}).items():
            r.add_header(k, v)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        try:
            with opener.open(r, timeout=timeout) as a:
                status, text = a.status, a.read().decode()
        except urllib.error.HTTPError as e:
            status, text = e.code, e.read().decode()
        try:
            return status, json.loads(text)
        except ValueError:
            return status, text

    def get(self, path):
        status, d = self.request("GET", path)
        if status != 200:
            raise ValueError(f"GET {path}: {status} {d}")
        return d

    def post(self, path, body=None):
        status, d = self.request("POST", path, body or {})
        if status != 200:
            raise ValueError(f"POST {path}: {status} {d}")
        return d

    def cli(self, *words, stdin=None):
        p = subprocess.run([self.suan, "--state", self.state, *words], capture_output=True, text=True, timeout=120,
                           input=stdin, cwd=SOURCE)
        return p.returncode, p.stdout, p.stderr

    def job(self, name, limit_s=60):
        """Waits for a job's end; its object."""
        ended = ("done", "failed", "cancelled")
        self.wait(lambda: self.get("job/" + name)["state"] in ended, limit_s, f"job {name} ends")
        return self.get("job/" + name)

    def stop(self, signo=signal.SIGTERM, limit_s=30):
        if not self.process:
            return 0
        self.process.send_signal(signo)
        try:
            code = self.process.wait(limit_s)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        self.process = None
        return code

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        self.stop()
        if self.own:
            shutil.rmtree(self.state, ignore_errors=True)

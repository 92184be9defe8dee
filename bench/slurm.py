"""A small Slurm on loopback, as a peer: munged, slurmctld and some slurmd of Debian's packages, with their own
configuration, key and state in a temporary folder. Started by us, stopped by us, unknown to systemd."""
import os
import shutil
import socket
import subprocess
import tempfile
import time

CONF = """
ClusterName=bench
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctl_port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/ctl.pid
SlurmdPidFile={folder}/d-%n.pid
SlurmctldLogFile={folder}/ctl.log
SlurmdLogFile={folder}/d-%n.log
SlurmctldDebug=error
SlurmdDebug=error
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
JobCompType=jobcomp/none
MpiDefault=none
SwitchType=switch/none
ReturnToService=2
SchedulerType=sched/builtin
SchedulerParameters=batch_sched_delay=0,sched_min_interval=0,sched_max_job_start=0,default_queue_depth=10000,max_rpc_cnt=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
SlurmdParameters=config_overrides
MaxArraySize=20001
MaxJobCount=50000
MinJobAge=300
{nodes}
PartitionName=all Nodes={names} Default=YES MaxTime=INFINITE State=UP OverSubscribe=NO
"""


def free_ports(n):
    held = [socket.socket() for _ in range(n)]
    for s in held:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in held]
    for s in held:
        s.close()
    return ports


class Slurm:
    def __init__(self, nodes=2, cpus=64):
        self.nodes, self.cpus = nodes, cpus
        self.children = []

    def __enter__(self):
        self.folder = tempfile.mkdtemp(prefix="suan-slurm-")
        os.chmod(self.folder, 0o755)
        try:
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def spawn(self, *words):
        with open(os.path.join(self.folder, "out.log"), "ab") as log:
            self.children.append(subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env))

    def start(self):
        f = self.folder
        self.env = {**os.environ, "SLURM_CONF": f"{f}/slurm.conf", "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin"}
        with open(f"{f}/munge.key", "wb", opener=lambda p, fl: os.open(p, fl, 0o600)) as key:
            key.write(os.urandom(128))
        ports = free_ports(self.nodes + 1)
        names = [f"n{i}" for i in range(self.nodes)]
        rows = "\n".join(f"NodeName={n} NodeHostname={os.uname().nodename} NodeAddr=127.0.0.1 Port={p} CPUs={self.cpus} State=UNKNOWN"
                         for n, p in zip(names, ports[1:]))
        os.makedirs(f"{f}/state")
        with open(f"{f}/slurm.conf", "w") as conf:
            conf.write(CONF.format(host=os.uname().nodename, ctl_port=ports[0], folder=f, nodes=rows, names=",".join(names)))
        self.spawn("munged", "--foreground", "--force", f"--key-file={f}/munge.key", f"--socket={f}/munge.socket",
                   f"--pid-file={f}/munge.pid", f"--log-file={f}/munge.log", f"--seed-file={f}/munge.seed")
        self.wait_for(lambda: os.path.exists(f"{f}/munge.socket"), "munged")
        self.spawn("slurmctld", "-D", "-f", f"{f}/slurm.conf")
        for n in names:
            self.spawn("slurmd", "-D", "-N", n, "-f", f"{f}/slurm.conf")
        self.wait_for(lambda: self.ask("sinfo", "-h", "-t", "idle", "-o", "%D").strip() == str(self.nodes), "all nodes idle")

    def ask(self, *words):
        return subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=120).stdout

    def wait_for(self, good, what, limit_s=60):
        until = time.monotonic() + limit_s
        while not good():
            if time.monotonic() > until or any(c.poll() is not None for c in self.children):
                raise RuntimeError(f"slurm: no {what}: {self.words()}")
            time.sleep(0.05)

    def words(self):
        text = ""
        for name in sorted(os.listdir(self.folder)):
            if name.endswith(".log"):
                with open(os.path.join(self.folder, name), errors="replace") as f:
                    text += f.read()[-300:]
        return text[-1200:]

    def version(self):
        return self.ask("sinfo", "--version").strip()

    def array_rate(self, n):
        """Jobs of one array, each /bin/true: from submission until the last has ended."""
        begin = time.monotonic()
        done = subprocess.run(["sbatch", "-Q", "--parsable", f"--array=1-{n}", "-n1", "-o/dev/null", "-e/dev/null", "--wrap=/bin/true"],
                              cwd=self.folder, env=self.env, capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError("sbatch: " + done.stderr.strip())
        while self.ask("squeue", "-h", "-r", "-o", "%i").strip():
            if time.monotonic() - begin > 300:
                raise RuntimeError("slurm: the array did not end: " + self.words())
            time.sleep(0.05)
        return n / (time.monotonic() - begin)

    def __exit__(self, *_):
        for c in reversed(self.children):
            c.terminate()
        for c in self.children:
            try:
                c.wait(10)
            except subprocess.TimeoutExpired:
                c.kill()
                c.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

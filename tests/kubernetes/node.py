"""The node of the test cluster, seen from inside its namespaces: what cluster.py runs as `--inside`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import ctypes
import hashlib
import json
import os
import select
import signal
import socket
import subprocess
import threading
import time
from pathlib import Path

from control_plane import ControlPlane, wait_until
from volumes import NODE_NAME, PROVISIONER, keep_provisioning

NODE_ADDRESS = "10.90.0.1"
POD_CIDR = "10.244.0.0/24"
API_PORT = 6443  # inside the network namespace
CLUSTER_DOMAIN = "cluster.local"
PAUSE_IMAGE = "registry.invalid/pause:1"
# The kubelet insists on these values of machine-wide settings. Files with them are
# laid over the real ones inside the mount namespace, so it finds them and writes nothing.
PRETENDED_SYSCTLS = {"vm/overcommit_memory": "1", "kernel/panic": "10", "kernel/panic_on_oops": "1"}
CGROUP_V1 = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"]

STORAGE_CLASS = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "standard", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}},
    "provisioner": PROVISIONER,
    "volumeBindingMode": "Immediate",
}
DNS_ROLE = [
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": "system:coredns"},
        "rules": [
            {"apiGroups": [""], "resources": ["services", "pods", "namespaces"], "verbs": ["list", "watch"]},
            {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
        ],
    },
    {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "system:coredns"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "system:coredns"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": "system:coredns"}],
    },
]


def run(*argv: object, **kwargs) -> subprocess.CompletedProcess:
    return subprocess.run([str(a) for a in argv], check=True, **kwargs)


def cgroup_root(state: Path) -> str:
    return "cluster-" + hashlib.sha256(bytes(state)).hexdigest()[:12]


def enter(state: Path) -> None:
    """Give the new namespaces what a node expects to find."""
    run("mount", "--make-rshared", "/")

    # cgroups: show only the part below ours, and give this cluster a part of its own:
    # a kubelet ends what it finds below its root and does not know.
    if os.path.exists("/sys/fs/cgroup/cgroup.controllers"):
        raise RuntimeError("written for cgroup version 1, and this machine has version 2")
    run("mount", "-t", "tmpfs", "tmpfs", "/sys/fs/cgroup")
    for name in [*CGROUP_V1, "systemd"]:
        root = Path("/sys/fs/cgroup", name)
        root.mkdir()
        run("mount", "-t", "cgroup", "-o", "none,name=systemd" if name == "systemd" else name, "cgroup", root)
        own = root / cgroup_root(state)
        own.mkdir(exist_ok=True)
        if name == "cpuset":
            for file in ("cpuset.cpus", "cpuset.mems"):
                (own / file).write_text((root / file).read_text())

    for name, value in PRETENDED_SYSCTLS.items():
        file = state / "sysctl" / name.replace("/", ".")
        file.parent.mkdir(exist_ok=True)
        file.write_text(value + "\n")
        run("mount", "--bind", file, f"/proc/sys/{name}")

    # Paths that components have built in.
    for fixed, own in {"/var/log": "var-log", "/var/lib/cni": "var-lib-cni"}.items():
        (state / own).mkdir(exist_ok=True)
        os.makedirs(fixed, exist_ok=True)
        run("mount", "--bind", state / own, fixed)
    run("mount", "-t", "tmpfs", "tmpfs", "/run")

    # The only ways out of this network namespace are lo and a bridge with nothing attached.
    run("ip", "link", "set", "lo", "up")
    run("ip", "link", "add", "node0", "type", "bridge")
    run("ip", "address", "add", f"{NODE_ADDRESS}/24", "dev", "node0")
    run("ip", "link", "set", "node0", "up")
    run("ip", "route", "add", "default", "dev", "node0")
    Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    nf_call = Path("/proc/sys/net/bridge/bridge-nf-call-iptables")
    if nf_call.exists():  # so that a Pod reaches itself and its neighbours through a Service
        nf_call.write_text("1")
    # No name server: pulling an image that was not loaded fails at once instead of timing out.
    (state / "resolv.conf").write_text("")
    run("mount", "--bind", state / "resolv.conf", "/etc/resolv.conf")


def start_containerd(cp: ControlPlane) -> None:
    state, cni = cp.state, cp.state / "cni"
    cni.mkdir(exist_ok=True)
    bridge = {
        "cniVersion": "1.0.0",
        "name": "pods",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isDefaultGateway": True,
                "hairpinMode": True,
                "ipam": {"type": "host-local", "ranges": [[{"subnet": POD_CIDR}]], "dataDir": "/run/cni-ipam"},
            }
        ],
    }
    (cni / "10-pods.conflist").write_text(json.dumps(bridge))
    config = f"""\
version = 4
root = '{state / "containerd"}'
state = '/run/containerd'
disabled_plugins = ['io.containerd.nri.v1.nri', 'io.containerd.image-verifier.v1.bindir']
imports = []
[plugins.'io.containerd.server.v1.grpc']
  address = '{state / "containerd.sock"}'
[plugins.'io.containerd.server.v1.ttrpc']
  address = '/run/containerd/containerd.sock.ttrpc'
[plugins.'io.containerd.internal.v1.opt']
  path = '{state / "containerd-opt"}'
[plugins.'io.containerd.cri.v1.images']
  snapshotter = '{os.environ.get("CLUSTER_SNAPSHOTTER", "overlayfs")}'
[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = '{PAUSE_IMAGE}'
[plugins.'io.containerd.cri.v1.runtime']
  restrict_oom_score_adj = true  # lowering it needs CAP_SYS_RESOURCE
  disable_apparmor = true
  netns_mounts_under_state_dir = true
[plugins.'io.containerd.cri.v1.runtime'.cni]
  bin_dirs = ['{cp.bin}']
  conf_dir = '{cni}'
  use_internal_loopback = true
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'
[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = false
"""
    (state / "containerd.toml").write_text(config)
    path = f"{cp.bin}{os.pathsep}{os.environ['PATH']}"
    cp.spawn(
        "containerd", [cp.bin / "containerd", "--config", state / "containerd.toml"], env={**os.environ, "PATH": path}
    )


def import_images(cp: ControlPlane, images: list[Path]) -> None:
    ctr = [cp.bin / "ctr", "--address", cp.state / "containerd.sock", "--namespace", "k8s.io"]

    def answers():
        cp.check_alive()
        return subprocess.run([*ctr, "version"], capture_output=True).returncode == 0

    wait_until(answers, "containerd", 60)
    for image in images:
        done = subprocess.run([str(a) for a in [*ctr, "images", "import", image]], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"importing {image}: {done.stderr}")


def start_kubelet(cp: ControlPlane) -> None:
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_ADDRESS,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(cp.pki / "ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "readOnlyPort": 0,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_root(cp.state)}",
        "failCgroupV1": False,
        "containerRuntimeEndpoint": f"unix://{cp.state / 'containerd.sock'}",
        "clusterDNS": [NODE_ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": str(cp.state / "resolv.conf"),
        "failSwapOn": False,
        "oomScoreAdj": 0,  # lowering it needs CAP_SYS_RESOURCE
        "makeIPTablesUtilChains": False,
        "imageGCHighThresholdPercent": 100,  # an image removed could not be pulled again
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "volumePluginDir": str(cp.state / "volume-plugins"),
        "nodeStatusUpdateFrequency": "4s",
        "enableDebuggingHandlers": True,
    }
    (cp.state / "kubelet.json").write_text(json.dumps(config, indent=1))
    cp.spawn(
        "kubelet",
        [
            cp.bin / "kubelet", f"--config={cp.state / 'kubelet.json'}",
            f"--kubeconfig={cp.state / 'kubelet.kubeconfig'}",
            f"--root-dir={cp.state / 'kubelet'}", f"--cert-dir={cp.state / 'kubelet-pki'}",
            f"--hostname-override={NODE_NAME}", f"--node-ip={NODE_ADDRESS}", f"--v={cp.verbosity}",
        ],
    )  # fmt: skip


def start_proxy_and_dns(cp: ControlPlane) -> None:
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": str(cp.state / "proxy.kubeconfig")},
        "mode": "nftables",
        "clusterCIDR": POD_CIDR,
        "hostnameOverride": NODE_NAME,
        # Limits of connection tracking belong to the whole machine: leave them.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
        "oomScoreAdj": 0,
    }
    (cp.state / "proxy.json").write_text(json.dumps(config, indent=1))
    cp.spawn("kube-proxy", [cp.bin / "kube-proxy", f"--config={cp.state / 'proxy.json'}", f"--v={cp.verbosity}"])
    if (cp.bin / "coredns").exists():
        corefile = f"""\
.:53 {{
    bind {NODE_ADDRESS}
    errors
    ready 127.0.0.1:8181
    cache 5
    loadbalance
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa {{
        kubeconfig {cp.state / "dns.kubeconfig"}
        ttl 1
    }}
}}
"""
        (cp.state / "Corefile").write_text(corefile)
        cp.spawn("coredns", [cp.bin / "coredns", "-conf", cp.state / "Corefile"])


async def forward(listener: socket.socket) -> None:
    """Pass connections to a socket bound outside on to the API server in here."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            up_reader, up_writer = await asyncio.open_connection("127.0.0.1", API_PORT)
        except OSError:
            writer.close()
            return
        await asyncio.gather(copy(reader, up_writer), copy(up_reader, writer))

    server = await asyncio.start_server(serve, sock=listener)
    await server.serve_forever()


def be_init(state: Path) -> None:
    """Return in a child; stay behind as PID 1, which has to reap what others leave."""
    assert os.getpid() == 1, "not in a PID namespace of our own"
    child = os.fork()
    if child == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == child:
            for seconds in (3, 0):  # let shims and containers end, then end them
                try:
                    os.kill(-1, signal.SIGTERM if seconds else signal.SIGKILL)  # all in this PID namespace, but us
                except ProcessLookupError:
                    break
                deadline = time.monotonic() + seconds
                while time.monotonic() < deadline:
                    try:
                        if os.waitpid(-1, os.WNOHANG) == (0, 0):
                            time.sleep(0.05)
                    except ChildProcessError:
                        break
            remove_cgroups(cgroup_root(state))
            os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def remove_cgroups(name: str) -> None:
    for _attempt in range(20):
        left = [d for d, _dirs, _files in os.walk("/sys/fs/cgroup", topdown=False) if f"/{name}" in d]
        if not left:
            return
        for directory in left:
            with contextlib.suppress(OSError):
                os.rmdir(directory)
        time.sleep(0.1)


def inside(args: argparse.Namespace) -> int:
    os.setsid()
    be_init(args.state)
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    listener = socket.socket(fileno=args.listener)
    begun = time.monotonic()
    stopping = threading.Event()
    cp = ControlPlane(
        args.bin, args.state, port=API_PORT, advertise_address=NODE_ADDRESS, node_name=NODE_NAME, verbosity=args.v
    )
    try:
        enter(args.state)
        cp.prepare()
        start_containerd(cp)
        cp.start()
        import_images(cp, args.image)
        cp.timings["containerd and images"] = time.monotonic() - begun
        start_kubelet(cp)
        for manifest in [STORAGE_CLASS, *DNS_ROLE]:
            run(
                cp.bin / "kubectl", f"--kubeconfig={cp.kubeconfig}", "apply", "-f", "-",
                input=json.dumps(manifest).encode(), stdout=subprocess.DEVNULL,
            )  # fmt: skip
        start_proxy_and_dns(cp)

        def ready():
            cp.check_alive()
            node = json.loads(cp.get(f"/api/v1/nodes/{NODE_NAME}"))
            return any(c["type"] == "Ready" and c["status"] == "True" for c in node["status"]["conditions"])

        wait_until(ready, "the node", 120)
        cp.timings["node ready"] = time.monotonic() - begun
        threading.Thread(target=keep_provisioning, args=(cp, stopping), daemon=True).start()
        threading.Thread(target=lambda: asyncio.run(forward(listener)), daemon=True).start()
        report = {"seconds": {k: round(v, 1) for k, v in cp.timings.items()}, "resident_mib": cp.resident_mib()}
        report["token"] = cp.tokens["admin"]
        print(json.dumps(report), flush=True)
        while not select.select([0], [], [], 1.0)[0]:  # until the process outside closes its end
            cp.check_alive()
        return 0
    except Exception as error:
        print(json.dumps({"error": str(error)}), flush=True)
        return 1
    finally:
        stopping.set()
        cp.stop(timeout=5)

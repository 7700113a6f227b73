"""One real cluster (tests/kubernetes/cluster.py), and how a test speaks to it.

with Kubernetes.started(folder, archives) as kubernetes:
    kubernetes.apply("shop", manifest)
    kubernetes.wait("shop", "rkt/orders", "Stable")
    print(kubernetes.kubectl("get", "pods", "-n", "shop"))
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from rocket_testing.e2e.images import PROJECT

T = TypeVar("T")

FOLDER = PROJECT / "tests" / "kubernetes"
_CACHE = Path(os.environ.get("KUBERNETES_BINARIES", Path.home() / ".cache" / "kubernetes-binaries"))
BINARIES = _CACHE / "bin"
#: Kinds that are not ours, each a file.
KINDS = _CACHE / "kinds"

_START_SECONDS = 180.0
_COMMAND_SECONDS = 120.0


class CommandFailed(Exception):
    """A command that ended with another status than 0. The text has what it printed."""


def missing() -> str | None:
    """What this machine lacks for a real cluster, in a sentence; None where nothing is missing."""
    if os.geteuid() != 0:
        return "a real Kubernetes with a node needs root"
    lacking = [
        each
        for each in ("go", "runc", "nft", "unshare", "nsenter", "openssl", "buildah", "mmdebstrap")
        if not shutil.which(each)
    ]
    return f"not installed: {', '.join(lacking)}" if lacking else None


def build() -> None:
    """Builds Kubernetes, which takes minutes once and nothing after."""
    subprocess.run([str(FOLDER / "build-kubernetes.sh"), "all"], check=True, stdout=subprocess.DEVNULL, timeout=2400)


@dataclass(frozen=True)
class Kubernetes:
    """A running cluster; `state` is its folder."""

    state: Path

    @classmethod
    @contextmanager
    def started(cls, state: Path, archives: Sequence[Path]) -> Iterator[Kubernetes]:
        """A cluster with these images, for as long as the block runs."""
        command = [sys.executable, str(FOLDER / "cluster.py"), "--state", str(state)]
        for archive in archives:
            command += ["--image", str(archive)]
        log = state.with_suffix(".log")
        with log.open("w") as file, subprocess.Popen(command, stdout=file, stderr=file) as process:
            try:
                _until(lambda: "CONTAINERD_ADDRESS" in log.read_text(), _START_SECONDS, lambda: log.read_text()[-3000:])
                yield cls(state)
            finally:
                process.terminate()
                process.wait(60)
                shutil.rmtree(state, ignore_errors=True)  # images and volumes, more than a gigabyte

    # -- commands -----------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "KUBECONFIG": str(self.state / "kubeconfig"),
            "PATH": f"{BINARIES}{os.pathsep}{os.environ['PATH']}",
        }

    def run(self, *command: str, text: str | None = None, seconds: float = _COMMAND_SECONDS) -> str:
        """What a command prints. Raises CommandFailed."""
        done = subprocess.run(
            command, input=text, capture_output=True, text=True, env=self.environment, timeout=seconds, check=False
        )
        if done.returncode:
            raise CommandFailed(f"{' '.join(command)}: {done.stdout}{done.stderr}")
        return done.stdout

    def kubectl(self, *arguments: str, text: str | None = None) -> str:
        return self.run("kubectl", *arguments, text=text)

    def helm(self, *arguments: str) -> str:
        return self.run("helm", *arguments)

    def container_runtime(self, *arguments: str) -> str:
        """The node's containerd."""
        address = str(self.state / "containerd.sock")
        return self.run("ctr", "--address", address, "--namespace", "k8s.io", *arguments)

    def joined(self, *command: str) -> list[str]:
        """The command line that runs a command in the cluster's network, with its names."""
        sys.path.insert(0, str(FOLDER))
        try:
            import cluster  # type: ignore[import-not-found]  # a program beside this package
        finally:
            sys.path.remove(str(FOLDER))
        found: list[str] = cluster.joined(self.state, list(command))
        return found

    # -- objects ------------------------------------------------------------------------------------------------

    def apply(self, namespace: str, *manifests: Mapping[str, Any] | str) -> str:
        """kubectl apply, strictly."""
        text = "\n---\n".join(each if isinstance(each, str) else yaml.safe_dump(dict(each)) for each in manifests)
        return self.kubectl("apply", "-n", namespace, "--validate=strict", "-f", "-", text=text)

    def get(self, namespace: str, kind: str, name: str) -> dict[str, Any] | None:
        """The object; None where there is none."""
        found = self.kubectl("get", "-n", namespace, kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(found) if found.strip() else None

    def list(self, namespace: str, kind: str, selector: str = "") -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(
            self.kubectl("get", "-n", namespace, kind, "-l", selector, "-o", "json")
        )["items"]
        return found

    def patch(self, namespace: str, kind: str, name: str, changes: Mapping[str, Any], *arguments: str) -> None:
        self.kubectl("patch", "-n", namespace, kind, name, "--type", "merge", "-p", json.dumps(changes), *arguments)

    # -- waiting ------------------------------------------------------------------------------------------------

    def wait(self, namespace: str, what: str, condition: str, seconds: float = 90.0) -> None:
        """Until a condition holds for the generation that is there now. Fails with what there is to know."""
        kind, _, name = what.partition("/")

        def holds() -> bool:
            body = self.get(namespace, kind, name) or {}
            wanted = conditions_of(body).get(condition, {})
            generation = body.get("metadata", {}).get("generation")
            return wanted.get("status") == "True" and wanted.get("observedGeneration") == generation

        self.until(holds, seconds, namespace)

    def until(self, ask: Callable[[], T], seconds: float = 60.0, namespace: str | None = None) -> T:
        """The first true answer. Fails with what there is to know of a namespace."""
        return _until(ask, seconds, lambda: self.report(namespace) if namespace else "")

    def report(self, namespace: str) -> str:
        """What a person would look at first."""
        parts = [
            self.kubectl("get", "-n", namespace, "rkt,rkttopic,rktgroup,pods,sts,deploy,pvc", "-o", "wide"),
            self.kubectl("get", "-n", namespace, "rkt", "-o", "jsonpath={.items[*].status}"),
            self.kubectl("get", "-n", namespace, "events", "--sort-by=.metadata.creationTimestamp")[-3000:],
        ]
        for pod in self.list(namespace, "pods"):
            name = pod["metadata"]["name"]
            parts.append(f"--- {name}\n" + self._log(namespace, name)[-1500:])
        return "\n".join(parts)

    def _log(self, namespace: str, pod: str) -> str:
        try:
            return self.kubectl("logs", "-n", namespace, pod, "--tail=15")
        except CommandFailed as error:
            return str(error)


def conditions_of(body: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """An object's conditions by type."""
    return {each["type"]: each for each in body.get("status", {}).get("conditions", [])}


def _until(ask: Callable[[], T], seconds: float, explain: Callable[[], str]) -> T:
    deadline = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:g} s:\n{explain()}")
        time.sleep(0.25)

"""docs/runbooks.md: each alert has a section, and each command is one that its program understands.

Commands for kubectl are given to a real API server, with the operator's own objects and no node: pods wait for one, so
nothing can be logged or entered; everything else works, or the command is wrong.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import Any

import pytest
from typer.main import get_command

from rocket_cli.__main__ import app
from rocket_operator.objects import desired
from rocket_operator.objects.groups import Group, State
from rocket_operator.objects.metadata import Images
from rocket_testing.alerts import CHART, NAMESPACE, OPERATORS_NAMESPACE, RUNBOOKS, alerts, cluster
from rocket_testing.e2e.kubernetes import CommandFailed, Kubernetes

PAGE = RUNBOOKS.read_text()
LINES = [line.strip() for line in re.findall(r"^ {4,}(\S.*)$", PAGE, re.MULTILINE)]
#: What is set once, by the reader or by a command before.
SETTINGS = [line for line in LINES if re.match(r"export |inside\(\)|[A-Z]+=", line)]
KUBECTL = [line for line in LINES if "kubectl " in line and not line.startswith("inside()")]
INSIDE = [line for line in LINES if line.startswith("inside ")]
MQADMIN = [line for line in LINES if line.startswith("mqadmin ")]
#: Options with a value of Apache's commands (rocketmq-tools 5.x), those that must be there in capitals.
MQADMIN_OPTIONS = {
    "consumerProgress": "ng", "consumerConnection": "nG", "resetOffsetByTime": "nGTS", "deleteSubGroup": "ncbG",
    "deleteExpiredCommitLog": "ncb",
}  # fmt: skip
#: What is said of pods that wait for a node, and of a claim that a command before has deleted.
EXPECTED = re.compile(
    r"does not have a host assigned|address not allowed|"
    r'persistentvolumeclaims "store-orders-broker-\d-\d" not found'
)


def sections() -> dict[str, str]:
    return {title.strip(): text for title, _, text in (part.partition("\n") for part in PAGE.split("\n## ")[1:])}


def test_every_alert_has_a_section_and_every_section_an_alert() -> None:
    assert sections().keys() == {name.removeprefix("Rocket") for name in alerts()}
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook"] == f"docs/runbooks.md#{name.removeprefix('Rocket').lower()}"


def test_every_section_has_something_to_paste() -> None:
    assert [title for title, text in sections().items() if not re.search(r"^ {4,}(kubectl|inside)", text, re.M)] == []


def test_every_line_to_paste_is_of_a_known_sort() -> None:
    assert set(LINES) == {*SETTINGS, *KUBECTL, *INSIDE, *MQADMIN}


def test_links_lead_to_sections() -> None:
    known = {title.lower() for title in sections()}
    assert {link for link in re.findall(r"\]\(#(\w+)\)", PAGE) if link not in known} == set()


@pytest.mark.parametrize("line", sorted(set(INSIDE)))
def test_rocketctl_understands(line: str) -> None:
    _, program, *arguments = shlex.split(line)
    assert program == "rocketctl"
    command: Any = get_command(app)
    while hasattr(command, "resolve_command"):
        with command.make_context(command.name, [arguments[0]], ignore_unknown_options=True) as context:
            _, found, arguments = command.resolve_command(context, arguments)
        assert found is not None
        command = found
    command.make_context(command.name, arguments)


@pytest.mark.parametrize("line", sorted(set(MQADMIN)))
def test_mqadmin_understands(line: str) -> None:
    _, command, *arguments = shlex.split(line)
    options, values = arguments[::2], arguments[1::2]
    known = MQADMIN_OPTIONS[command]
    assert len(options) == len(values)
    assert {option.removeprefix("-") for option in options} <= set(known.lower())
    assert {f"-{letter.lower()}" for letter in known if letter.isupper()} <= set(options)


@pytest.fixture(scope="module")
def clusters(api_server: Kubernetes) -> Kubernetes:
    """The operator and the cluster orders with two groups, as objects; pods wait for a node."""
    for namespace in (NAMESPACE, OPERATORS_NAMESPACE):
        api_server.run("sh", "-c", f"kubectl create namespace {namespace} 2>/dev/null || true")
    text = api_server.helm("template", "rocketcluster", str(CHART), "--namespace", OPERATORS_NAMESPACE)
    api_server.kubectl("apply", "-n", OPERATORS_NAMESPACE, "-f", "-", text=text)
    api_server.kubectl("wait", "crd/rocketclusters.rocketcluster.dev", "--for=condition=Established", "--timeout=30s")
    orders = cluster(spec="{broker: {groups: 2}}")
    resource = {"apiVersion": "rocketcluster.dev/v1alpha1", "kind": "RocketCluster", "metadata": {"name": orders.name}}
    api_server.apply(NAMESPACE, {**resource, "spec": {"broker": {"groups": 2}}})
    objects = desired(orders, [Group(0, State.ACTIVE), Group(1, State.ACTIVE)], Images("broker:1", "namesrv:1", "1"))
    for each in objects:  # their owner's uid is not this one's
        del each["metadata"]["ownerReferences"]
    api_server.apply(NAMESPACE, *objects)
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "rocket-operator"}}
    api_server.apply(OPERATORS_NAMESPACE, lease)
    storage = {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass", "metadata": {"name": "standard"}}
    api_server.apply(NAMESPACE, {**storage, "provisioner": "example.invalid/none"})
    api_server.until(lambda: api_server.get(NAMESPACE, "pod", "orders-broker-1-1"), 30)
    return api_server


def volume(kubernetes: Kubernetes, name: str, claim: str) -> None:
    """A volume that a claim gets."""
    spec = {
        "capacity": {"storage": "10Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": f"/srv/{name}"},
        "claimRef": {"namespace": NAMESPACE, "name": claim}, "persistentVolumeReclaimPolicy": "Delete",
    }  # fmt: skip
    kind = {"apiVersion": "v1", "kind": "PersistentVolume", "metadata": {"name": name}}
    kubernetes.apply(NAMESPACE, {**kind, "spec": spec})


def run(kubernetes: Kubernetes, lines: list[str], **settings: str) -> None:
    """As if pasted, after the page's settings and these. Raises CommandFailed with the first line that fails."""
    first = [line for line in SETTINGS if line not in KUBECTL]
    changed = [f"{name}={value}" for name, value in settings.items()]
    said = kubernetes.run("bash", "-euc", "exec 2>&1\n" + "\n".join([*first, *changed, *lines]))
    if "unknown field" in said:  # kubectl patch only warns of it
        raise CommandFailed(said)


def lost_master() -> Iterator[str]:
    """The commands that give a master its slave's volume."""
    text = sections()["LostVolume"].partition("**A master's**")[2].partition("and there is no slave")[0]
    for line in re.findall(r"^ {4}(\S.*)$", text, re.MULTILINE):
        if not line.startswith("inside "):
            yield line


@pytest.mark.chart
@pytest.mark.timeout(300)
def test_kubectl_and_the_api_server_understand(clusters: Kubernetes) -> None:
    refused = ""
    for line in sorted(set(KUBECTL) - set(lost_master()), key=KUBECTL.index):
        try:
            run(clusters, [line.partition(" | ")[0]])  # grep finds nothing in an empty log
        except CommandFailed as error:
            said = str(error).rstrip()
            refused += "" if EXPECTED.search(said) else f"{line}\n    {said.splitlines()[-1]}\n"
    assert refused == ""


@pytest.mark.chart
@pytest.mark.timeout(180)
def test_a_master_whose_volume_is_lost_gets_its_slaves(clusters: Kubernetes) -> None:
    volume(clusters, "of-the-slave", "store-orders-broker-1-1")

    def owner() -> str | None:
        found = clusters.get(NAMESPACE, "pv", "of-the-slave") or {}
        is_bound = found.get("status", {}).get("phase") == "Bound"
        return str(found["spec"]["claimRef"]["name"]) if is_bound else None

    clusters.until(lambda: owner() == "store-orders-broker-1-1", 30)
    run(clusters, list(lost_master()), GROUP="1")
    clusters.until(lambda: owner() == "store-orders-broker-1-0", 30, NAMESPACE)
    claim, orders = clusters.get(NAMESPACE, "pvc", "store-orders-broker-1-0"), clusters.get(NAMESPACE, "rkt", "orders")
    assert claim is not None
    assert claim["spec"]["volumeName"] == "of-the-slave"
    assert orders is not None
    assert orders["spec"]["managementPolicy"] == "Managed"

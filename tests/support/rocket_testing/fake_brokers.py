"""Brokers and name servers for the operator's fast tests: what they say follows from the pods that run.

A broker starts with the settings of its group's ConfigMap, as a pod does, and keeps what it is told. Topics, consumer
groups and backlogs belong to a group; a test writes them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from rocket_operator.cluster.brokers import BrokerStep, Refused
from rocket_operator.cluster.needs import Needs
from rocket_operator.objects.broker import wanted_settings
from rocket_operator.rollout.steps import Configure, CopyMetadata, DeleteMetadata, HandOver, Unregister
from rocket_operator.rollout.view import Blocker, Broker, Pod, View
from rocket_testing.kubernetes.faults import Faults
from rocket_testing.kubernetes.store import Store
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig


@dataclass
class Data:
    """What one group holds."""

    topics: dict[str, TopicConfig] = field(default_factory=dict)
    consumer_groups: dict[str, SubscriptionGroupConfig] = field(default_factory=dict)
    backlog: tuple[Blocker, ...] = ()


class FakeBrokers:
    """Stands where `WireBrokers` does."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self.groups: defaultdict[int, Data] = defaultdict(Data)
        #: Bytes that slaves lack; None: their masters do not know them.
        self.behind: int | None = 0
        #: Pods whose broker does not answer, and keys that brokers refuse.
        self.silent: set[str] = set()
        self.refused: set[str] = set()
        #: Names of brokers that a name server still knows though they are gone.
        self.stale_routes: set[str] = set()
        self.told: list[str] = []
        #: Where brokers were asked.
        self.ports: set[int] = set()
        self._store = store
        self._faults = faults
        self._settings: dict[str, dict[str, str]] = {}

    async def observe(self, view: View, needs: Needs) -> Mapping[str, Broker]:
        found = {}
        for pod in view.observed.pods:
            if pod.group is not None and pod.ready and not pod.terminating and pod.name not in self.silent:
                self.ports.add(int(view.address(pod).rpartition(":")[2]))
                found[pod.name] = self._broker(view, pod, pod.group, needs)
        return found

    def _broker(self, view: View, pod: Pod, group: int, needs: Needs) -> Broker:
        data, asked = self.groups[group], needs.metadata and pod.is_master
        return Broker(
            dict(self._settings.setdefault(pod.uid, self._initial(view, pod, group))),
            behind=None if pod.is_master else self.behind,
            topics=dict(data.topics) if asked else None,
            consumer_groups=dict(data.consumer_groups) if asked else None,
            backlog=data.backlog if needs.backlog == group and pod.is_master else None,
        )

    def _initial(self, view: View, pod: Pod, group: int) -> dict[str, str]:
        config_map = self._store.get("ConfigMap", view.cluster.namespace, view.cluster.group(group))
        return wanted_settings(config_map or {}) | ({} if pod.is_master else {"brokerRole": "SLAVE"})

    async def routes(self, view: View) -> Mapping[str, frozenset[str]]:
        servers = [pod for pod in view.observed.pods if pod.group is None and pod.ready]
        names = {view.cluster.group(pod.group) for pod in view.observed.pods if pod.group is not None and pod.ready}
        return {server.name: frozenset(names | self.stale_routes) for server in servers}

    async def act(self, step: BrokerStep) -> None:
        if self._faults.is_cut:
            raise Refused("the operator is dead")
        self._act(step)
        self.told.append(step.why)
        self._faults.writes.append(f"TELL {step.target}")

    def _act(self, step: BrokerStep) -> None:
        match step:
            case Configure():
                if refused := self.refused & step.settings.keys():
                    raise Refused(f"{step.pod} refuses {sorted(refused)}")
                pod = self._store.get("Pod", "default", step.pod)
                if pod is None:
                    raise Refused(f"{step.pod} is gone")
                self._settings[pod["metadata"]["uid"]] |= step.settings
            case CopyMetadata():
                data = self.groups[_group(step.pod)]
                data.topics |= {each.topic_name: each for each in step.topics}
                data.consumer_groups |= {each.group_name: each for each in step.consumer_groups}
            case DeleteMetadata():
                data = self.groups[_group(step.pod)]
                data.topics.pop(step.topic or "", None)
                data.consumer_groups.pop(step.consumer_group or "", None)
            case HandOver():
                raise Refused(f"{step.pod} has a fixed role")
            case Unregister():
                self.stale_routes.discard(step.broker_name)


def _group(pod: str) -> int:
    return int(pod.split("-")[-2])

"""RocketTopic and RocketConsumerGroup: from resources to what brokers shall have.

The API server has checked and completed them before anyone sees them (crds/).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rocket_operator.spec import Keep
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig

_PERMISSIONS = {"ReadWrite": 6, "ReadOnly": 4, "WriteOnly": 2}
_TYPES = {"Normal": "NORMAL", "FIFO": "FIFO", "Delay": "DELAY", "Transaction": "TRANSACTION"}


@dataclass(frozen=True)
class _Declared:
    """What RocketTopic and RocketConsumerGroup have in common: which resource, and what becomes of the rest of it."""

    resource: str
    cluster: str
    generation: int
    created: str
    policy: Keep


@dataclass(frozen=True)
class DeclaredTopic(_Declared):
    config: TopicConfig

    @property
    def name(self) -> str:
        return self.config.topic_name

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> DeclaredTopic:
        spec = body["spec"]
        kind = _TYPES[spec["type"]]
        config = TopicConfig(
            spec.get("topicName") or body["metadata"]["name"],
            spec["queues"]["read"],
            spec["queues"]["write"],
            _PERMISSIONS[spec["permission"]],
            attributes={} if kind == "NORMAL" else {"message.type": kind},
        )
        return cls(*_common(body), config)

    def is_met_by(self, config: TopicConfig | None) -> bool:
        """Whether a broker has the topic as it is declared; what is not declared may be as it is."""
        wanted = self.config
        return (
            config is not None
            and (config.read_queue_nums, config.write_queue_nums) == (wanted.read_queue_nums, wanted.write_queue_nums)
            and config.perm & 6 == wanted.perm
            and all(config.attributes.get(key) == value for key, value in wanted.attributes.items())
        )


@dataclass(frozen=True)
class DeclaredGroup(_Declared):
    config: SubscriptionGroupConfig

    @property
    def name(self) -> str:
        return self.config.group_name

    @classmethod
    def parse(cls, body: Mapping[str, Any]) -> DeclaredGroup:
        spec = body["spec"]
        config = SubscriptionGroupConfig(
            spec.get("groupName") or body["metadata"]["name"],
            consume_enable=spec["consume"] == "Enabled",
            consume_broadcast_enable=spec["broadcast"] == "Enabled",
            consume_message_orderly=spec["orderly"] == "Enabled",
            retry_queue_nums=spec["retries"]["queues"],
            retry_max_times=spec["retries"]["max"],
        )
        return cls(*_common(body), config)

    def is_met_by(self, config: SubscriptionGroupConfig | None) -> bool:
        return config is not None and self._declared(config) == self._declared(self.config)

    @staticmethod
    def _declared(config: SubscriptionGroupConfig) -> tuple[object, ...]:
        return (
            config.consume_enable, config.consume_broadcast_enable, config.consume_message_orderly,
            config.retry_queue_nums, config.retry_max_times,
        )  # fmt: skip


def _common(body: Mapping[str, Any]) -> tuple[str, str, int, str, Keep]:
    metadata, spec = body["metadata"], body["spec"]
    return (
        metadata["name"], spec["clusterRef"]["name"], metadata.get("generation", 0),
        metadata.get("creationTimestamp", ""), Keep(spec["deletionPolicy"]),
    )  # fmt: skip

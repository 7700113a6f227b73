"""The broker's topics: their queues and permissions, kept in topics.json (protocol sections 4.8, 6.1).

Changes are saved and told to the name servers by whoever owns this table (`on_change`); this file only decides what
the table holds. Names are checked as RocketMQ does (section 3.8).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

import msgspec

from rocket_broker.settings import BrokerSettings
from rocket_wire.bodies.topics import TopicConfig, TopicConfigSerializeWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError
from rocket_wire.topic_names import AUTO_CREATE_TOPIC, DLQ_PREFIX, RETRY_PREFIX, SCHEDULE_TOPIC

PERM_INHERIT: Final = 1
PERM_WRITE: Final = 2
PERM_READ: Final = 4

HALF_TOPIC: Final = "RMQ_SYS_TRANS_HALF_TOPIC"
#: Topics of the broker's own that no client may send to.
NOT_SENDABLE: Final = frozenset(
    {SCHEDULE_TOPIC, HALF_TOPIC, "RMQ_SYS_TRANS_OP_HALF_TOPIC", "TRANS_CHECK_MAX_TIME_TOPIC", "SELF_TEST_TOPIC",
     "OFFSET_MOVED_EVENT"}
)  # fmt: skip

#: The attribute that says of which kind a topic's queues are, and the kinds; the first is the default.
QUEUE_TYPE: Final = "queue.type"
PLAIN_QUEUES: Final = "SimpleCQ"
BATCH_QUEUES: Final = "BatchCQ"

#: What names of topics and of consumer groups are made of.
LEGAL_NAME: Final = re.compile(r"[%|a-zA-Z0-9_-]+")
_SYSTEM_PREFIX: Final = "rmq_sys_"
MAX_NAME: Final = 127
MAX_RETRY_NAME: Final = 255


class Topics:
    """Topic configurations by name. `on_change` is called with the changed ones after each change.

    `settings` gives the settings as they are at that moment.
    """

    def __init__(self, settings: Callable[[], BrokerSettings], levels: int, now_ms: Callable[[], int]) -> None:
        self.table: dict[str, TopicConfig] = {}
        self.version = DataVersion(timestamp=now_ms())
        #: The epoch in which this broker is the master; 0 where roles are fixed.
        self.epoch = 0
        self.system: set[str] = set()
        self.on_change: Callable[[list[TopicConfig]], None] = lambda changed: None
        self._settings = settings
        self._now_ms = now_ms
        self._add_built_in(levels)

    def get(self, topic: str) -> TopicConfig | None:
        return self.table.get(topic)

    def put(self, config: TopicConfig) -> bool:
        """Creates or replaces a topic; False where it was the same already (then no new version, section 3.3)."""
        if self.table.get(config.topic_name) == config:
            return False
        self.table[config.topic_name] = config
        self._changed([config])
        return True

    def delete(self, topic: str) -> bool:
        """Forgets a topic; False where there was none."""
        if self.table.pop(topic, None) is None:
            return False
        self._changed([])
        return True

    def create_on_send(self, topic: str, default_topic: str, queues: int) -> TopicConfig | None:
        """A topic made because somebody sends to it, in the image of `default_topic` (section 3.8); None if barred."""
        model = self.table.get(default_topic)
        if model is None or not model.perm & PERM_INHERIT:
            return None
        if default_topic == AUTO_CREATE_TOPIC and not self._settings().auto_create_topic_enable:
            return None
        count = max(1, min(queues, model.write_queue_nums))
        config = _config(topic, count, model.perm & ~PERM_INHERIT, model.topic_sys_flag)
        self.put(config)
        return config

    def ensure(self, topic: str, queues: int, perm: int = PERM_READ | PERM_WRITE, sys_flag: int = 0) -> TopicConfig:
        """The topic, made with these properties where it does not exist (retry and dead-letter topics)."""
        config = self.table.get(topic)
        if config is None:
            config = _config(topic, queues, perm, sys_flag)
            self.put(config)
        return config

    def ensure_all(self, wanted: Iterable[tuple[str, int]], perm: int) -> None:
        """`ensure` of each topic and its number of queues, as one change."""
        new = [_config(topic, queues, perm) for topic, queues in wanted if topic not in self.table]
        self.table.update((config.topic_name, config) for config in new)
        if new:
            self._changed(new)

    def learn(self, topic: str, queue_id: int, *, has_batches: bool = False) -> None:
        """A message of this queue came from the master: it must be readable, even if the master dies before it is
        asked for its topics again. Its answer replaces what was learnt."""
        config = self.table.get(topic)
        if config is None:
            config = _config(topic, queue_id + 1, PERM_READ | PERM_WRITE)
            self.put(msgspec.structs.replace(config, attributes={QUEUE_TYPE: BATCH_QUEUES} if has_batches else {}))
        elif queue_id >= config.read_queue_nums:
            self.put(msgspec.structs.replace(config, read_queue_nums=queue_id + 1))

    def replace_all(self, table: dict[str, TopicConfig], version: DataVersion) -> list[str]:
        """Takes over a master's table; returns the topics that are gone."""
        gone = [topic for topic in self.table if topic not in table]
        self.table = dict(table)
        self.version = version
        return gone

    def renew(self) -> None:
        """A new version of the same table: what name servers are told with it changes."""
        self._changed(list(self.table.values()))

    def has_batches(self, topic: str) -> bool:
        """Whether the topic's queues are to be of batches."""
        config = self.table.get(topic)
        return config is not None and is_batch(config)

    def is_system(self, topic: str) -> bool:
        return topic in self.system or topic.startswith(_SYSTEM_PREFIX)

    def encode(self) -> bytes:
        """topics.json."""
        return msgspec.json.encode(
            TopicConfigSerializeWrapper(topic_config_table=self.table, data_version=self.version)
        )

    def restore(self, saved: TopicConfigSerializeWrapper) -> None:
        """Puts a saved table under the built-in topics."""
        self.table = {**self.table, **saved.topic_config_table}
        self.version = saved.data_version

    def _changed(self, changed: list[TopicConfig]) -> None:
        self.version = self.version.next_version(self._now_ms(), self.epoch)
        self.on_change(changed)

    def _add_built_in(self, levels: int) -> None:
        for config in _built_in(self._settings(), levels):
            self.table[config.topic_name] = config
            self.system.add(config.topic_name)


def is_batch(config: TopicConfig) -> bool:
    """Whether the topic's queues are of batches: a batch that is sent there is one record (decision 0006)."""
    return config.attributes.get(QUEUE_TYPE) == BATCH_QUEUES


def with_batches(table: Mapping[str, TopicConfig]) -> frozenset[str]:
    """The topics of a table whose queues are of batches."""
    return frozenset(name for name, config in table.items() if is_batch(config))


def check_queue_type(before: TopicConfig | None, after: TopicConfig) -> None:
    """Raises RequestError for a kind of queues that does not exist, and where a topic would change its kind."""
    wanted = after.attributes.get(QUEUE_TYPE)
    if wanted not in (None, PLAIN_QUEUES, BATCH_QUEUES):
        remark = f"{QUEUE_TYPE} {wanted!r}: value is not in set: [{BATCH_QUEUES}, {PLAIN_QUEUES}]"
        raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
    if before is not None and before.attributes.get(QUEUE_TYPE) != wanted:
        remark = f"attempt to update an unchangeable attribute. key: {QUEUE_TYPE}"
        raise RequestError(ResponseCode.SYSTEM_ERROR, remark)


def check_name(topic: str) -> None:
    """Raises RequestError INVALID_PARAMETER where the name is blank, too long, or has illegal characters."""
    limit = MAX_RETRY_NAME if topic.startswith((RETRY_PREFIX, DLQ_PREFIX)) else MAX_NAME
    if not topic.strip():
        raise RequestError(ResponseCode.INVALID_PARAMETER, "The specified topic is blank.")
    if not LEGAL_NAME.fullmatch(topic):
        shown = topic if len(topic) <= 64 else topic[:64] + "..."
        raise RequestError(
            ResponseCode.INVALID_PARAMETER,
            f"The specified topic {shown!r} contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$",
        )
    if len(topic) > limit:
        raise RequestError(
            ResponseCode.INVALID_PARAMETER, f"The specified topic is longer than topic max length {limit}."
        )


def _config(topic: str, queues: int, perm: int, sys_flag: int = 0) -> TopicConfig:
    return TopicConfig(
        topic_name=topic, read_queue_nums=queues, write_queue_nums=queues, perm=perm, topic_sys_flag=sys_flag
    )


def _built_in(settings: BrokerSettings, levels: int) -> Iterable[TopicConfig]:
    """The topics that a broker has from its start (section 6.1)."""
    read_write = PERM_READ | PERM_WRITE
    if settings.auto_create_topic_enable:
        yield _config(AUTO_CREATE_TOPIC, settings.default_topic_queue_nums, read_write | PERM_INHERIT)
    if settings.trace_topic_enable:
        yield _config(settings.msg_trace_topic_name, 1, read_write)
    inherit = {True: read_write | PERM_INHERIT, False: PERM_INHERIT}
    yield _config(settings.broker_cluster_name, 16, inherit[settings.cluster_topic_enable])
    yield _config(settings.broker_name, 1, inherit[settings.broker_topic_enable])
    yield _config("SELF_TEST_TOPIC", 1, read_write)
    yield _config("OFFSET_MOVED_EVENT", 1, read_write)
    yield _config("BenchmarkTest", 1024, read_write)
    yield _config(SCHEDULE_TOPIC, levels, read_write)
    yield _config(f"{settings.broker_cluster_name}_REPLY_TOPIC", 1, read_write)
    yield _config(f"rmq_sys_SYNC_BROKER_MEMBER_{settings.broker_name}", 1, PERM_INHERIT)
    yield _config(HALF_TOPIC, 1, read_write)
    yield _config("RMQ_SYS_TRANS_OP_HALF_TOPIC", 1, read_write)

"""Consumer groups as the broker is configured for them, kept in subscriptionGroup.json (protocol section 4.8)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rocket_broker.settings import BrokerSettings
from rocket_broker.topics import LEGAL_NAME, MAX_RETRY_NAME
from rocket_wire.bodies.groups import SubscriptionGroupConfig, SubscriptionGroupWrapper
from rocket_wire.bodies.version import DataVersion
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError
from rocket_wire.topic_names import RETRY_PREFIX

#: Groups that every broker has from its start.
BUILT_IN: Final = (
    "TOOLS_CONSUMER", "FILTERSRV_CONSUMER", "SELF_TEST_C_GROUP", "CID_ONS-HTTP-PROXY", "CID_ONSAPI_PULL",
    "CID_ONSAPI_PERMISSION", "CID_ONSAPI_OWNER", "CID_RMQ_SYS_TRANS",
)  # fmt: skip
#: A group's retry topic must have a legal name, too.
MAX_NAME: Final = MAX_RETRY_NAME - len(RETRY_PREFIX)


class ConsumerGroups:
    """Group configurations by name. `on_change` is called after each change.

    `settings` gives the settings as they are at that moment.
    """

    def __init__(self, settings: Callable[[], BrokerSettings], now_ms: Callable[[], int]) -> None:
        self.table = _built_in()
        self.version = DataVersion(timestamp=now_ms())
        self.on_change: Callable[[], None] = lambda: None
        self._forbidden: dict[str, dict[str, int]] = {}
        self._settings = settings
        self._now_ms = now_ms

    def get(self, group: str) -> SubscriptionGroupConfig | None:
        """The group's configuration, made on demand where the settings allow; else None."""
        config = self.table.get(group)
        if config is None and self._settings().auto_create_subscription_group and is_legal(group):
            config = SubscriptionGroupConfig(group_name=group)
            self.put(config)
        return config

    def require(self, group: str) -> SubscriptionGroupConfig:
        """`get`, or RequestError SUBSCRIPTION_GROUP_NOT_EXIST."""
        config = self.get(group)
        if config is None:
            raise RequestError(
                ResponseCode.SUBSCRIPTION_GROUP_NOT_EXIST, f"subscription group [{group}] does not exist"
            )
        return config

    def put(self, config: SubscriptionGroupConfig) -> None:
        """Creates or replaces a group."""
        if self.table.get(config.group_name) == config:
            return
        self.table[config.group_name] = config
        self._changed()

    def delete(self, group: str) -> bool:
        """Forgets a group; False where there was none."""
        if self.table.pop(group, None) is None:
            return False
        self._changed()
        return True

    def wrapper(self) -> SubscriptionGroupWrapper:
        """The table as it is saved and as slaves fetch it."""
        return SubscriptionGroupWrapper(self.table, self._forbidden, self.version)

    def encode(self) -> bytes:
        """subscriptionGroup.json."""
        return self.wrapper().encode()

    def restore(self, saved: SubscriptionGroupWrapper) -> None:
        """Puts a saved or fetched table over the built-in groups."""
        self.table = {**_built_in(), **saved.subscription_group_table}
        self._forbidden = saved.forbidden_table
        self.version = saved.data_version

    def _changed(self) -> None:
        self.version = self.version.next_version(self._now_ms())
        self.on_change()


def is_legal(group: str) -> bool:
    """Whether a group may be made under this name: it becomes part of a topic's name, and that a folder's."""
    return len(group) <= MAX_NAME and LEGAL_NAME.fullmatch(group) is not None


def _built_in() -> dict[str, SubscriptionGroupConfig]:
    return {name: SubscriptionGroupConfig(group_name=name) for name in BUILT_IN}

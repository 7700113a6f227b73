"""Every key of namesrv.conf that means something here (protocol section 7.2)."""

from __future__ import annotations

import os
from typing import Annotated

import msgspec
from msgspec import Meta

from rocket_net.properties_file import Settings

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=1)]

ALWAYS_FIXED = frozenset({"configBlackList", "configStorePath", "kvConfigPath", "rocketmqHome"})
"""Keys that no request may change, whatever the black list says."""

READ_AT_START = frozenset({
    "listenPort", "bindAddress", "serverChannelMaxIdleTimeSeconds", "serverMaxConnections",
    "metricsPromExporterHost", "metricsPromExporterPort",
})  # fmt: skip
"""Keys that a request may not change because nothing would come of it."""


def _in_home(name: str) -> str:
    return os.path.join(os.path.expanduser("~"), "namesrv", name)


class NamesrvSettings(Settings, frozen=True):
    """A name server's settings. Port 0 takes a free one."""

    listen_port: Port = 9876
    bind_address: str = "0.0.0.0"
    #: A connection silent for so long is closed, and the brokers that registered over it are dropped.
    server_channel_max_idle_time_seconds: Count = 120
    server_max_connections: Count = 10_000

    kv_config_path: str = msgspec.field(default_factory=lambda: _in_home("kvConfig.json"))
    #: Where changes of the configuration are written: the file given with -c, if one is.
    config_store_path: str = msgspec.field(default_factory=lambda: _in_home("namesrv.properties"))
    config_black_list: str = "configBlackList;configStorePath;kvConfigPath"

    #: Milliseconds between two looks for brokers that fell silent.
    scan_not_active_broker_interval: Count = 5000
    delete_topic_with_broker_registration: bool = False
    support_acting_master: bool = False
    order_message_enable: bool = False
    return_order_topic_config_to_broker: bool = True
    enable_all_topic_list: bool = True
    enable_topic_list: bool = True
    need_wait_for_service: bool = False
    #: With needWaitForService no route is told for so long after the start, so that all brokers can register first.
    wait_seconds_for_service: Annotated[int, Meta(ge=0)] = 45
    #: Names of brokers, separated by `;`: /readyz waits for the master of each, though not longer than that. Ours.
    expected_brokers: str = ""

    metrics_prom_exporter_host: str = "0.0.0.0"
    metrics_prom_exporter_port: Port = 5557

    @property
    def expected_broker_names(self) -> tuple[str, ...]:
        return tuple(name.strip() for name in self.expected_brokers.split(";") if name.strip())

    @property
    def fixed_keys(self) -> frozenset[str]:
        """Keys that a running name server refuses to change."""
        return ALWAYS_FIXED | frozenset(self.config_black_list.split(";"))

"""Every setting of a broker, by RocketMQ's own key (protocol section 7.1): declared once, read once, frozen.

A field's name is the key in snake_case; keys that do not follow camelCase say their own name. A key that is not here
has no meaning in this broker: it is named in a warning at the start and shown by GET_BROKER_CONFIG all the same. One
that asks for what is not there, such as access control, stops the start.
"""

from __future__ import annotations

import ipaddress
import os
import socket
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Final, Literal

import msgspec
from msgspec import Meta, field

from rocket_net.properties_file import Settings

Port = Annotated[int, Meta(ge=0, le=65535)]
Count = Annotated[int, Meta(ge=0)]
Positive = Annotated[int, Meta(ge=1)]
Percent = Annotated[int, Meta(ge=1, le=100)]
#: The fast listener is two ports below, replication one above.
ListenPort = Annotated[int, Meta(ge=3, le=65534)]
Hours = Annotated[
    str,
    Meta(pattern=r"^ *([01]?[0-9]|2[0-3])( *; *([01]?[0-9]|2[0-3]))* *;? *$", description="hours such as 04 or 04;16"),
]
Delays = Annotated[
    str, Meta(pattern=r"^\s*[0-9]+[smhd](\s+[0-9]+[smhd])*\s*$", description="a list such as 1s 5s 1m 2h")
]


# Switches of what is not there: a broker that ignored one would not do what its file says, so it does not start.
NoFailover = Annotated[Literal["false"], Meta(description="false: there is no failover yet")]
NoAccessControl = Annotated[Literal["false"], Meta(description="false: there is no access control yet")]
NoMultiDispatch = Annotated[Literal["false"], Meta(description="false: a message goes into one queue")]
FilesOnly = Annotated[Literal["default"], Meta(description="default: messages are stored in files of their own")]


LeasePlace = Annotated[
    str, Meta(pattern=r"^(file:/.+|kubernetes)?$", description="file:/FOLDER, kubernetes, or nothing: a fixed role")
]


class BrokerRole(StrEnum):
    """What a member does in its group. SYNC_MASTER may wait for slaves before it acknowledges (section 5.2)."""

    ASYNC_MASTER = "ASYNC_MASTER"
    SYNC_MASTER = "SYNC_MASTER"
    SLAVE = "SLAVE"


class FlushDiskType(StrEnum):
    """When a send is acknowledged: with its bytes in the kernel, or on the disk."""

    ASYNC_FLUSH = "ASYNC_FLUSH"
    SYNC_FLUSH = "SYNC_FLUSH"


class BrokerSettings(Settings, frozen=True):
    """One broker's settings. Times are milliseconds unless the key says otherwise; sizes are bytes."""

    broker_cluster_name: str = "DefaultCluster"
    broker_name: str = field(default_factory=socket.gethostname)
    broker_id: Count = 0
    broker_role: BrokerRole = BrokerRole.ASYNC_MASTER
    namesrv_addr: str = ""
    #: Each host of namesrvAddr stands for all addresses that it has just now.
    fetch_name_srv_addr_by_dns_lookup: bool = False
    listen_port: ListenPort = 10911
    bind_address: str = "0.0.0.0"
    broker_ip1: str = field(default="", name="brokerIP1")
    broker_ip2: str = field(default="", name="brokerIP2")
    ha_listen_port: Port = 0
    ha_master_address: str = ""
    broker_permission: Annotated[int, Meta(ge=0, le=7)] = 6

    store_path_root_dir: str = ""
    store_path_commit_log: str = ""
    mapped_file_size_commit_log: Annotated[int, Meta(ge=1000)] = 1 << 30
    #: One entry at least.
    mapped_file_size_consume_queue: Annotated[int, Meta(ge=20)] = 6_000_000
    #: Apache's spelling. One entry at least.
    mapper_file_size_batch_consume_queue: Annotated[int, Meta(ge=46)] = 13_800_000
    message_index_enable: bool = True
    max_hash_slot_num: Positive = 5_000_000
    max_index_num: Annotated[int, Meta(ge=100)] = 20_000_000
    flush_disk_type: FlushDiskType = FlushDiskType.ASYNC_FLUSH
    flush_interval_commit_log: Positive = 500
    sync_flush_timeout: Positive = 5000
    file_reserved_time: Positive = 72
    delete_when: Hours = "04"
    disk_max_used_space_ratio: Percent = 75
    #: Apache's is true; ours keeps what was acknowledged (docs/decisions/0005).
    clean_file_forcibly_enable: bool = False
    disk_space_clean_forcibly_ratio: Percent = 85
    disk_space_warning_level_ratio: Percent = 90
    max_message_size: Positive = 4 * 1024 * 1024
    message_delay_level: Delays = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h"
    flush_delay_offset_interval: Positive = 10_000

    default_topic_queue_nums: Positive = 8
    auto_create_topic_enable: bool = True
    auto_create_subscription_group: bool = True
    cluster_topic_enable: bool = True
    broker_topic_enable: bool = True
    trace_topic_enable: bool = False
    msg_trace_topic_name: str = "RMQ_SYS_TRACE_TOPIC"
    trace_on: bool = True
    region_id: str = "DefaultRegion"

    max_transfer_count_on_message_in_memory: Positive = 32
    max_transfer_bytes_on_message_in_memory: Positive = 256 * 1024
    default_query_max_num: Positive = 32
    long_polling_enable: bool = True
    short_polling_time_mills: Positive = 1000
    slave_read_enable: bool = False
    notify_consumer_ids_changed_enable: bool = True
    flush_consumer_offset_interval: Positive = 5000
    channel_expired_timeout: Positive = 120_000
    server_channel_max_idle_time_seconds: Positive = 120
    reject_transaction_message: bool = False

    register_name_server_period: Positive = 30_000
    register_broker_timeout_mills: Positive = 24_000

    slave_timeout: Positive = 3000
    in_sync_replicas: Positive = 1
    ha_send_heartbeat_interval: Positive = 5000
    ha_housekeeping_interval: Positive = 20_000
    ha_transfer_batch_size: Positive = 32_768
    ha_max_gap_not_in_sync: Positive = 256 * 1024 * 1024
    ha_max_time_slave_not_catchup: Positive = 15_000
    min_in_sync_replicas: Positive = 1

    #: Ours: a lease says who is the group's master, in `file:/FOLDER`, or `kubernetes`: the Lease of the group's name.
    #: Then brokerId is the member's number in its group, and brokerRole what it is as the master.
    lease_store: LeasePlace = ""
    lease_duration: Positive = 15_000
    lease_renew_deadline: Positive = 10_000
    lease_retry_period: Positive = 2_000

    metrics_prom_exporter_port: Port = 5557
    metrics_prom_exporter_host: str = "0.0.0.0"

    enable_d_leger_commit_log: NoFailover = "false"
    enable_controller_mode: NoFailover = "false"
    enable_slave_acting_master: NoFailover = "false"
    acl_enable: NoAccessControl = "false"
    authentication_enabled: NoAccessControl = "false"
    authorization_enabled: NoAccessControl = "false"
    enable_lmq: NoMultiDispatch = "false"
    enable_multi_dispatch: NoMultiDispatch = "false"
    store_type: FilesOnly = "default"

    @property
    def is_master(self) -> bool:
        return self.broker_role is not BrokerRole.SLAVE

    @property
    def root(self) -> Path:
        return Path(self.store_path_root_dir).expanduser()

    @property
    def commit_log_folder(self) -> Path:
        return Path(self.store_path_commit_log).expanduser()

    @property
    def config_folder(self) -> Path:
        return self.root / "config"

    @property
    def address(self) -> str:
        """What clients dial: registered with the name servers and written into every record."""
        return f"{self.broker_ip1}:{self.listen_port}"

    @property
    def ha_address(self) -> str:
        return f"{self.broker_ip2}:{self.ha_listen_port}"

    @property
    def name_servers(self) -> tuple[str, ...]:
        return tuple(address.strip() for address in self.namesrv_addr.split(";") if address.strip())


#: The brokerId of every master.
MASTER_ID: Final = 0

#: Keys that UPDATE_BROKER_CONFIG may change while the broker runs; the rest need a restart.
LIVE_KEYS: Final = frozenset(
    {
        "brokerPermission", "autoCreateTopicEnable", "autoCreateSubscriptionGroup", "defaultTopicQueueNums",
        "maxMessageSize", "flushIntervalCommitLog", "flushDiskType", "syncFlushTimeout", "fileReservedTime",
        "deleteWhen", "diskMaxUsedSpaceRatio", "cleanFileForciblyEnable", "diskSpaceCleanForciblyRatio",
        "diskSpaceWarningLevelRatio", "maxTransferCountOnMessageInMemory", "maxTransferBytesOnMessageInMemory",
        "defaultQueryMaxNum", "longPollingEnable", "shortPollingTimeMills", "slaveReadEnable",
        "notifyConsumerIdsChangedEnable", "flushConsumerOffsetInterval", "traceOn", "rejectTransactionMessage",
        "slaveTimeout", "inSyncReplicas", "haMaxGapNotInSync", "namesrvAddr", "flushDelayOffsetInterval",
        "minInSyncReplicas",
    }
)  # fmt: skip

#: Keys that a request must never change (protocol section 3.4).
FORBIDDEN_KEYS: Final = frozenset({"configBlackList", "brokerConfigPath"})


def complete(settings: BrokerSettings, *, is_role_given: bool = False) -> BrokerSettings:
    """The settings with what follows from others filled in: role and id, addresses, folders.

    A master's id is 0 whatever the file says, as in Apache's; an id above 0 alone makes a slave. Raises ValueError.
    """
    role = settings.broker_role
    if settings.lease_store and role is BrokerRole.SLAVE:
        raise ValueError("brokerRole=SLAVE with leaseStore: say what this member is as the master; the lease says when")
    if settings.broker_id > 0 and not is_role_given and not settings.lease_store:
        role = BrokerRole.SLAVE
    if role is BrokerRole.SLAVE and settings.broker_id == 0:
        raise ValueError("brokerRole=SLAVE needs a brokerId above 0: 0 is the master")
    ip1 = numeric_address(settings.broker_ip1) or local_address()
    return msgspec.structs.replace(
        settings,
        broker_role=role,
        broker_id=settings.broker_id if role is BrokerRole.SLAVE or settings.lease_store else 0,
        broker_ip1=ip1,
        broker_ip2=numeric_address(settings.broker_ip2) or ip1,
        ha_listen_port=settings.ha_listen_port or settings.listen_port + 1,
        namesrv_addr=settings.namesrv_addr or os.environ.get("NAMESRV_ADDR", ""),
        store_path_root_dir=settings.store_path_root_dir or str(Path.home() / "store"),
        store_path_commit_log=settings.store_path_commit_log
        or str(Path(settings.store_path_root_dir or str(Path.home() / "store")) / "commitlog"),
    )


def delay_levels(text: str) -> tuple[int, ...]:
    """Milliseconds of each level of `messageDelayLevel`, such as "1s 5s 2h". Raises ValueError."""
    units = {"s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
    words = text.split()
    if not words or not all(word[:-1].isdecimal() and word[-1] in units for word in words):
        raise ValueError(f"messageDelayLevel: {text!r} is not a list such as '1s 5s 1m 2h'")
    return tuple(int(word[:-1]) * units[word[-1]] for word in words)


def delete_hours(text: str) -> tuple[int, ...]:
    """The hours of the day of `deleteWhen`, such as "04" or "04;16". Raises ValueError."""
    words = [word.strip() for word in text.split(";") if word.strip()]
    if not words or not all(word.isdecimal() and int(word) < 24 for word in words):
        raise ValueError(f"deleteWhen: {text!r} is not an hour of the day or a list such as '04;16'")
    return tuple(int(word) for word in words)


def numeric_address(host: str) -> str:
    """The address of a host name, since records hold numbers; an address, or nothing, as it is. Raises ValueError."""
    try:
        return host and str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return socket.gethostbyname(host)
    except (OSError, UnicodeError) as error:
        raise ValueError(f"brokerIP1, brokerIP2: {host!r} is neither an address nor a known host: {error}") from None


def local_address() -> str:
    """The address of this machine that leads out of it, or the loopback one. Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("10.255.255.255", 1))
            return str(probe.getsockname()[0])
        except OSError:
            return "127.0.0.1"

"""What stands in namesrv.conf and broker.properties: RocketMQ's own keys, from the spec and a member's place.

Ports, addresses and folders depend on where a member runs and are added by whoever lays it out.
"""

from __future__ import annotations

from collections.abc import Mapping

from rocket_operator.objects.members import Member, Role
from rocket_operator.spec import BrokerSpec, ClusterSpec, FlushMode, ReplicationMode

#: Keys that a running broker takes over by UPDATE_BROKER_CONFIG; any other change needs a restart.
LIVE_KEYS = frozenset(
    {
        "namesrvAddr", "flushDiskType", "autoCreateTopicEnable", "autoCreateSubscriptionGroup", "defaultTopicQueueNums",
        "maxMessageSize", "flushIntervalCommitLog", "syncFlushTimeout", "fileReservedTime", "deleteWhen",
        "diskMaxUsedSpaceRatio", "maxTransferCountOnMessageInMemory", "maxTransferBytesOnMessageInMemory",
        "defaultQueryMaxNum", "longPollingEnable", "shortPollingTimeMills", "slaveReadEnable",
        "notifyConsumerIdsChangedEnable", "flushConsumerOffsetInterval", "traceOn", "rejectTransactionMessage",
        "slaveTimeout", "haMaxGapNotInSync", "flushDelayOffsetInterval",
    }
)  # fmt: skip


def name_server_settings(spec: ClusterSpec) -> dict[str, str]:
    return dict(spec.name_server.config)


def broker_settings(spec: ClusterSpec, member: Member) -> dict[str, str]:
    """Keys of section 7.1 that say who a broker is and what its acknowledgement means."""
    settings = {
        "brokerClusterName": spec.cluster_name,
        "brokerName": member.broker_name,
        "brokerId": str(member.ordinal),
        "brokerRole": _role(spec.broker, member),
        "flushDiskType": "SYNC_FLUSH" if spec.broker.flush is FlushMode.SYNC else "ASYNC_FLUSH",
        "slaveReadEnable": "true",  # or consumers stand still while a master is away
    }
    if spec.broker.replication.mode is ReplicationMode.SYNC:
        settings["inSyncReplicas"] = "2"  # the master and one slave, as section 5.2 counts
    return {**settings, **spec.broker.config}


def text(settings: Mapping[str, str]) -> str:
    """The properties file. The schema keeps out of values what would need an escape in it."""
    head = "# Made from a RocketCluster: edit that one, this file is written anew at each start.\n"
    return head + "".join(f"{key}={value}\n" for key, value in settings.items())


def _role(spec: BrokerSpec, member: Member) -> str:
    if member.role is Role.SLAVE:
        return "SLAVE"
    return "SYNC_MASTER" if spec.replication.mode is ReplicationMode.SYNC else "ASYNC_MASTER"

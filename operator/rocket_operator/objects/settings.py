"""What stands in namesrv.conf and broker.properties: RocketMQ's own keys, from the spec and the place of who reads it.

Ports, addresses and folders depend on where a member runs and are added by whoever lays it out.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

from rocket_operator.objects.members import Member, Role
from rocket_operator.spec import BrokerSpec, ClusterSpec, Failover, FlushMode, ReplicationMode

#: Keys that a running broker takes over by UPDATE_BROKER_CONFIG, with the broker's own defaults (a test compares them);
#: any other change needs a restart. A key that leaves the spec goes back to its default.
LIVE_DEFAULTS: Mapping[str, str] = {
    "autoCreateSubscriptionGroup": "true",
    "autoCreateTopicEnable": "true",
    "cleanFileForciblyEnable": "false",
    "defaultQueryMaxNum": "32",
    "defaultTopicQueueNums": "8",
    "deleteWhen": "04",
    "diskMaxUsedSpaceRatio": "75",
    "diskSpaceCleanForciblyRatio": "85",
    "diskSpaceWarningLevelRatio": "90",
    "fileReservedTime": "72",
    "flushConsumerOffsetInterval": "5000",
    "flushDelayOffsetInterval": "10000",
    "flushDiskType": "ASYNC_FLUSH",
    "flushIntervalCommitLog": "500",
    "haMaxGapNotInSync": "268435456",
    "longPollingEnable": "true",
    "maxMessageSize": "4194304",
    "maxTransferBytesOnMessageInMemory": "262144",
    "maxTransferCountOnMessageInMemory": "32",
    "minInSyncReplicas": "1",
    "notifyConsumerIdsChangedEnable": "true",
    "rejectTransactionMessage": "false",
    "shortPollingTimeMills": "1000",
    "slaveReadEnable": "false",
    "slaveTimeout": "3000",
    "syncFlushTimeout": "5000",
    "traceOn": "true",
}

#: What a running broker takes over and the cluster itself decides.
LIVE_KEYS = frozenset(LIVE_DEFAULTS) | {"namesrvAddr", "brokerPermission"}


def name_server_settings(spec: ClusterSpec) -> dict[str, str]:
    return dict(spec.name_server.config)


def group_settings(spec: ClusterSpec, group: int) -> dict[str, str]:
    """Keys of section 7.1 that all members of a group share; the role is a master's."""
    broker = spec.broker
    settings = {
        "brokerClusterName": spec.cluster_name,
        "brokerName": Member(spec.name, group, 0).broker_name,
        "brokerRole": _master_role(broker),
        "flushDiskType": "SYNC_FLUSH" if broker.flush is FlushMode.SYNC else "ASYNC_FLUSH",
        "slaveReadEnable": "true",  # or consumers stand still while a master is away
    }
    if spec.failover.is_automatic:
        settings |= _lease_times(spec.failover) | _least(broker)
    elif broker.replication.mode is ReplicationMode.SYNC:
        settings["inSyncReplicas"] = "2"  # the master and one slave, as section 5.2 counts
    return {**settings, **broker.config, **broker.override(group).config}


def broker_settings(spec: ClusterSpec, member: Member) -> dict[str, str]:
    """The same for one member: who it is."""
    own = {"brokerId": str(member.ordinal)}
    if member.role is Role.SLAVE and not spec.failover.is_automatic:
        own["brokerRole"] = "SLAVE"
    return group_settings(spec, member.group or 0) | own


def _least(broker: BrokerSpec) -> dict[str, str]:
    """Nothing where one member is enough: brokers that run with the default need not be told."""
    least = broker.replication.min_in_sync_replicas
    return {"minInSyncReplicas": str(least)} if least > 1 else {}


def _lease_times(failover: Failover) -> dict[str, str]:
    return {
        "leaseDuration": str(1000 * failover.lease_duration_seconds),
        "leaseRenewDeadline": str(1000 * failover.renew_deadline_seconds),
        "leaseRetryPeriod": str(1000 * failover.retry_period_seconds),
    }


def restart_hash(settings: Mapping[str, str], live: frozenset[str] = LIVE_KEYS) -> str:
    """Changes when, and only when, something changed that a running process does not take over."""
    lines = sorted(f"{key}={value}\n" for key, value in settings.items() if key not in live)
    return hashlib.sha256("".join(lines).encode()).hexdigest()[:16]


def text(settings: Mapping[str, str]) -> str:
    """The properties file. The schema keeps out of values what would need an escape in it."""
    head = "# Made from a RocketCluster: edit that one, this file is written anew at each start.\n"
    return head + "".join(f"{key}={value}\n" for key, value in settings.items())


def parse(properties: str) -> dict[str, str]:
    """The settings that `text` wrote."""
    lines = (line for line in properties.splitlines() if "=" in line and not line.startswith("#"))
    return {key: value for key, _, value in (line.partition("=") for line in lines)}


def _master_role(spec: BrokerSpec) -> str:
    return "SYNC_MASTER" if spec.replication.mode is ReplicationMode.SYNC else "ASYNC_MASTER"

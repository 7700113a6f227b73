"""docs/settings.md, made from what knows the keys: the CRD describes them, the programs have their defaults.

python -m rocket_testing.settings_page > docs/settings.md
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from msgspec import inspect

from rocket_broker.settings import LIVE_KEYS, BrokerSettings
from rocket_namesrv.settings import READ_AT_START, NamesrvSettings
from rocket_net.properties_file import Settings
from rocket_operator import schema

HEAD = """\
# Settings

The keys of `broker.properties` and `namesrv.conf` that mean something here: RocketMQ's own, with its defaults. They
stand in the file that a program is given with `-c`, in `--set KEY=VALUE` of a broker, and in `broker.config` and
`nameServer.config` of a RocketCluster, as strings. *Live* keys can change while the program runs (`mqadmin
updateBrokerConfig`, `updateNamesrvConfig`, or an edit of the RocketCluster); others need a restart.

Keys with a * are set by a RocketCluster itself.

A program given a file names other keys in a warning and ignores them, as RocketMQ does. A RocketCluster refuses them;
only `kubectl patch` warns and leaves them out.
"""

#: What the keys mean that a RocketCluster sets itself.
OWN = {
    "brokerClusterName": "The cluster's name on the wire.",
    "brokerName": "The group's name; members of a group share it.",
    "brokerId": "0 is the master, above it are slaves.",
    "brokerRole": "ASYNC_MASTER, SYNC_MASTER or SLAVE; a brokerId above 0 alone makes a slave.",
    "namesrvAddr": "The name servers, host:port;host:port; else NAMESRV_ADDR of the environment.",
    "fetchNameSrvAddrByDnsLookup": "Whether a host of namesrvAddr stands for all its addresses.",
    "listenPort": "The port for clients; a broker's second listener is two below it.",
    "bindAddress": "The address to listen at.",
    "brokerIP1": "The address that clients are told; empty is the machine's own.",
    "brokerIP2": "The address that slaves are told; empty is brokerIP1.",
    "haListenPort": "The port for slaves; 0 is listenPort + 1.",
    "haMasterAddress": "A slave's master; empty is what the name servers say.",
    "brokerPermission": "6 reads and writes, 4 only reads.",
    "storePathRootDir": "The store's folder; empty is ~/store.",
    "storePathCommitLog": "The commit log's folder; empty is commitlog in the store's.",
    "flushDiskType": "ASYNC_FLUSH, or SYNC_FLUSH: a send is answered when it is on the disk.",
    "inSyncReplicas": "With SYNC_MASTER: how many members have a message before it is answered, the master included.",
    "minInSyncReplicas": "With leaseStore: sends are refused while fewer members, the master included, are in sync.",
    "haMaxTimeSlaveNotCatchup": "With leaseStore: milliseconds for which a slave may be behind and counts as in sync.",
    "leaseStore": "file:/FOLDER, or kubernetes: the Lease of the group's name; it says who is the group's master. "
    "Empty: brokerRole says it for good. "
    "With it brokerId is the member's number in its group, and brokerRole what it is as the master.",
    "leaseDuration": "Milliseconds for which others leave an unrenewed lease to its holder.",
    "leaseRenewDeadline": "Milliseconds for which a master acts without renewing its lease, or promises of its slaves.",
    "leaseRetryPeriod": "Milliseconds between two renewals, and two looks at the lease.",
    "metricsPromExporterPort": "The port for metrics and health; a default one that is in use gives way to a free one.",
    "metricsPromExporterHost": "The address for them.",
    "kvConfigPath": "The file of the key-value configuration; empty is in ~/namesrv.",
    "configStorePath": "The file that changes are written to; with -c that file.",
    "expectedBrokers": "Group names, a;b: /readyz waits for the master of each, 45 s at the most.",
}

FIXED = """\
## What is not there

These keys are read so that nobody relies on them in vain: a broker does not start with another value.
"""


def page() -> str:
    return "\n".join(_lines())


def _lines() -> Iterator[str]:
    yield HEAD
    yield "## broker.properties\n"
    yield from _table("broker", BrokerSettings, LIVE_KEYS)
    yield "\n## namesrv.conf\n"
    live = {field.encode_name for field in msgspec.structs.fields(NamesrvSettings)} - READ_AT_START
    yield from _table("nameServer", NamesrvSettings, live - {"kvConfigPath", "configStorePath", "configBlackList"})
    yield ""
    yield FIXED
    yield "| key | value |\n|---|---|"
    for key, meaning in fixed_keys(BrokerSettings).items():
        yield f"| `{key}` | {meaning} |"
    yield ""


def _table(block: str, settings: type[Settings], live: frozenset[str] | set[str]) -> Iterator[str]:
    yield "| key | default | live | what it says |\n|---|---|---|---|"
    described = config_fields(block)
    for field in msgspec.structs.fields(settings):
        if field.encode_name in described:
            text = " ".join(described[field.encode_name]["description"].split())
            text = f"{OWN[field.encode_name]} *" if text.startswith("The cluster sets") else text
            word = "yes" if field.encode_name in live else ""
            yield f"| `{field.encode_name}` | {_default(field)} | {word} | {text} |"


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.default is msgspec.NODEFAULT:
        return ""
    value = msgspec.to_builtins(field.default)
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"`{text}`" if text else ""


def config_fields(block: str) -> dict[str, Any]:
    """The schema of each key of `nameServer.config` or `broker.config`."""
    spec = schema.of("rocketclusters")["properties"]["spec"]["properties"]
    fields: dict[str, Any] = spec[block]["properties"]["config"]["properties"]
    return fields


def fixed_keys(settings: type[Settings]) -> dict[str, str]:
    """Keys that can have one value only, with that value and why: switches of what is not there."""
    kinds = {field.encode_name: inspect.type_info(field.type) for field in msgspec.structs.fields(settings)}
    return {
        key: str((kind.extra_json_schema or {})["description"])
        for key, kind in kinds.items()
        if isinstance(kind, inspect.Metadata) and isinstance(kind.type, inspect.LiteralType)
    }


if __name__ == "__main__":
    print(page(), end="")

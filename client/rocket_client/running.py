"""What a consumer tells operators about itself when a broker asks (GET_CONSUMER_RUNNING_INFO)."""

from __future__ import annotations

from math import isfinite
from typing import TYPE_CHECKING

from rocket_client.intake import Intake
from rocket_wire.bodies.connections import ConsumerRunningInfo, ProcessQueueInfo
from rocket_wire.codes import CURRENT_VERSION

if TYPE_CHECKING:
    from rocket_client.member import GroupMember


def running_info(member: GroupMember) -> ConsumerRunningInfo:
    """The state of a member and of each of its queues. Property names are those that Java's tools look for."""
    return ConsumerRunningInfo(
        properties={
            "PROP_CONSUME_TYPE": member.role.kind.value,
            "PROP_CONSUMEORDERLY": str(member.role.orderly).lower(),
            "PROP_NAMESERVER_ADDR": ";".join(member.instance.namesrv.addresses) + ";",
            "PROP_CLIENT_VERSION": f"V{CURRENT_VERSION}",
            "PROP_CONSUMER_START_TIMESTAMP": str(member.started_at),
            "PROP_THREADPOOL_CORE_SIZE": "0",
        },
        subscription_set=tuple(member.subscriptions.values()),
        mq_table={queue: _queue_state(intake) for queue, intake in member.assignment.intakes.items()},
    )


def _queue_state(intake: Intake) -> ProcessQueueInfo:
    window = intake.window
    return ProcessQueueInfo(
        commit_offset=intake.commit_offset,
        cached_msg_min_offset=window.commit_offset,
        cached_msg_max_offset=window.pulled_to,
        cached_msg_count=len(window),
        cached_msg_size_in_mib=window.bytes // (1024 * 1024),
        locked=isfinite(intake.locked_until),
        droped=intake.closed,
        last_pull_timestamp=intake.last_pull,
        last_consume_timestamp=intake.last_take,
    )

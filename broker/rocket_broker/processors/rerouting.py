"""Messages that are not stored where they were sent: retries that are spent, delayed and half messages (section 6)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from rocket_broker.state import Broker
from rocket_broker.topics import PERM_READ, PERM_WRITE
from rocket_wire import properties
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError
from rocket_wire.headers.send import SendMessage
from rocket_wire.topic_names import DLQ_PREFIX, RETRY_PREFIX, SCHEDULE_TOPIC

_TIMER: Final = ("TIMER_DELIVER_MS", "TIMER_DELAY_MS", "TIMER_DELAY_SEC")


@dataclass(slots=True)
class Target:
    """Where a message goes and the properties, as text, that it carries there."""

    topic: str
    queue_id: int
    properties: str = ""


def rerouted(broker: Broker, header: SendMessage, target: Target) -> Target:
    """Where this message is stored, and with which properties. Raises RequestError for kinds that are not offered."""
    settings = broker.config.settings
    pairs = properties.decode(target.properties.encode())
    if pairs.get("TRAN_MSG") == "true" and not (header.reconsume_times and "DELAY" in pairs):
        remark = f"the broker[{settings.broker_ip1}] sending transaction message is forbidden"
        raise RequestError(ResponseCode.NO_PERMISSION, remark)
    pairs.pop("POP_CK", None)
    if pairs.get("WAIT") == "true":
        del pairs["WAIT"]
    pairs.setdefault("UNIQ_KEY", broker.unique_keys.next(broker.now_ms()))
    pairs |= broker.stamp.pairs
    topic, queue_id = target.topic, target.queue_id
    if topic.startswith(RETRY_PREFIX) and _is_spent(broker, header):
        topic, queue_id = DLQ_PREFIX + topic.removeprefix(RETRY_PREFIX), 0
        broker.topics.ensure(topic, 1, PERM_READ | PERM_WRITE)
        pairs.pop("DELAY", None)
    return delayed(broker, Target(topic, queue_id), pairs)


def delayed(broker: Broker, target: Target, pairs: dict[str, str]) -> Target:
    """The target with these properties; a message with a delay level goes to the schedule topic first (section 6.2)."""
    level = _delay_level(broker, pairs)
    if level > 0:
        pairs["REAL_TOPIC"] = target.topic
        pairs["REAL_QID"] = str(target.queue_id)
        pairs["DELAY"] = str(level)
        return Target(SCHEDULE_TOPIC, level - 1, properties.encode(pairs).decode())
    if any(name in pairs for name in _TIMER):
        remark = "accurate timer message is not enabled, timerWheelEnable is false"
        raise RequestError(ResponseCode.SYSTEM_ERROR, remark)
    return Target(target.topic, target.queue_id, properties.encode(pairs).decode())


def _delay_level(broker: Broker, pairs: dict[str, str]) -> int:
    try:
        return min(int(pairs.get("DELAY", "0")), len(broker.delay_levels))
    except ValueError:
        remark = f"property DELAY is {pairs['DELAY']!r}: a delay level is a number"
        raise RequestError(ResponseCode.MESSAGE_ILLEGAL, remark) from None


def _is_spent(broker: Broker, header: SendMessage) -> bool:
    group = broker.groups.require(header.topic.removeprefix(RETRY_PREFIX))
    allowed = group.retry_max_times if header.max_reconsume_times is None else header.max_reconsume_times
    return (header.reconsume_times or 0) > allowed

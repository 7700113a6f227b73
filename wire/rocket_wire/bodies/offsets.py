"""Who has consumed how far, and who may consume: offset tables and queue locks (protocol sections 3.3, 3.5, 4.8)."""

from __future__ import annotations

from rocket_wire.bodies.body import Body, KeyedBody, MessageQueue, written, written_new
from rocket_wire.bodies.version import DataVersion
from rocket_wire.headers.numbers import Int, Long


class ConsumerOffsetSerializeWrapper(Body, frozen=True):
    """consumerOffset.json and GET_ALL_CONSUMER_OFFSET's answer: next offsets by queue id, by `topic@group`.

    {"dataVersion":{...},"offsetTable":{"topic@group":{0:12,1:7}}}
    """

    offset_table: dict[str, dict[Int, Long]] = written_new(dict)
    data_version: DataVersion | None = None

    def encode(self) -> bytes:
        """As Apache's broker writes it: queue ids are bare numbers."""
        return self.encode_unquoted()


class DelayOffsetSerializeWrapper(Body, frozen=True):
    """delayOffset.json and GET_ALL_DELAY_OFFSET's answer: next offsets by delay level.

    {"dataVersion":{...},"offsetTable":{1:10,2:0}}
    """

    offset_table: dict[Int, Long] = written_new(dict)
    data_version: DataVersion | None = None

    def encode(self) -> bytes:
        """As Apache's broker writes it: levels are bare numbers."""
        return self.encode_unquoted()


class LockBatchRequestBody(Body, frozen=True):
    """LOCK_BATCH_MQ: a member of a group wants these queues for itself. `only_this_broker` is of Apache's quorum."""

    consumer_group: str
    client_id: str
    only_this_broker: bool = written(False)
    mq_set: frozenset[MessageQueue] = written(frozenset())


class LockBatchResponseBody(Body, frozen=True):
    """The queues that the member now holds."""

    lock_ok_mq_set: frozenset[MessageQueue] = written(frozenset(), name="lockOKMQSet")


class UnlockBatchRequestBody(LockBatchRequestBody, frozen=True):
    """UNLOCK_BATCH_MQ: the member gives these queues back."""


class ResetOffsetBody(KeyedBody, frozen=True):
    """The offsets that a consumer shall take: RESET_CONSUMER_CLIENT_OFFSET, INVOKE_BROKER_TO_RESET_OFFSET's answer."""

    offset_table: dict[MessageQueue, Long] = written_new(dict)


class MessageQueueForC(Body, frozen=True):
    """A queue and the offset to take there."""

    topic: str
    broker_name: str
    queue_id: Int
    offset: Long


class ResetOffsetBodyForC(Body, frozen=True):
    """RESET_CONSUMER_CLIENT_OFFSET for C++ clients, which have no maps by object."""

    offset_table: tuple[MessageQueueForC, ...] = written(())


class GetConsumerStatusBody(KeyedBody, frozen=True):
    """The offsets that one consumer holds, or, from the broker, those of all members by client id."""

    message_queue_table: dict[MessageQueue, Long] = written_new(dict)
    consumer_table: dict[str, dict[MessageQueue, Long]] = written_new(dict)

"""LOCK_BATCH_MQ and UNLOCK_BATCH_MQ: one consumer per queue for those who consume in order (section 6.6)."""

from __future__ import annotations

from rocket_broker.queue_locks import Queue
from rocket_broker.state import Broker
from rocket_net.connection import Connection
from rocket_net.dispatch import Answer
from rocket_wire.bodies.offsets import LockBatchRequestBody, LockBatchResponseBody, UnlockBatchRequestBody
from rocket_wire.command import Command


def lock_batch_mq(broker: Broker, request: Command, _: Connection) -> Answer:
    """Locks what is free; the answer lists only what the client now holds."""
    broker.role.check_serve()
    body = LockBatchRequestBody.decode(request.body)
    asked = {Queue(queue.topic, queue.queue_id): queue for queue in body.mq_set}
    granted = broker.locks.lock(body.consumer_group, body.client_id, asked, broker.now())
    return request.reply(body=LockBatchResponseBody(frozenset(asked[queue] for queue in granted)).encode())


def unlock_batch_mq(broker: Broker, request: Command, _: Connection) -> Answer:
    """Gives queues back."""
    body = UnlockBatchRequestBody.decode(request.body)
    queues = [Queue(queue.topic, queue.queue_id) for queue in body.mq_set]
    broker.locks.unlock(body.consumer_group, body.client_id, queues)
    return request.reply()

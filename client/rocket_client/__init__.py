"""RocketMQ for Python: producers, push and pull consumers, administration; asyncio, with a synchronous face.

Example:

    from rocket_client import Message, Producer, PushConsumer

    async with Producer("localhost:9876", group="shop") as producer:
        await producer.send(Message("orders", "one coffee", tags="new"))

    async with PushConsumer("localhost:9876", group="billing") as consumer:
        await consumer.subscribe("orders", "new || changed")
        async for message in consumer:
            print(message.text)
            break

Everything that an application needs is in this module; what can go wrong is in the tree below `RocketError`.
"""

from rocket_client.admin import Admin, GroupProgress
from rocket_client.errors import (
    Attempt,
    BrokerError,
    ClientClosed,
    InvalidMessage,
    NoAnswer,
    NoBroker,
    NoNameServer,
    RocketError,
    SendFailed,
    TopicNotFound,
)
from rocket_client.member import FromWhere, Model
from rocket_client.message import Message, ReceivedMessage, SendResult, SendStatus, dead_letter_topic, retry_topic
from rocket_client.producer import Producer
from rocket_client.pull import PullConsumer
from rocket_client.push import PushConsumer, PushedMessage
from rocket_client.servers import Backlog, ServerAdmin, SlaveState
from rocket_client.settings import ConsumerSettings, ProducerSettings
from rocket_client.sync import SyncProducer
from rocket_wire.bodies.body import MessageQueue
from rocket_wire.bodies.groups import SubscriptionGroupConfig
from rocket_wire.bodies.topics import TopicConfig
from rocket_wire.compression import Compression

__all__ = [
    "Admin",
    "Attempt",
    "Backlog",
    "BrokerError",
    "ClientClosed",
    "Compression",
    "ConsumerSettings",
    "FromWhere",
    "GroupProgress",
    "InvalidMessage",
    "Message",
    "MessageQueue",
    "Model",
    "NoAnswer",
    "NoBroker",
    "NoNameServer",
    "Producer",
    "ProducerSettings",
    "PullConsumer",
    "PushConsumer",
    "PushedMessage",
    "ReceivedMessage",
    "RocketError",
    "SendFailed",
    "SendResult",
    "SendStatus",
    "ServerAdmin",
    "SlaveState",
    "SubscriptionGroupConfig",
    "SyncProducer",
    "TopicConfig",
    "TopicNotFound",
    "dead_letter_topic",
    "retry_topic",
]

"""What can go wrong, as an application sees it. Each text names the topic or broker, and what to do.

The tree:

    RocketError
        InvalidMessage      refused before anything was sent; also a ValueError
        ClientClosed        used before its start or after its stop
        NoNameServer        none of the name servers gave a usable answer
        TopicNotFound       the name servers know no such topic
        NoBroker            the topic is known, but nobody can serve it now
        NoAnswer            a broker did not answer: the request may have been carried out
        BrokerError         a broker refused: `code` and `remark` are its words
        SendFailed          a message was not acknowledged: `attempts` tells each try

Example:

    async with Producer("localhost:9876", group="shop") as producer:
        try:
            await producer.send(Message("orders", "one coffee"))
        except SendFailed as error:
            print("sending it again may repeat it" if error.maybe_stored else "it was certainly not stored")

"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rocket_wire.codes import ResponseCode


class RocketError(Exception):
    """Every error that this package raises on purpose."""


class InvalidMessage(RocketError, ValueError):
    """The message (or subscription, or setting) cannot be right; nothing was sent."""


class ClientClosed(RocketError):
    """The producer or consumer is not running: use it inside `async with`, or between `start` and `stop`."""


class NoNameServer(RocketError):
    """No name server gave a usable answer. The text has each one's failure."""


class TopicNotFound(RocketError):
    """The name servers know no such topic, and none may be created by sending to it."""

    def __init__(self, topic: str) -> None:
        super().__init__(
            f"topic {topic!r} does not exist: create it (Admin.create_topic), "
            "or check that a broker with autoCreateTopicEnable=true is registered with these name servers"
        )
        self.topic = topic


class NoBroker(RocketError):
    """The topic's route has no broker that could serve this request now."""


class NoAnswer(RocketError):
    """A broker gave no answer: not reachable, connection lost, or too slow.

    `maybe_done` is False where the request certainly never arrived.
    """

    def __init__(self, text: str, maybe_done: bool) -> None:
        super().__init__(text)
        self.maybe_done = maybe_done


class BrokerError(RocketError):
    """A broker (or name server) at `address` answered with an error `code` and its `remark`."""

    def __init__(self, code: int, remark: str, address: str, request: str) -> None:
        super().__init__(f"{address} refused {request}: {remark} ({code_text(code)})")
        self.code = code
        self.remark = remark
        self.address = address


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try to send: to which broker, and what came of it."""

    broker_name: str
    error: RocketError


class SendFailed(RocketError):
    """The message was not acknowledged. `maybe_stored` tells whether a broker may have stored it nevertheless."""

    def __init__(self, topic: str, attempts: Sequence[Attempt]) -> None:
        tries = "; ".join(f"{attempt.broker_name}: {attempt.error}" for attempt in attempts)
        super().__init__(f"message to topic {topic!r} was not acknowledged after {len(attempts)} tries: {tries}")
        self.topic = topic
        self.attempts = tuple(attempts)

    @property
    def maybe_stored(self) -> bool:
        """True where an answer is missing: the broker may have stored the message, and sending again repeats it."""
        return any(isinstance(attempt.error, NoAnswer) and attempt.error.maybe_done for attempt in self.attempts)


def code_text(code: int) -> str:
    """A response code for people: its name where it has one."""
    try:
        return f"{ResponseCode(code).name} {code}"
    except ValueError:
        return f"code {code}"

"""What must hold of what was sent and received. Pure: lists in, faults out.

A client's program only tells what it did, message by message. Whether that is right is decided here, in sentences: an
empty list of faults means that a scenario passed. A message is known by its key, which is unique in a run.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

#: Of each fault so many keys are named; a wholly silent broker should not fill the screen.
NAMED = 3

#: Seconds that the first delay levels mean (protocol section 6.2).
DELAY_SECONDS = {1: 1, 2: 5, 3: 10}

Faults = list[str]


@dataclass(frozen=True)
class Message:
    """What a producer is asked to send."""

    key: str
    body: str
    tag: str = ""
    delay_level: int = 0
    shard: str = ""

    def line(self) -> str:
        """As a line of a producer program's input."""
        return "\t".join((self.key, self.tag, str(self.delay_level or ""), self.shard, self.body))


@dataclass(frozen=True)
class Sent:
    """What a producer's program said of one message; a client that does not learn something leaves it None."""

    key: str
    status: str | None = None
    msg_id: str | None = None
    queue_id: int | None = None
    queue_offset: int | None = None

    @classmethod
    def parse(cls, event: Mapping[str, Any]) -> Sent:
        return cls(
            event["key"],
            event.get("status"),
            event.get("msgId"),
            event.get("queueId"),
            event.get("queueOffset"),
        )


@dataclass(frozen=True)
class Received:
    """What a consumer's program said of one delivery; `at` is milliseconds since 1970."""

    key: str
    body: str
    tag: str
    topic: str
    queue_id: int
    queue_offset: int
    msg_id: str
    reconsume_times: int
    at: int

    @classmethod
    def parse(cls, event: Mapping[str, Any]) -> Received:
        return cls(
            event.get("key", ""),
            event["body"],
            event.get("tag", ""),
            event["topic"],
            event["queueId"],
            event["queueOffset"],
            event["msgId"],
            event["reconsumeTimes"],
            event["at"],
        )


def all_accepted(asked: Sequence[Message], sent: Sequence[Sent], failed: Mapping[str, str]) -> Faults:
    """The producer was told SEND_OK of each message, once."""
    faults = [f"sending {key} failed: {error}" for key, error in list(failed.items())[:NAMED]]
    counts = Counter(answer.key for answer in sent)
    faults += _named("never answered", (m.key for m in asked if counts[m.key] == 0 and m.key not in failed))
    faults += _named("answered more than once", (key for key, count in counts.items() if count > 1))
    faults += [f"{a.key} answered with {a.status}" for a in sent if a.status is not None and a.status != "SEND_OK"][
        :NAMED
    ]
    return faults


def each_once(asked: Iterable[Message], received: Sequence[Received]) -> Faults:
    """Each message asked for came exactly once, as it was sent, and nothing else came."""
    expected = {message.key: message for message in asked}
    counts = Counter(delivery.key for delivery in received)
    faults = _named("never came", (key for key in expected if counts[key] == 0))
    faults += _named("came more than once", (key for key, count in counts.items() if count > 1))
    faults += _named("came unasked", (key for key in counts if key not in expected))
    return faults + same_contents(expected.values(), received)


def same_contents(asked: Iterable[Message], received: Iterable[Received]) -> Faults:
    """Body and tag arrive as they were sent."""
    expected = {message.key: message for message in asked}
    faults = []
    for delivery in received:
        message = expected.get(delivery.key)
        if message is None:
            continue
        if delivery.body != message.body:
            faults.append(f"{delivery.key} has another body: {_short(delivery.body)}, not {_short(message.body)}")
        if delivery.tag != message.tag:
            faults.append(f"{delivery.key} has the tag {delivery.tag!r}, not {message.tag!r}")
    return faults[:NAMED]


def same_position(sent: Iterable[Sent], received: Iterable[Received]) -> Faults:
    """A message is received from the queue and offset that its producer was told, under the same id."""
    deliveries = {delivery.key: delivery for delivery in received}
    faults = []
    for answer in sent:
        delivery = deliveries.get(answer.key)
        if delivery is None:
            continue
        told = (answer.queue_id, answer.queue_offset)
        found = (delivery.queue_id, delivery.queue_offset)
        if None not in told and told != found:
            faults.append(f"{answer.key} was acknowledged at queue, offset {told} but came from {found}")
        if answer.msg_id and answer.msg_id != delivery.msg_id:
            faults.append(f"{answer.key} was acknowledged as {answer.msg_id} but came as {delivery.msg_id}")
    return faults[:NAMED]


def in_order(asked: Iterable[Message], received: Sequence[Received]) -> Faults:
    """The messages of one shard arrive in the order in which they were sent."""
    shard_of = {message.key: message.shard for message in asked}
    wanted: dict[str, list[str]] = defaultdict(list)
    for key, shard in shard_of.items():
        wanted[shard].append(key)
    came: dict[str, list[str]] = defaultdict(list)
    for delivery in received:
        if delivery.key in shard_of:
            came[shard_of[delivery.key]].append(delivery.key)
    return [f"shard {shard} came as {', '.join(came[shard])}" for shard, keys in wanted.items() if came[shard] != keys][
        :NAMED
    ]


def shared(asked: Sequence[Message], consumers: Mapping[str, Sequence[Received]]) -> Faults:
    """Clustering: all consumers together get each message once, and each of them gets a part."""
    together = [delivery for deliveries in consumers.values() for delivery in deliveries]
    idle = [f"{name} got no message" for name, deliveries in consumers.items() if not deliveries]
    return each_once(asked, together) + idle


def each_to_all(asked: Sequence[Message], consumers: Mapping[str, Sequence[Received]]) -> Faults:
    """Broadcasting: every consumer gets each message once."""
    return [f"{name}: {fault}" for name, deliveries in consumers.items() for fault in each_once(asked, deliveries)]


def not_early(asked: Iterable[Message], asked_at: Mapping[str, float], received: Iterable[Received]) -> Faults:
    """A delayed message comes no earlier than its level says, counted from before it was sent (seconds)."""
    levels = {message.key: message.delay_level for message in asked}
    faults = []
    for delivery in received:
        delay_seconds = DELAY_SECONDS.get(levels.get(delivery.key, 0), 0)
        waited_seconds = delivery.at / 1000 - int(asked_at[delivery.key] * 1000) / 1000
        if waited_seconds < delay_seconds:
            faults.append(f"{delivery.key} came after {waited_seconds:.3f} s, not {delay_seconds} s")
    return faults[:NAMED]


def resumed(
    first: Sequence[Message],
    before: Sequence[Received],
    second: Sequence[Message],
    after: Sequence[Received],
) -> Faults:
    """A consumer that was stopped and started again gets what it had not got, and nothing twice."""
    return [f"before the restart: {fault}" for fault in each_once(first, before)] + [
        f"after the restart: {fault}" for fault in each_once(second, after)
    ]


def redelivered(asked: Sequence[Message], failing: set[str], received: Sequence[Received]) -> Faults:
    """What the consumer failed at comes once more, as the same message, counted up; the rest once."""
    smooth = [message for message in asked if message.key not in failing]
    faults = each_once(smooth, [d for d in received if d.key not in failing])
    faults += same_contents(asked, [d for d in received if d.key in failing])
    for key in sorted(failing):
        deliveries = [delivery for delivery in received if delivery.key == key]
        times = [delivery.reconsume_times for delivery in deliveries]
        if times != [0, 1]:
            faults.append(f"{key} came with reconsumeTimes {times}, not [0, 1]")
        if len({(delivery.msg_id, delivery.topic) for delivery in deliveries}) > 1:
            faults.append(f"{key} came back under another id or topic")
    return faults


def _named(what: str, keys: Iterable[str]) -> Faults:
    found = sorted(keys)
    if not found:
        return []
    more = f" and {len(found) - NAMED} more" if len(found) > NAMED else ""
    return [f"{len(found)} {what}: {', '.join(found[:NAMED])}{more}"]


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else f"{text[:37]}... ({len(text)} characters)")

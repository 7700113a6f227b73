"""What a consumer wants of a topic: tag expressions, and the question whether a message fits.

Pure. A broker filters by the tags' hash codes alone, so what it delivers is matched again here, by the tags
themselves (protocol sections 6.9, 13.8).
"""

from __future__ import annotations

from rocket_client.errors import InvalidMessage
from rocket_wire.bodies.heartbeat import SubscriptionData
from rocket_wire.hashing import tags_code

ALL = "*"


def subscription(topic: str, expression: str, version: int) -> SubscriptionData:
    """From `TagA || TagB`, or `*` for all. `version` is the time in milliseconds: the newest of a group's wins.

    Raises InvalidMessage where the expression has no tag.
    """
    text = expression.strip() or ALL
    if text == ALL:
        return SubscriptionData(topic=topic, sub_string=ALL, sub_version=version)
    tags = [tag for tag in (part.strip() for part in text.split("||")) if tag]
    if not tags:
        raise InvalidMessage(f"{expression!r} for topic {topic!r} names no tag: write 'TagA || TagB', or '*' for all")
    return SubscriptionData(
        topic=topic,
        sub_string=text,
        tags_set=frozenset(tags),
        code_set=frozenset(tags_code(tag) for tag in tags),
        sub_version=version,
    )


def fits(wanted: SubscriptionData, tags: str | None) -> bool:
    """Whether a message with these tags is wanted."""
    return not wanted.tags_set or tags in wanted.tags_set

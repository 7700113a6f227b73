"""Names of topics that brokers and clients give a meaning to (protocol section 6)."""

from __future__ import annotations

from typing import Final

#: Whoever may make topics by sending to them is given its route and its settings.
AUTO_CREATE_TOPIC: Final = "TBW102"
#: Delayed messages until their time has come, a queue for each level.
SCHEDULE_TOPIC: Final = "SCHEDULE_TOPIC_XXXX"
#: A group's messages that are to be delivered again, and those that are no more.
RETRY_PREFIX: Final = "%RETRY%"
DLQ_PREFIX: Final = "%DLQ%"

"""The small tables of a broker and the files that they are saved in (protocol section 4.8)."""

from __future__ import annotations

from rocket_broker.config import LiveConfig
from rocket_broker.delay import DelayOffsets
from rocket_broker.groups import ConsumerGroups
from rocket_broker.offsets import ConsumerOffsets
from rocket_broker.saved import Saver
from rocket_broker.topics import Topics


def savers(
    config: LiveConfig, topics: Topics, groups: ConsumerGroups, offsets: ConsumerOffsets, delays: DelayOffsets
) -> dict[str, Saver]:
    """Who saves each table, by its name here."""
    folder = config.settings.config_folder
    return {
        "topics": Saver(folder / "topics.json", topics.encode),
        "groups": Saver(folder / "subscriptionGroup.json", groups.encode),
        "offsets": Saver(folder / "consumerOffset.json", offsets.encode),
        "delays": Saver(folder / "delayOffset.json", delays.encode),
    }

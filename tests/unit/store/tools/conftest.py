"""A store with something of everything in it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

TOPICS = '{"topicConfigTable":{"T":{"topicName":"T"},"Other":{"topicName":"Other"}}}'


@pytest.fixture
def filled(stores: Any, message: Any) -> Path:
    """A store of three queues, stopped in order: several segments, queue files and index files."""
    store = stores.open()
    for number in range(120):
        properties = b"UNIQ_KEY\x01U%d\x02KEYS\x01a%d b%d\x02TAGS\x01Tag%d\x02" % (number, number, number, number % 3)
        store.put(message(number, topic="T", queue_id=number % 2, properties=properties))
        store.put(message(number, topic="Other", body=bytes(100)))
    config = stores.root / "config"
    config.mkdir()
    (config / "topics.json").write_text(TOPICS)
    (config / "topics.json.bak").write_text(TOPICS)
    store.close()
    return Path(stores.root)

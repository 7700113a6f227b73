"""The disk fails in a read: the client gets its words, and the log one line."""

from __future__ import annotations

import logging
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from rocket_broker.processors import pull, query
from rocket_broker.store.errors import StoreError
from rocket_net.dispatch import failure
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command

SAYS = "cannot read 100 bytes at position 7: Input/output error"


def broken(*_: Any, **__: Any) -> None:
    raise StoreError(SAYS)


#: Answers for whatever else a read asks for.
ANY: Any = SimpleNamespace(
    settings=SimpleNamespace(
        max_transfer_bytes_on_message_in_memory=1, max_transfer_count_on_message_in_memory=1, default_query_max_num=1
    ),
    topic="T", key="K", queue_id=0, queue_offset=0, max_msg_nums=1, max_msg_bytes=1, offset=7, max_num=1,
    begin_timestamp=0, end_timestamp=1, fields=dict,
)  # fmt: skip
BROKER: Any = SimpleNamespace(config=ANY, store=SimpleNamespace(get=broken, query=broken, look_up=broken))


@pytest.mark.parametrize(
    "read",
    [
        lambda: pull._read(BROKER, SimpleNamespace(header=ANY, tags=None)),  # type: ignore[arg-type]  # a stand-in
        lambda: query.query_message(BROKER, ANY, ANY, ANY),
        lambda: query.view_message_by_id(BROKER, ANY, ANY, ANY),
    ],
    ids=["pull", "query by key", "query by id"],
)
def test_a_read_that_the_disk_refuses_is_answered_and_told_in_one_line(
    read: Callable[[], object], caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(StoreError) as raised:
        read()
    with caplog.at_level(logging.ERROR):
        answer = failure(Command(RequestCode.PULL_MESSAGE), raised.value, "10.0.0.1:5")
    assert (answer.code, answer.remark) == (1, SAYS)
    line = f"request PULL_MESSAGE from 10.0.0.1:5 failed: {SAYS}"
    assert [(found.getMessage(), found.exc_info) for found in caplog.records] == [(line, None)]

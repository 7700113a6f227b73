"""Addresses, client ids, settings: what is refused where it is written."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from rocket_client import Attempt, BrokerError, ConsumerSettings, InvalidMessage, NoAnswer, ProducerSettings, SendFailed
from rocket_client.addresses import new_client_id, new_unique_keys
from rocket_client.nameservers import parse_addresses


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:9876", ("localhost:9876",)),
        ("a:1;b:2", ("a:1", "b:2")),
        (" a:1 ; b:2 ;", ("a:1", "b:2")),
        ("a:1,b:2", ("a:1", "b:2")),
        ("a:1;a:1", ("a:1",)),
        ("[::1]:9876", ("[::1]:9876",)),
    ],
)
def test_name_server_lists(text: str, expected: tuple[str, ...]) -> None:
    assert parse_addresses(text) == expected


@pytest.mark.parametrize("text", ["", ";", "localhost", "localhost:", "localhost:port", "localhost:70000", ":9876"])
def test_a_list_that_names_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidMessage, match="host:port"):
        parse_addresses(text)


def test_client_ids_are_javas_in_shape_and_differ() -> None:
    ids = {new_client_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"\d+\.\d+\.\d+\.\d+@\d+#\d+#\d+", each) for each in ids)


def test_message_ids_differ_among_producers_and_messages() -> None:
    makers = [new_unique_keys() for _ in range(10)]
    assert len({maker.next(1_700_000_000_000) for maker in makers for _ in range(100)}) == 1000


@pytest.mark.parametrize(
    "make",
    [
        lambda: ProducerSettings(retries=-1),
        lambda: ProducerSettings(max_message_bytes=0),
        lambda: ConsumerSettings(pull_batch=0),
        lambda: ConsumerSettings(pull_batch=1025),
        lambda: ConsumerSettings(commit_seconds=0),
    ],
)
def test_a_setting_out_of_range_is_refused_with_what_is_allowed(make: Callable[[], object]) -> None:
    with pytest.raises(InvalidMessage, match="expected"):
        make()


def test_a_failed_send_tells_each_try_and_whether_it_may_be_stored() -> None:
    refused = BrokerError(2, "busy", "10.0.0.1:10911", "SEND_MESSAGE_V2")
    unreachable = NoAnswer("10.0.0.2:10911: refused", maybe_done=False)
    error = SendFailed("T", [Attempt("a", refused), Attempt("b", unreachable)])
    assert not error.maybe_stored
    assert "after 2 tries: a: 10.0.0.1:10911 refused SEND_MESSAGE_V2: busy (SYSTEM_BUSY 2); b: 10.0.0.2" in str(error)
    assert SendFailed("T", [Attempt("a", NoAnswer("too slow", maybe_done=True))]).maybe_stored

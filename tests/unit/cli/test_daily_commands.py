"""send, consume, topic and status: what they print."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console
from rich.table import Table

from rocket_cli.messages import json_line, text_line
from rocket_cli.status import BrokerStatus, NameServerStatus, name_server_table, status_table
from rocket_cli.topics import is_internal, stats_table
from rocket_client import MessageQueue, ReceivedMessage
from rocket_wire.bodies.stats import TopicOffset


def received(body: bytes, **properties: str) -> ReceivedMessage:
    return ReceivedMessage(
        topic="T", body=body, queue=MessageQueue("T", "broker-a", 3), queue_offset=17, message_id="ID",
        offset_message_id="OID", properties=properties, reconsume_times=0, born_timestamp=0, born_host="h:1",
        store_timestamp=1_700_000_000_123, store_host="h:2", flag=0, position=0, stored_bytes=100, is_intact=True,
    )  # fmt: skip


def shown(table: Table) -> str:
    console = Console(file=io.StringIO(), width=160)
    console.print(table)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_a_line_has_the_time_the_place_the_tag_and_the_text() -> None:
    assert text_line(received(b"hello", TAGS="TagA"))[8:] == ".123 broker-a/3@17 [TagA] hello"
    assert text_line(received(b"\xff hello")).endswith(r"broker-a/3@17 \xff hello")


def test_a_json_line_is_one_object() -> None:
    found = json.loads(json_line(received("zwölf\n".encode(), KEYS="k")))
    assert found["body"] == "zwölf\n"
    assert found["properties"] == {"KEYS": "k"}
    assert (found["broker"], found["queue"], found["offset"]) == ("broker-a", 3, 17)


@pytest.mark.parametrize("topic", ["%RETRY%g", "%DLQ%g", "TBW102", "RMQ_SYS_TRANS_HALF_TOPIC", "SCHEDULE_TOPIC_XXXX"])
def test_system_topics_are_not_a_persons(topic: str) -> None:
    assert is_internal(topic)
    assert not is_internal("orders")


def test_topic_stats_count_the_messages() -> None:
    queues = {MessageQueue("T", "broker-a", queue): TopicOffset(10, 10 + 5 * queue, 0) for queue in range(3)}
    table = stats_table(queues)
    assert list(table.columns[4].cells) == ["0", "5", "10"]
    assert table.columns[4].footer == "15"
    assert set(table.columns[5].cells) == {"never"}


def test_a_broker_that_does_not_answer_is_listed_with_the_reason() -> None:
    figures = {
        "brokerVersionDesc": "V5",
        "putTps": "1.25 1 1",
        "msgPutTotalTodayNow": "12",
        "msgPutTotalTodayMorning": "2",
    }
    text = shown(
        status_table(
            [
                BrokerStatus("C", "broker-a", 0, "h:1", figures),
                BrokerStatus("C", "broker-a", 1, "h:2", None, "no [bold] answer"),
            ]
        )
    )
    master, slave = (line for line in text.splitlines() if "broker-a" in line)
    assert "master" in master
    assert "1.2" in master
    assert " 10 " in master
    assert "no [bold] answer" in slave


def test_each_name_server_says_for_itself_what_it_knows() -> None:
    text = shown(name_server_table([NameServerStatus("h:1", 4, 12), NameServerStatus("h:2", problem="h:2 is down")]))
    assert [line.split() for line in text.splitlines() if "h:" in line] == [
        ["h:1", "4", "12"],
        ["h:2", "h:2", "is", "down"],
    ]

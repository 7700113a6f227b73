"""The program mqbroker: how it starts, why it does not, how it stops, and what a kill leaves behind."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from rocket_testing.broker_talk import BrokerTalk, Dial
from rocket_testing.cluster import Broker, Cluster, OurServers, console_script
from rocket_testing.ports import free_broker_port, free_port
from rocket_testing.process import ServerFailed
from rocket_testing.waiting import eventually
from rocket_wire import message_id, record
from rocket_wire.codes import RequestCode
from rocket_wire.headers.offsets import GetMaxOffset
from rocket_wire.headers.pull import QueryMessage, ViewMessageById

DEADLINE = 30.0


def run(*arguments: str, home: Path) -> subprocess.CompletedProcess[str]:
    """The program, until it ends."""
    return subprocess.run(
        [console_script("mqbroker"), *arguments],
        capture_output=True, text=True, timeout=DEADLINE, check=False, env={**os.environ, "HOME": str(home)},
    )  # fmt: skip


def why_not(broker: Broker) -> str:
    """The last line of a broker that does not start; nothing before it may be a traceback."""
    with pytest.raises(ServerFailed, match="ended with status 1 instead"):
        broker.start()
    assert "Traceback" not in broker.run_log()
    return broker.run_log().splitlines()[-1]


def broker_in(folder: Path, **properties: str) -> Broker:
    return OurServers().broker(folder, "", **properties)


# -- start and stop ----------------------------------------------------------------------------------------------------


def test_a_broker_says_in_rocketmqs_words_that_it_is_up(cluster: Cluster) -> None:
    namesrv = cluster.add_namesrv()
    broker = cluster.add_broker()
    banner = (
        f"The broker[broker-a, 127.0.0.1:{broker.port}] boot success. serializeType=JSON "
        f"and name server is {namesrv.address}"
    )
    assert banner in broker.run_log().splitlines()
    broker.stop()
    assert broker.process is not None
    assert broker.process.returncode == 0
    assert broker.run_log().splitlines()[-1] == "The broker stopped"


def test_all_settings_are_printed_with_p_and_the_important_ones_with_m(tmp_path: Path) -> None:
    file = tmp_path / "broker.properties"
    file.write_text("\ufeffbrokerName=broker-x  // 名字\nstorePathRootDir=/nowhere\ncolour=red\n")
    everything = run("-c", str(file), "-p", home=tmp_path)
    assert everything.returncode == 0
    assert {"brokerName=broker-x", "colour=red", "maxMessageSize=4194304"} <= set(everything.stdout.splitlines())
    assert "colour" in everything.stderr
    important = run("-c", str(file), "-m", "-n", "host:1", home=tmp_path)
    assert {"brokerName=broker-x", "namesrvAddr=host:1"} <= set(important.stdout.splitlines())
    assert "maxMessageSize" not in important.stdout


def test_a_malformed_file_stops_the_start_with_a_line_a_problem(tmp_path: Path) -> None:
    file = tmp_path / "broker.properties"
    file.write_text("brokerName=a\nbrokerId=zero\nlistenPort=-5\n")
    ended = run("-c", str(file), home=tmp_path)
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert f"{file}:2: brokerId = 'zero': expected a whole number of at least 0" in ended.stderr
    assert f"{file}:3: listenPort = '-5': expected" in ended.stderr


def test_a_file_that_is_absent_is_named(tmp_path: Path) -> None:
    ended = run("-c", str(tmp_path / "absent.properties"), home=tmp_path)
    assert ended.returncode == 1
    assert "absent.properties" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("offset", [0, -2, 1], ids=["clients", "vip", "replication"])
def test_a_port_in_use_is_named(tmp_path: Path, offset: int) -> None:
    port = free_broker_port()
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", port + offset))
        taken.listen()
        assert f"{port + offset}" in why_not(broker_in(tmp_path, listenPort=str(port)))


def test_a_broker_that_could_not_start_leaves_its_folder_to_the_next(tmp_path: Path) -> None:
    with socket.socket() as taken:
        port = free_broker_port()
        taken.bind(("0.0.0.0", port))
        taken.listen()
        broker = broker_in(tmp_path, listenPort=str(port))
        why_not(broker)
    broker.start()
    broker.stop()


def test_two_brokers_do_not_share_a_folder(cluster: Cluster, tmp_path: Path) -> None:
    first = cluster.add_broker()
    second = broker_in(tmp_path, storePathRootDir=str(first.store), storePathCommitLog=str(first.store / "commitlog"))
    assert str(first.store) in why_not(second)
    assert first.is_running
    first.restart()


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    broker = broker_in(tmp_path, storePathRootDir=str(tmp_path / "file/store"))
    assert str(tmp_path / "file") in why_not(broker)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """In /proc not even root can."""
    assert "/proc/store" in why_not(broker_in(tmp_path, storePathRootDir="/proc/store"))


def test_a_damaged_table_without_a_backup_stops_the_start(cluster: Cluster) -> None:
    broker = cluster.add_broker()
    broker.stop()
    for name in ("topics.json", "topics.json.bak"):
        (broker.store / "config" / name).write_text("{")
    assert "topics.json" in why_not(broker)


def test_a_damaged_table_with_a_backup_does_not(cluster: Cluster) -> None:
    broker = cluster.add_broker()
    broker.stop()
    (broker.store / "config" / "topics.json").write_text("")
    broker.start()
    assert "topics.json is damaged" in broker.run_log()
    assert "TBW102" in json.loads((broker.store / "config" / "topics.json").read_bytes())["topicConfigTable"]


def test_a_metrics_port_that_was_chosen_and_is_taken_is_named(tmp_path: Path) -> None:
    port = free_port()
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", port))
        taken.listen()
        line = why_not(broker_in(tmp_path, metricsPromExporterPort=str(port)))
    assert str(port) in line
    assert "metricsPromExporterPort" in line


# -- a restart, a kill -------------------------------------------------------------------------------------------------


async def fill(talk: BrokerTalk, count: int, begin: int = 0) -> list[tuple[int, int, bytes]]:
    """Sends messages to the four queues of topic T; (queue, offset, body) of each that was acknowledged."""
    acknowledged = []
    for number in range(begin, begin + count):
        body = b"message %d" % number
        sent = await talk.send("T", body, queue_id=number % 4, TAGS=f"Tag{number % 3}", KEYS=f"k{number}")
        assert sent.code == 0
        acknowledged.append((sent.queue_id, sent.queue_offset, body))
    return acknowledged


async def content(talk: BrokerTalk) -> list[tuple[int, int, bytes]]:
    """(queue, offset, body) of every message of topic T."""
    found = []
    for queue_id in range(4):
        found += [(message.queue_id, message.queue_offset, message.body) for message in await talk.read("T", queue_id)]
    return found


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_every_acknowledged_message_outlives_the_process(cluster: Cluster, end: str, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, mappedFileSizeCommitLog="65536")
    talk = dial(broker.address)
    acknowledged = []
    for life in range(3):
        acknowledged += await fill(talk, 200, begin=200 * life)
        await asyncio.to_thread(broker.stop if end == "stop" else broker.kill)
        await asyncio.to_thread(broker.start)
        assert sorted(await content(talk)) == sorted(acknowledged)
    assert (await talk.pull("T", 0, 0, tags="Tag1")).code == 0
    assert len(list((broker.store / "commitlog").iterdir())) > 1


async def test_messages_under_way_at_a_kill_are_there_or_not_but_never_half(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    await talk.send("T", b"first")
    acknowledged: list[int] = []

    async def send_on(lane: int) -> None:
        number = 0
        while True:
            number += 1
            sent = await talk.send("T", b"%d" % (1000 * lane + number))
            acknowledged.append(sent.queue_offset)

    sending = [asyncio.ensure_future(send_on(lane)) for lane in range(8)]
    await eventually(lambda: len(acknowledged) > 200, DEADLINE)
    await asyncio.to_thread(broker.kill)
    await asyncio.gather(*sending, return_exceptions=True)
    await asyncio.to_thread(broker.start)
    messages = await talk.read("T")
    assert [message.queue_offset for message in messages] == list(range(len(messages)))
    assert max(acknowledged) < len(messages)
    assert (await talk.send("T")).queue_offset == len(messages)


async def test_ids_and_keys_find_their_messages_after_a_kill(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    sent = await talk.send("T", b"body", KEYS="k")
    await asyncio.to_thread(broker.kill)
    await asyncio.to_thread(broker.start)
    _, position = message_id.decode_offset_message_id(sent.msg_id)
    by_id = await talk.must(RequestCode.VIEW_MESSAGE_BY_ID, ViewMessageById(position))
    by_key = await talk.must(RequestCode.QUERY_MESSAGE, QueryMessage("T", "k", 32, 0, 2**62))
    assert by_id.body == by_key.body
    assert record.decode(by_id.body).body == b"body"


async def test_a_torn_tail_is_cut_and_offsets_go_on(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    for number in range(5):
        last = await talk.send("T", b"%d" % number)
    await asyncio.to_thread(broker.kill)
    _, position = message_id.decode_offset_message_id(last.msg_id)
    with (broker.store / "commitlog" / f"{0:020}").open("r+b") as log:
        log.seek(position + 90)
        log.write(bytes(1000))
    await asyncio.to_thread(broker.start)
    assert [message.body for message in await talk.read("T")] == [b"0", b"1", b"2", b"3"]
    assert (await talk.send("T", b"again")).queue_offset == 4
    assert (await talk.pull("T", 0, 4)).bodies == [b"again"]


async def test_a_new_topic_and_its_queues_outlive_a_kill_right_after_the_first_send(
    cluster: Cluster, dial: Dial
) -> None:
    broker = await asyncio.to_thread(cluster.add_broker)
    talk = dial(broker.address)
    for number in range(3):
        await talk.send(f"T{number}", b"only")
        await asyncio.to_thread(broker.kill)
        await asyncio.to_thread(broker.start)
        assert (await talk.pull(f"T{number}", 0, 0)).bodies == [b"only"]


async def test_a_synchronous_flush_is_on_the_disk_when_it_is_answered(cluster: Cluster, dial: Dial) -> None:
    broker = await asyncio.to_thread(cluster.add_broker, flushDiskType="SYNC_FLUSH")
    talk = dial(broker.address)
    sent = await asyncio.gather(*(talk.send("T", b"%d" % number) for number in range(100)))
    assert {answer.code for answer in sent} == {0}
    answer = await talk.must(RequestCode.GET_MAX_OFFSET, GetMaxOffset("T", 0))
    assert answer.fields()["offset"] == "100"
    table = json.loads((await talk.must(RequestCode.GET_BROKER_RUNTIME_INFO)).body)["table"]
    assert table["remainHowManyDataToFlush"] == "0 B"


def test_the_broker_runs_as_a_module_too(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "rocket_broker", "-h"], capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    assert ended.returncode == 0
    assert "--namesrvAddr" in ended.stdout

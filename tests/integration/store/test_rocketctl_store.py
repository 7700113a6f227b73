"""`rocketctl store` as a person runs it: its words and exit status; also beside a running broker."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from base64 import b64decode
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from rocket_testing import golden_store
from rocket_testing.broker_talk import BrokerTalk
from rocket_testing.cluster import Broker, Cluster, console_script

#: What is in the store of the fixture of that name.
LISTING = golden_store.listing("store-clean")


def rocketctl(*arguments: object, prefix: Sequence[str] = ()) -> subprocess.CompletedProcess[str]:
    command = [*prefix, console_script("rocketctl"), "store", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL)


def as_json(*arguments: object) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(rocketctl(*arguments, "--json").stdout)
    return answer


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """A store that a broker of Apache's wrote and stopped."""
    return golden_store.unpack("store-clean", tmp_path / "store")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    with Cluster(tmp_path) as cluster:
        cluster.add_namesrv()
        yield cluster.add_broker()


def test_inspect_shows_what_is_in_a_store(store: Path) -> None:
    done = rocketctl("inspect", store)
    assert (done.returncode, done.stderr) == (0, "")
    last = LISTING["records"][-1]
    end = last["commitLogOffset"] + last["size"]
    assert f"positions 0 to {end}, {end // 65536 + 1} segments of 64 KiB" in done.stdout
    assert "the last one stopped in order" in done.stdout
    summary = as_json("inspect", store)
    queues = {(queue["topic"], queue["queue"]): (queue["first"], queue["next"]) for queue in summary["queues"]}
    assert queues == {
        (topic, int(queue)): (0, len(entries))
        for topic, by_queue in LISTING["consumeQueues"].items()
        for queue, entries in by_queue.items()
    }
    assert [index["entries"] for index in summary["index"]] == [
        header["indexCount"] - 1 for header in LISTING["index"].values()
    ]
    assert {table["file"] for table in summary["tables"]} >= {"topics.json", "consumerOffset.json"}
    assert summary["log"]["firstStored"] < summary["log"]["lastStored"]


def test_verify_of_a_whole_store_has_status_0(store: Path) -> None:
    done = rocketctl("verify", store)
    assert (done.returncode, done.stderr) == (0, "")
    assert f"{len(LISTING['records'])} records" in done.stdout
    assert "verdict     whole" in done.stdout


def test_verify_of_a_damaged_store_has_status_1_and_says_what_is_wrong(store: Path) -> None:
    queue, entries = next(iter(LISTING["consumeQueues"]["PlainTopic"].items()))
    (store / "consumequeue" / "PlainTopic" / queue / f"{0:020d}").unlink()
    done = rocketctl("verify", store)
    assert done.returncode == 1
    assert f"damage      consume queues: records have no entry in their queue ({len(entries)})" in done.stdout
    assert "verdict     DAMAGED" in done.stdout
    assert as_json("verify", store)["verdict"] == "damaged"


def test_what_cannot_be_read_has_status_2_and_a_sentence(tmp_path: Path) -> None:
    for root, why in ((tmp_path / "nowhere", "there is no such directory"), (tmp_path, "is no store")):
        for command in ("inspect", "verify"):
            done = rocketctl(command, root)
            assert done.returncode == 2
            assert why in done.stderr
            assert "Traceback" not in done.stderr


def test_a_store_of_somebody_else_is_refused_in_words(store: Path) -> None:
    as_others = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"] if os.geteuid() == 0 else []
    (store / "commitlog").chmod(0o000)
    for command in ("inspect", "verify"):
        done = rocketctl(command, store, prefix=as_others)
        assert (done.returncode, done.stderr) == (2, f"rocketctl: {store}/commitlog: permission denied\n")


async def test_a_running_brokers_store_is_told_as_such(broker: Broker) -> None:
    talk = BrokerTalk(broker.address)
    for number in range(50):
        await talk.send("T", b"%d" % number)
    await talk.close()
    summary = as_json("inspect", broker.store)
    assert summary["state"] == "running"
    assert f"process {broker.pid}" in summary["holder"]
    done = rocketctl("verify", broker.store)
    assert done.returncode == 0, done.stdout
    assert "50 records" in done.stdout
    broker.kill()
    done = rocketctl("verify", broker.store)
    assert (done.returncode, as_json("verify", broker.store)["state"]) == (0, "not clean"), done.stdout
    broker.start()
    broker.stop()
    assert as_json("verify", broker.store)["verdict"] == "whole"
    with_lock = rocketctl("repair", broker.store)
    assert (with_lock.returncode, with_lock.stdout.strip()) == (0, "There is nothing to repair.")


def test_repair_of_a_running_brokers_store_is_refused(broker: Broker) -> None:
    done = rocketctl("repair", broker.store, "--yes")
    assert done.returncode == 2
    assert f"{broker.store} is in use by process {broker.pid}" in done.stderr


def test_dump_prints_messages_as_json_lines(store: Path) -> None:
    lines = [json.loads(line) for line in rocketctl("dump", store).stdout.splitlines()]
    listing = LISTING["records"]
    assert [line["messageId"] for line in lines] == [wanted["msgId"] for wanted in listing]
    assert [line["properties"] for line in lines] == [wanted["properties"] for wanted in listing]
    for line, wanted in zip(lines, listing, strict=True):
        assert line["body"].startswith(wanted["bodyStart"])
    (tagged,) = map(json.loads, rocketctl("dump", store, "--topic", "TagTopic", "--limit", 1).stdout.splitlines())
    coded = json.loads(rocketctl("dump", store, "--topic", "TagTopic", "--limit", 1, "--base64").stdout)
    assert b64decode(coded["bodyBase64"]).decode() == tagged["body"]


def test_dump_takes_offsets_of_a_queue_and_times(store: Path) -> None:
    fullest = max(LISTING["consumeQueues"]["FillTopic"].items(), key=lambda item: len(item[1]))[0]
    queue = ("--topic", "FillTopic", "--queue", fullest)
    done = rocketctl("dump", store, *queue, "--from", 3, "--to", 5)
    assert [json.loads(line)["offset"] for line in done.stdout.splitlines()] == [3, 4, 5]
    assert rocketctl("dump", store, "--from", "2200-01-01T00:00").stdout == ""
    assert len(rocketctl("dump", store, "--to", "2200-01-01T00:00").stdout.splitlines()) == len(LISTING["records"])
    assert rocketctl("dump", store, "--from", "3").returncode == 2, "an offset of no queue"


def test_repair_says_what_it_would_do_and_does_it_when_told(store: Path) -> None:
    table = store / "config" / "topics.json"
    shutil.copy(table, f"{table}.bak")
    table.write_text("{")
    queue = next(iter(LISTING["consumeQueues"]["PlainTopic"]))
    (store / "consumequeue" / "PlainTopic" / queue / f"{0:020d}").write_bytes(b"x" * 400)
    done = rocketctl("repair", store)
    assert done.returncode == 1
    assert f"to do       take the files of queue PlainTopic/{queue} away" in done.stdout
    assert "to do       take topics.json from its backup" in done.stdout
    assert table.read_text() == "{"
    done = rocketctl("repair", store, "--yes")
    assert (done.returncode, done.stderr) == (0, "")
    assert rocketctl("verify", store).returncode == 0

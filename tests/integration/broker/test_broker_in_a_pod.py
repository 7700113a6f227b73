"""What brokers need where the file of settings is shared and read-only, and name servers have a name, not addresses."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from rocket_broker import lookup
from rocket_broker.config import Source, read
from rocket_broker.lookup import Lookup
from rocket_broker.settings import BrokerRole, BrokerSettings
from rocket_net.properties_file import SettingsError
from rocket_testing.cluster import Cluster, OurServers, answers_ready
from rocket_testing.waiting import eventually


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "broker.properties"
    path.write_text("brokerName=group-0\nbrokerRole=SYNC_MASTER\nlistenPort=10911\nmaxMessageSize=1000\n")
    return path


def test_what_is_set_on_the_command_line_wins_over_the_file(file: Path) -> None:
    settings = read(Source(file, ("listenPort=11000", "brokerIP1=127.0.0.9"))).settings
    assert (settings.listen_port, settings.broker_ip1, settings.broker_name) == (11000, "127.0.0.9", "group-0")


@pytest.mark.parametrize(("number", "role"), [("0", BrokerRole.SYNC_MASTER), ("1", BrokerRole.SLAVE)])
def test_a_shared_file_says_what_the_master_is_and_a_number_above_0_makes_a_slave(
    file: Path, number: str, role: BrokerRole
) -> None:
    settings = read(Source(file, (f"brokerId={number}",))).settings
    assert (settings.broker_role, settings.broker_id) == (role, int(number))


def test_a_role_on_the_command_line_is_taken_at_its_word(file: Path) -> None:
    settings = read(Source(file, ("brokerId=3", "brokerRole=ASYNC_MASTER"))).settings
    assert (settings.broker_role, settings.broker_id) == (BrokerRole.ASYNC_MASTER, 0)


@pytest.mark.parametrize(
    ("word", "told"), [("listenPort", "--set: 'listenPort' is not KEY=VALUE"), ("listenPort=x", "listenPort = 'x'")]
)
def test_a_word_that_is_no_setting_stops_the_start(file: Path, word: str, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        read(Source(file, (word,)))


@pytest.mark.parametrize(("is_kept", "stays"), [(True, True), (False, False)])
def test_a_file_that_is_kept_is_not_written_by_requests(file: Path, is_kept: bool, stays: bool) -> None:
    before = file.read_text()
    live = read(Source(file, (), is_kept))
    live.update(b"maxMessageSize=2000")
    assert live.settings.max_message_size == 2000
    assert (file.read_text() == before) is stays


async def test_a_broker_registers_with_every_address_behind_one_name(cluster: Cluster) -> None:
    namesrv = cluster.add_namesrv()
    port = namesrv.address.rpartition(":")[2]
    broker = cluster.add_broker(namesrvAddr=f"localhost:{port}", fetchNameSrvAddrByDnsLookup="true")
    log = broker.run_log
    await eventually(lambda: f"registered with name server 127.0.0.1:{port}" in log())


async def test_a_name_server_that_appears_behind_the_name_is_told_and_one_that_vanishes_is_dropped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answers: list[Any] = [
        ("10.0.0.1:9876",),
        OSError("no such name"),
        ("10.0.0.1:9876", "10.0.0.2:9876"),
        ("10.0.0.2:9876",),
    ]

    async def resolve(name: str) -> tuple[str, ...]:
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, OSError):
            raise answer
        found: tuple[str, ...] = answer
        return found

    monkeypatch.setattr(lookup, "resolve", resolve)
    monkeypatch.setattr(lookup, "_PERIOD_SECONDS", 0.001)
    told: list[tuple[str, ...]] = []
    watch = Lookup(told.append)
    watch.start(BrokerSettings(namesrv_addr="names:9876", fetch_name_srv_addr_by_dns_lookup=True))
    await eventually(lambda: len(told) == 3)
    watch.stop()
    assert told == [("10.0.0.1:9876",), ("10.0.0.1:9876", "10.0.0.2:9876"), ("10.0.0.2:9876",)]


async def test_a_name_that_leads_nowhere_is_named_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    asked = 0

    async def resolve(name: str) -> tuple[str, ...]:
        nonlocal asked
        asked += 1
        raise socket.gaierror("unknown")

    monkeypatch.setattr(lookup, "resolve", resolve)
    monkeypatch.setattr(lookup, "_FIRST_PERIOD_SECONDS", 0.001)
    watch = Lookup(lambda _: None)
    watch.start(BrokerSettings(namesrv_addr="nowhere:9876", fetch_name_srv_addr_by_dns_lookup=True))
    await eventually(lambda: asked > 3)
    watch.stop()
    assert watch.unresolved == ["nowhere:9876"]
    assert len([record for record in caplog.records if "nowhere:9876 cannot be resolved" in record.message]) == 1


async def test_both_families_of_addresses_are_found() -> None:
    assert await lookup.resolve("127.0.0.1:9876") == ("127.0.0.1:9876",)
    assert await lookup.resolve("[::1]:9876") == ("[::1]:9876",)


async def test_a_log_of_objects_has_one_a_line(tmp_path: Path) -> None:
    broker = OurServers().broker(tmp_path, "")
    broker.argv += ["--log-format", "json"]
    broker.is_ready = lambda: answers_ready(broker.http_port)
    broker.start()
    broker.stop()
    lines = [json.loads(line) for line in broker.run_log().splitlines() if line.startswith("{")]
    assert {"time", "level", "logger", "message"} <= lines[0].keys()
    assert "stopping" in [line["message"] for line in lines]

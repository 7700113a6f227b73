"""A properties file of a broker as people paste it, the settings that come of it, and every complaint they may read."""

from __future__ import annotations

import logging
import socket
from pathlib import Path

import pytest

from rocket_broker import config
from rocket_broker.settings import (
    FORBIDDEN_KEYS,
    LIVE_KEYS,
    BrokerRole,
    BrokerSettings,
    FlushDiskType,
    delay_levels,
    delete_hours,
)
from rocket_net.properties_file import SettingsError

TUTORIAL = """\
#所属集群名字
brokerClusterName=rocketmq-cluster
#broker名字，注意此处不同的配置文件填写的不一样
brokerName=broker-a  
brokerId=0  // 0 is the master, >0 a slave
namesrvAddr=localhost:9876;localhost:9877  // 多个NameServer地址
defaultTopicQueueNums=4
autoCreateTopicEnable=true // not in production
listenPort=10911
deleteWhen=04
fileReservedTime=120
mapedFileSizeCommitLog=1073741824
storePathRootDir=/usr/local/rocketmq/store
maxMessageSize=65536
#- ASYNC_MASTER 异步复制Master
brokerRole=ASYNC_MASTER
flushDiskType=ASYNC_FLUSH
#checkTransactionMessageEnable=false
"""  # noqa: W291 - the blanks at a line's end are what people paste


def read(folder: Path, text: str | bytes, namesrv: str | None = None) -> BrokerSettings:
    path = folder / "broker.properties"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return config.read(config.Source(path), namesrv).settings


def complaint(folder: Path, text: str) -> str:
    with pytest.raises(SettingsError) as caught:
        read(folder, text)
    return str(caught.value)


def test_a_file_pasted_from_a_tutorial_is_read(tmp_path: Path) -> None:
    settings = read(tmp_path, TUTORIAL)
    assert settings.broker_cluster_name == "rocketmq-cluster"
    assert settings.broker_name == "broker-a"
    assert (settings.broker_id, settings.broker_role) == (0, BrokerRole.ASYNC_MASTER)
    assert settings.name_servers == ("localhost:9876", "localhost:9877")
    assert settings.auto_create_topic_enable
    assert settings.max_message_size == 65536
    assert settings.flush_disk_type is FlushDiskType.ASYNC_FLUSH
    assert settings.commit_log_folder == Path("/usr/local/rocketmq/store/commitlog")
    assert settings.config_folder == Path("/usr/local/rocketmq/store/config")


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("enableDLegerCommitLog=true", "enableDLegerCommitLog = 'true': expected false: there is no failover yet"),
        ("aclEnable=true", "aclEnable = 'true': expected false: there is no access control yet"),
        ("storeType=defaultRocksDB", "expected default: messages are stored in files of their own"),
    ],
)
def test_a_file_that_asks_for_what_is_not_there_stops_the_start(tmp_path: Path, line: str, sentence: str) -> None:
    assert sentence in complaint(tmp_path, f"brokerName=a\n{line}\n")


def test_a_switch_that_is_off_is_no_matter(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    read(tmp_path, "brokerName=a\nenableDLegerCommitLog=false\nstoreType=default\n")
    assert not caplog.records


def test_a_byte_order_mark_and_windows_line_ends_do_not_count(tmp_path: Path) -> None:
    pasted = b"\xef\xbb\xbf" + TUTORIAL.replace("\n", "\r\n").encode()
    assert read(tmp_path, pasted) == read(tmp_path, TUTORIAL)


def test_an_unknown_key_is_named_in_a_warning_and_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "broker.properties"
    path.write_text("brokerName=a\nmapedFileSizeCommitLog=1\n")
    with caplog.at_level(logging.WARNING):
        live = config.read(config.Source(path))
    [record] = caplog.records
    assert "broker.properties:2" in record.message
    assert "mapedFileSizeCommitLog" in record.message
    assert "did you mean mappedFileSizeCommitLog?" in record.message
    assert live.pairs()["mapedFileSizeCommitLog"] == "1"


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("brokerId=one", "brokerId = 'one': expected a whole number of at least 0"),
        ("brokerId=-1", "brokerId = '-1': expected a whole number of at least 0"),
        ("listenPort=109110", "listenPort = '109110': expected a whole number"),
        ("brokerRole=MASTER", "brokerRole = 'MASTER': expected one of ASYNC_MASTER, SYNC_MASTER, SLAVE"),
        ("flushDiskType=SYNC", "flushDiskType = 'SYNC': expected one of ASYNC_FLUSH, SYNC_FLUSH"),
        ("autoCreateTopicEnable=yes", "autoCreateTopicEnable = 'yes': expected true or false"),
        ("maxMessageSize=0", "maxMessageSize = '0': expected a whole number of at least 1"),
        ("diskMaxUsedSpaceRatio=101", "diskMaxUsedSpaceRatio = '101': expected a whole number from 1 to 100"),
        ("messageDelayLevel=1s soon", "messageDelayLevel = '1s soon': expected"),
        ("deleteWhen=25", "deleteWhen = '25': expected hours such as 04 or 04;16"),
        ("deleteWhen=at four", "deleteWhen = 'at four': expected"),
        ("messageDelayLevel=", "messageDelayLevel = '': expected"),
    ],
)
def test_a_malformed_value_is_refused_with_file_line_and_what_was_expected(
    tmp_path: Path, line: str, expected: str
) -> None:
    text = complaint(tmp_path, f"# a comment\nbrokerName=a\n{line}\n")
    assert text.startswith(f"{tmp_path / 'broker.properties'}:3: {expected}")


def test_all_malformed_values_are_named_at_once(tmp_path: Path) -> None:
    text = complaint(tmp_path, "brokerId=x\nlistenPort=y\nbrokerRole=z\n")
    assert [line.split(": ")[1].split(" ")[0] for line in text.splitlines()] == ["brokerId", "listenPort", "brokerRole"]


def test_a_port_that_leaves_no_room_for_its_neighbours_is_refused(tmp_path: Path) -> None:
    """The fast listener is two below, replication one above."""
    assert "listenPort" in complaint(tmp_path, "listenPort=1")
    assert "listenPort" in complaint(tmp_path, "listenPort=65535")


@pytest.mark.parametrize(
    ("text", "role", "broker_id"),
    [
        ("", BrokerRole.ASYNC_MASTER, 0),
        ("brokerId=0", BrokerRole.ASYNC_MASTER, 0),
        ("brokerId=2", BrokerRole.SLAVE, 2),
        ("brokerId=1\nbrokerRole=SLAVE", BrokerRole.SLAVE, 1),
        ("brokerRole=SYNC_MASTER", BrokerRole.SYNC_MASTER, 0),
        ("brokerId=3\nbrokerRole=SYNC_MASTER", BrokerRole.SYNC_MASTER, 0),
        ("brokerId=3\nbrokerRole=ASYNC_MASTER", BrokerRole.ASYNC_MASTER, 0),
    ],
)
def test_a_role_follows_from_the_file_or_from_the_id_alone(
    tmp_path: Path, text: str, role: BrokerRole, broker_id: int
) -> None:
    settings = read(tmp_path, text)
    assert (settings.broker_role, settings.broker_id) == (role, broker_id)
    assert settings.is_master == (role is not BrokerRole.SLAVE)


def test_a_slave_without_an_id_is_refused(tmp_path: Path) -> None:
    assert "brokerRole=SLAVE needs a brokerId above 0" in complaint(tmp_path, "brokerRole=SLAVE")


def test_what_is_not_said_follows_from_what_is(tmp_path: Path) -> None:
    settings = read(tmp_path, "brokerIP1=10.1.2.3\nlistenPort=20911\nstorePathRootDir=/data/rmq\n")
    assert settings.address == "10.1.2.3:20911"
    assert settings.ha_address == "10.1.2.3:20912"
    assert settings.commit_log_folder == Path("/data/rmq/commitlog")


def test_a_host_name_becomes_the_address_that_records_can_hold(tmp_path: Path) -> None:
    assert read(tmp_path, "brokerIP1=localhost\nlistenPort=20911").address == "127.0.0.1:20911"


@pytest.mark.parametrize("host", ["a..b", "no host", "1.2.3"])
def test_an_address_that_is_none_is_refused(tmp_path: Path, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(name: str) -> str:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "gethostbyname", unknown)
    text = complaint(tmp_path, f"brokerIP1={host}")
    assert repr(host) in text
    assert "brokerIP1" in text


def test_what_is_said_wins_over_what_would_follow(tmp_path: Path) -> None:
    text = "brokerIP1=10.1.2.3\nbrokerIP2=10.9.9.9\nhaListenPort=30000\nstorePathCommitLog=/fast/log\n"
    settings = read(tmp_path, text)
    assert settings.ha_address == "10.9.9.9:30000"
    assert settings.commit_log_folder == Path("/fast/log")


def test_the_command_line_wins_over_the_file_and_the_file_over_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NAMESRV_ADDR", "env:9876")
    assert read(tmp_path, "brokerName=a").name_servers == ("env:9876",)
    assert read(tmp_path, "namesrvAddr=file:9876").name_servers == ("file:9876",)
    assert read(tmp_path, "namesrvAddr=file:9876", "line:9876; other:9876;").name_servers == ("line:9876", "other:9876")


def test_a_broker_starts_without_any_file() -> None:
    settings = config.read(config.Source()).settings
    assert settings.listen_port == 10911
    assert settings.ha_listen_port == 10912
    assert settings.broker_ip1 != ""


def test_a_home_folder_may_be_written_with_a_tilde(tmp_path: Path) -> None:
    settings = read(tmp_path, "storePathRootDir=~/store-of-a-test\n")
    assert settings.root == Path.home() / "store-of-a-test"
    assert settings.commit_log_folder == settings.root / "commitlog"


def test_delay_levels_are_read_in_every_unit() -> None:
    assert delay_levels("1s 5s  2m\t3h 1d") == (1_000, 5_000, 120_000, 10_800_000, 86_400_000)


@pytest.mark.parametrize("text", ["1", "s", "1x", "1s,2s", "1.5s", "-1s"])
def test_what_is_no_delay_level_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="messageDelayLevel"):
        delay_levels(text)


def test_the_default_delay_levels_are_the_eighteen_of_rocketmq() -> None:
    levels = delay_levels(BrokerSettings().message_delay_level)
    assert len(levels) == 18
    assert levels[0] == 1_000
    assert levels[-1] == 7_200_000


def test_every_live_key_is_a_key() -> None:
    keys = set(config.read(config.Source()).pairs())
    assert keys >= LIVE_KEYS
    assert not LIVE_KEYS & FORBIDDEN_KEYS


@pytest.mark.parametrize(("text", "hours"), [("04", (4,)), ("4", (4,)), ("04;16", (4, 16)), (" 0 ; 23 ;", (0, 23))])
def test_the_hours_to_delete_at(text: str, hours: tuple[int, ...]) -> None:
    assert delete_hours(text) == hours

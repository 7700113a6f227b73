"""Settings of a running broker, as mqadmin reads and changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocket_broker import config
from rocket_broker.config import LiveConfig
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError

FILE = """\
# our broker
brokerName=broker-a   // pasted
maxMessageSize=65536

colour=red
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "broker.properties"
    path.write_text(FILE)
    return path


@pytest.fixture
def live(path: Path) -> LiveConfig:
    return config.read(config.Source(path))


def refused(live: LiveConfig, content: bytes) -> RequestError:
    with pytest.raises(RequestError) as caught:
        live.update(content)
    return caught.value


def test_every_key_is_shown_unknown_ones_too(live: LiveConfig) -> None:
    pairs = live.pairs()
    assert pairs["maxMessageSize"] == "65536"
    assert pairs["autoCreateTopicEnable"] == "true"
    assert pairs["brokerRole"] == "ASYNC_MASTER"
    assert pairs["colour"] == "red"


def test_a_change_holds_at_once(live: LiveConfig) -> None:
    live.update(b"maxMessageSize=1024\nautoCreateTopicEnable=false\n")
    assert live.settings.max_message_size == 1024
    assert not live.settings.auto_create_topic_enable
    assert live.pairs()["maxMessageSize"] == "1024"


def test_what_follows_from_other_settings_outlives_a_change(live: LiveConfig) -> None:
    before = live.settings
    live.update(b"maxMessageSize=1024")
    assert live.settings.address == before.address
    assert live.settings.ha_address == before.ha_address
    assert live.settings.root == before.root


def test_a_change_is_in_the_file_and_all_else_there_as_it_was(live: LiveConfig, path: Path) -> None:
    live.update(b"maxMessageSize=1024\ntraceOn=false\n")
    expected = FILE.replace("maxMessageSize=65536", "maxMessageSize=1024") + "traceOn=false\n"
    assert path.read_text() == expected
    assert config.read(config.Source(path)).settings.max_message_size == 1024


def test_keys_that_changed_are_told(live: LiveConfig) -> None:
    told: list[set[str]] = []
    live.on_change = told.append
    live.update(b"traceOn=false\nbrokerPermission=4\n")
    assert told == [{"traceOn", "brokerPermission"}]


@pytest.mark.parametrize("key", ["configBlackList", "brokerConfigPath"])
def test_a_key_of_the_black_list_is_refused_with_the_whole_change(live: LiveConfig, path: Path, key: str) -> None:
    error = refused(live, f"traceOn=false\n{key}=x\n".encode())
    assert error.code == ResponseCode.NO_PERMISSION
    assert key in error.remark
    assert live.settings.trace_on
    assert path.read_text() == FILE


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"traceOn=false\nlistenPort=1234", "UPDATE_BROKER_CONFIG:2: listenPort = '1234': cannot change while"),
        (b"maxMessageSize=big", "maxMessageSize = 'big': expected a whole number of at least 1"),
        (b"flushDiskType=NEVER", "flushDiskType = 'NEVER': expected one of"),
        (b"traceOn=\\u12", "hexadecimal"),
    ],
)
def test_a_change_that_cannot_hold_changes_nothing(live: LiveConfig, path: Path, content: bytes, expected: str) -> None:
    before = live.pairs()
    error = refused(live, content)
    assert error.code == ResponseCode.SYSTEM_ERROR
    assert expected in error.remark
    assert live.pairs() == before
    assert path.read_text() == FILE


def test_a_fixed_key_may_be_repeated_with_the_value_that_it_has(live: LiveConfig) -> None:
    """Tools send back the whole text that they read."""
    live.update(b"brokerName=broker-a\nlistenPort=10911\nmaxMessageSize=1024")
    assert live.settings.max_message_size == 1024


def test_an_unknown_key_is_kept_and_shown(live: LiveConfig, path: Path) -> None:
    live.update(b"colour=blue\nshape=round\n")
    assert live.pairs()["colour"] == "blue"
    assert config.read(config.Source(path)).pairs()["shape"] == "round"


def test_a_file_that_cannot_be_written_refuses_the_change(live: LiveConfig, path: Path) -> None:
    path.with_name(path.name + ".tmp").mkdir()
    error = refused(live, b"maxMessageSize=1024")
    assert error.code == ResponseCode.SYSTEM_ERROR
    assert "nothing changed" in error.remark
    assert live.settings.max_message_size == 65536


def test_without_a_file_a_change_lives_as_long_as_the_process() -> None:
    live = config.read(config.Source())
    live.update(b"maxMessageSize=1024")
    assert live.settings.max_message_size == 1024

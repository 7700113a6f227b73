"""Settings of a running name server, as mqadmin reads and changes them."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocket_namesrv.live_settings import LiveSettings
from rocket_namesrv.settings import NamesrvSettings
from rocket_net import properties_file
from rocket_wire.codes import ResponseCode
from rocket_wire.errors import RequestError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "namesrv.conf"
    path.write_text("# ours\nlistenPort=9876 // as always\nqueueColour=red\n")
    return path


@pytest.fixture
def settings(path: Path) -> LiveSettings:
    entries = [*properties_file.parse(path.read_bytes()), properties_file.Entry("configStorePath", str(path))]
    return LiveSettings(properties_file.load(NamesrvSettings, entries))


def test_the_text_has_every_key_and_the_unknown_ones(settings: LiveSettings) -> None:
    lines = settings.text().splitlines()
    assert "orderMessageEnable=false" in lines
    assert "queueColour=red" in lines
    assert lines == sorted(lines)


def test_a_change_holds_at_once_and_is_in_the_file(settings: LiveSettings, path: Path) -> None:
    settings.update(b"orderMessageEnable=true\nscanNotActiveBrokerInterval=100", "a test")
    assert settings.current.order_message_enable
    assert settings.current.scan_not_active_broker_interval == 100
    assert path.read_text() == (
        "# ours\nlistenPort=9876 // as always\nqueueColour=red\n"
        "orderMessageEnable=true\nscanNotActiveBrokerInterval=100\n"
    )


@pytest.mark.parametrize("key", ["kvConfigPath", "configStorePath", "configBlackList", "rocketmqHome"])
def test_a_key_of_the_black_list_is_refused(settings: LiveSettings, path: Path, key: str) -> None:
    before = path.read_bytes()
    with pytest.raises(RequestError, match="Can not update config in black list") as caught:
        settings.update(f"orderMessageEnable=true\n{key}=x".encode(), "a test")
    assert caught.value.code == ResponseCode.NO_PERMISSION
    assert not settings.current.order_message_enable
    assert path.read_bytes() == before


def test_a_black_list_can_be_longer() -> None:
    entries = [properties_file.Entry("configBlackList", "orderMessageEnable;enableTopicList")]
    settings = LiveSettings(properties_file.load(NamesrvSettings, entries))
    with pytest.raises(RequestError, match="enableTopicList"):
        settings.update(b"enableTopicList=false", "a test")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"orderMessageEnable=maybe", "expected true or false"),
        (b"listenPort=1", "listenPort is read at the start only"),
        (b"a=\\u1", "hexadecimal"),
    ],
)
def test_a_change_that_cannot_hold_is_refused_whole(
    settings: LiveSettings, path: Path, body: bytes, reason: str
) -> None:
    before = path.read_bytes()
    with pytest.raises(RequestError, match=reason) as caught:
        settings.update(b"enableTopicList=false\n" + body, "a test")
    assert caught.value.code == ResponseCode.SYSTEM_ERROR
    assert settings.current.enable_topic_list
    assert path.read_bytes() == before


def test_a_change_that_cannot_be_saved_is_refused(settings: LiveSettings, path: Path) -> None:
    path.with_name("namesrv.conf.tmp").mkdir()
    with pytest.raises(RequestError, match="nothing was changed"):
        settings.update(b"enableTopicList=false", "a test")
    assert settings.current.enable_topic_list

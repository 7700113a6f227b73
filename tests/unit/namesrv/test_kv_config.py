"""The key-value store and its file."""

from __future__ import annotations

from pathlib import Path

import pytest

from rocket_namesrv.kv_config import KvConfig, KvConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "deep" / "kvConfig.json"


def test_values_survive_a_restart_in_apaches_shape(path: Path) -> None:
    store = KvConfig(path)
    store.put("ORDER_TOPIC_CONFIG", "T", "broker-a:4")
    assert path.read_bytes() == b'{"configTable":{"ORDER_TOPIC_CONFIG":{"T":"broker-a:4"}}}'
    again = KvConfig(path)
    assert again.get("ORDER_TOPIC_CONFIG", "T") == "broker-a:4"
    assert again.namespace("ORDER_TOPIC_CONFIG") == {"T": "broker-a:4"}


def test_what_was_never_set_is_absent(path: Path) -> None:
    store = KvConfig(path)
    assert store.get("N", "k") is None
    assert store.namespace("N") is None
    store.delete("N", "k")
    assert not path.exists()


def test_an_emptied_namespace_stays(path: Path) -> None:
    store = KvConfig(path)
    store.put("N", "k", "v")
    store.delete("N", "k")
    assert store.get("N", "k") is None
    assert KvConfig(path).namespace("N") == {}


def test_a_file_of_apaches_with_blanks_and_unknown_members_is_read(path: Path) -> None:
    path.parent.mkdir()
    path.write_text('{\n\t"configTable":{"N":{"k":"v"}\n\t},\n\t"more":1\n}\n')
    assert KvConfig(path).get("N", "k") == "v"


def test_an_empty_file_is_an_empty_store(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("\n")
    assert KvConfig(path).namespace("N") is None


@pytest.mark.parametrize("content", [b"{", b'{"configTable":[]}', b"\xff\xff", b'{"configTable":{"N":{"k":[]}}}'])
def test_a_spoilt_file_stops_the_start_and_is_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(KvConfigError, match=r"kvConfigPath .* cannot be read"):
        KvConfig(path)
    assert path.read_bytes() == content


def test_what_cannot_be_saved_is_not_changed(path: Path) -> None:
    store = KvConfig(path)
    store.put("N", "k", "old")
    (path.parent / "kvConfig.json.tmp").mkdir()
    with pytest.raises(OSError):
        store.put("N", "k", "new")
    with pytest.raises(OSError):
        store.delete("N", "k")
    assert store.get("N", "k") == "old"
    assert KvConfig(path).get("N", "k") == "old"

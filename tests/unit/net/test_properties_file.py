"""Properties files as people paste them, the settings that come from them, and every complaint a person may read."""

from __future__ import annotations

import contextlib
from enum import Enum
from typing import Annotated, Literal

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import Meta

from rocket_net import properties_file
from rocket_net.properties_file import Entry, Settings, SettingsError


def read(text: str | bytes) -> dict[str, str]:
    content = text if isinstance(text, bytes) else text.encode()
    return {entry.key: entry.value for entry in properties_file.parse(content)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a=b", {"a": "b"}),
        ("a = b", {"a": "b"}),
        ("a:b", {"a": "b"}),
        ("a b", {"a": "b"}),
        ("a", {"a": ""}),
        ("a=", {"a": ""}),
        ("a==b", {"a": "=b"}),
        ("  a\t=\tb", {"a": "b"}),
        ("a=b \t ", {"a": "b"}),
        ("a=b\\ ", {"a": "b "}),
        ("a=b\r\nc=d\r\n", {"a": "b", "c": "d"}),
        ("a=b\rc=d", {"a": "b", "c": "d"}),
        ("# a=b\n! c=d\n  # e=f\n", {}),
        ("a=b # c", {"a": "b # c"}),
        ("a=b\\\n  c", {"a": "bc"}),
        ("a=b \\\n  c", {"a": "b c"}),
        ("a=b\\", {"a": "b"}),
        ("a=b\\\\\nc=d", {"a": "b\\", "c": "d"}),
        ("# comment \\\na=b", {"a": "b"}),
        ("a\\ b\\=c=d", {"a b=c": "d"}),
        ("a=\\t\\n\\u00e4\\x", {"a": "\t\nä x".replace(" ", "")}),
        ("a=\\ud83d\\ude00", {"a": "😀"}),
        ("\n\n \n", {}),
        ("a=多个", {"a": "多个"}),
    ],
)
def test_what_java_reads_is_read_alike(text: str, expected: dict[str, str]) -> None:
    assert read(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("brokerId=0  // 0 is the master, >0 a slave", {"brokerId": "0"}),
        ("a=x;y  // 多个NameServer地址", {"a": "x;y"}),
        ("// a=b", {}),
        ("  // a=b", {}),
        ("a=http://x", {"a": "http://x"}),
        ("a=http://x // y", {"a": "http://x"}),
        ("a=//x", {"a": "//x"}),
        ("a=b// c", {"a": "b// c"}),
        ("a= // nothing", {"a": ""}),
        ("a=b // c \\\nd=e", {"a": "b", "d": "e"}),
        ("a=b,\\\n  // c\nd=e", {"a": "b,", "d": "e"}),
        ("a=b \\//c", {"a": "b //c"}),
    ],
)
def test_slashes_after_white_space_start_a_comment(text: str, expected: dict[str, str]) -> None:
    assert read(text) == expected


def test_a_byte_order_mark_does_not_count() -> None:
    assert read(b"\xef\xbb\xbfa=b") == {"a": "b"}


def test_a_comment_may_be_in_another_encoding() -> None:
    assert read("a=b // 多个\n# 地址\nc=d".encode("gbk")) == {"a": "b", "c": "d"}


def test_an_entry_knows_its_first_line() -> None:
    assert properties_file.parse(b"# c\na=b\\\n  c\n\nd=e") == [Entry("a", "bc", 2), Entry("d", "e", 5)]


def test_all_unreadable_lines_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        properties_file.parse(b"a=\xff\nb=ok\nc=\\u12\nd=\\ud83d", "broker.conf")
    assert [(problem.file, problem.line) for problem in caught.value.problems] == [
        ("broker.conf", 1), ("broker.conf", 3), ("broker.conf", 4),
    ]  # fmt: skip
    assert "UTF-8" in str(caught.value)


@given(st.binary(max_size=60))
def test_any_bytes_are_entries_or_a_settings_error(content: bytes) -> None:
    with contextlib.suppress(SettingsError):
        properties_file.parse(content)


TEXT = st.text(st.sampled_from("ab=: /\\\t\n\r#!äu0😀") | st.characters(exclude_categories=["Cs"]), max_size=12)


@given(st.dictionaries(TEXT, TEXT, max_size=4))
def test_written_text_reads_back(values: dict[str, str]) -> None:
    assert read(properties_file.text(values)) == values


class Role(Enum):
    MASTER = "ASYNC_MASTER"
    SLAVE = "SLAVE"


class Example(Settings, frozen=True):
    listen_port: Annotated[int, Meta(ge=0, le=65535)] = 9876
    broker_ip1: str | None = msgspec.field(default=None, name="brokerIP1")
    order_message_enable: bool = False
    role: Role = Role.MASTER
    kind: Literal["PROM", "DISABLE"] = "DISABLE"
    ratio: Annotated[float, Meta(gt=0)] = 0.5
    peers: Annotated[str, Meta(pattern=r"^$|^\S+:\d+$", description="host:port")] = ""
    most: Annotated[int | None, Meta(description="a number or nothing")] = None

    def __post_init__(self) -> None:
        if self.listen_port == 1 and self.order_message_enable:
            raise ValueError("listenPort 1 cannot order messages")


def load(text: str) -> properties_file.Configuration[Example]:
    return properties_file.load(Example, properties_file.parse(text.encode()), "n.conf")


def test_keys_are_camel_case_and_the_odd_ones_named() -> None:
    loaded = load("listenPort=0\nbrokerIP1=10.0.0.1\norderMessageEnable=TRUE\nrole=SLAVE\nratio=1\nkind=PROM\nmost=+7")
    assert loaded.settings == Example(
        listen_port=0, broker_ip1="10.0.0.1", order_message_enable=True, role=Role.SLAVE, ratio=1.0, kind="PROM", most=7
    )
    assert loaded.warnings == ()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("listenPort=nine", "expected a whole number from 0 to 65535"),
        ("listenPort=65536", "expected a whole number from 0 to 65535"),
        ("listenPort=", "expected a whole number from 0 to 65535"),
        ("listenPort=1_0", "expected a whole number from 0 to 65535"),
        ("orderMessageEnable=yes", "expected true or false"),
        ("role=MASTER", "expected one of ASYNC_MASTER, SLAVE"),
        ("kind=x", "expected one of DISABLE, PROM"),
        ("ratio=0", "expected a number above 0"),
        ("ratio=nan", "expected a number above 0"),
        ("peers=x", "expected host:port"),
        ("most=x", "expected a number or nothing"),
    ],
)
def test_a_malformed_value_names_file_line_key_value_and_expectation(line: str, expected: str) -> None:
    key, value = line.split("=")
    with pytest.raises(SettingsError) as caught:
        load(f"# first\n{line}")
    assert str(caught.value) == f"n.conf:2: {key} = {value!r}: {expected}"


def test_all_malformed_values_are_reported_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load("listenPort=x\nratio=y\nrole=z")
    assert [problem.line for problem in caught.value.problems] == [1, 2, 3]


def test_an_unknown_key_is_kept_and_named_with_the_likely_one() -> None:
    loaded = load("listenport=1\nqueueColour=red")
    assert loaded.unknown == {"listenport": "1", "queueColour": "red"}
    assert loaded.settings == Example()
    assert "did you mean listenPort?" in loaded.warnings[0]
    assert "n.conf:2: key queueColour means nothing here" in loaded.warnings[1]


def test_a_key_set_to_its_default_still_counts_as_given() -> None:
    before = load("listenPort=9876\nqueueColour=red")
    assert before.given == {"listenPort", "queueColour"}
    assert properties_file.update(before, [Entry("ratio", "1")], "request 318").given == before.given | {"ratio"}


def test_the_last_of_two_lines_holds_and_the_log_says_so() -> None:
    loaded = load("listenPort=1\nlistenPort=2")
    assert loaded.settings.listen_port == 2
    assert loaded.warnings == ("n.conf:2: listenPort was set in line 1 already; this line holds",)


def test_settings_that_contradict_each_other_are_refused() -> None:
    with pytest.raises(SettingsError, match=r"n.conf: listenPort 1 cannot order messages"):
        load("listenPort=1\norderMessageEnable=true")


def test_a_missing_mandatory_key_is_named() -> None:
    class Mandatory(Settings, frozen=True):
        broker_name: str

    with pytest.raises(SettingsError, match=r"n.conf: brokerName: is missing: expected text"):
        properties_file.load(Mandatory, [], "n.conf")


def test_a_live_change_goes_through_the_same_checks() -> None:
    before = load("ratio=2\nqueueColour=red")
    after = properties_file.update(before, [Entry("listenPort", "77"), Entry("queueShape", "round")], "request 318")
    assert (after.settings.listen_port, after.settings.ratio) == (77, 2.0)
    assert after.unknown == {"queueColour": "red", "queueShape": "round"}
    with pytest.raises(SettingsError, match=r"request 318: listenPort = 'x': expected a whole number from 0 to 65535"):
        properties_file.update(before, [Entry("listenPort", "x")], "request 318")
    with pytest.raises(SettingsError, match="cannot order messages"):
        properties_file.update(load("listenPort=1"), [Entry("orderMessageEnable", "true")], "request 318")


def test_a_configuration_as_pairs_reads_back_as_itself() -> None:
    loaded = load("orderMessageEnable=true\nrole=SLAVE\nqueueColour=C:\\\\red")
    found = properties_file.pairs(loaded)
    assert found["orderMessageEnable"] == "true"
    assert found["role"] == "SLAVE"
    assert "brokerIP1" not in found
    again = properties_file.load(Example, properties_file.parse(properties_file.text(found).encode()))
    assert (again.settings, again.unknown) == (loaded.settings, loaded.unknown)


def test_a_rewritten_file_keeps_comments_and_order() -> None:
    content = "\ufeff# ports\r\nlistenPort=1\\\r\n 2 // old\r\n\r\nratio = 1\r\nlistenPort=3\r\n".encode()
    changed = properties_file.rewrite(content, {"listenPort": "4", "role": "SLAVE"})
    assert changed == b"# ports\n\nratio = 1\nlistenPort=4\nrole=SLAVE\n"


def test_a_rewritten_file_keeps_bytes_of_another_encoding() -> None:
    content = "# 地址\na=b".encode("gbk")
    assert properties_file.rewrite(content, {"a": "c", "d": "e"}) == "# 地址\na=c\nd=e\n".encode("gbk")

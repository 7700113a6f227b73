"""Bytes and bodies that are wrong: one peer hears why, nobody else notices."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from rocket_namesrv.server import NameServer
from rocket_net.client import Client
from rocket_testing.peer import Peer
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import Command, request
from rocket_wire.headers.routes import GetRouteinfoByTopic, PutKvConfig

KNOWN = {"brokerName": "a", "brokerAddr": "h:1", "clusterName": "C", "haServerAddr": "h:2", "brokerId": "0"}


@pytest.fixture
async def namesrv(start_namesrv: Any) -> NameServer:
    server: NameServer = await start_namesrv()
    return server


async def is_serving(namesrv: NameServer, client: Client) -> bool:
    unknown = request(RequestCode.GET_ROUTEINFO_BY_TOPIC, GetRouteinfoByTopic("T"))
    return (await client.call(f"127.0.0.1:{namesrv.port}", unknown)).code == ResponseCode.TOPIC_NOT_EXIST


@pytest.mark.parametrize(
    "garbage",
    [
        b"GET / HTTP/1.1\r\nHost: namesrv\r\n\r\n",
        b"\xff" * 64,
        b"\x00\x00\x00\x00" * 4,
        b"\x00\x00\x00\x08\x00\x00\x00\xff" + b"{" * 8,
        b"\x00\x00\x00\x08\x00\x00\x00\x04nope",
        b"\x00\x00\x00\x08\x07\x00\x00\x04{}{}",
    ],
)
async def test_garbage_closes_its_own_connection_only(
    namesrv: NameServer, client: Client, garbage: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    assert await is_serving(namesrv, client)
    peer = await Peer.connect(namesrv.port)
    with caplog.at_level(logging.WARNING):
        await peer.send_bytes(garbage)
        with pytest.raises(ConnectionError):
            await peer.receive()
    peer.close()
    assert len([record for record in caplog.records if "closed:" in record.message]) == 1
    assert await is_serving(namesrv, client)


@pytest.mark.parametrize(
    ("code", "fields", "body", "remark"),
    [
        (RequestCode.GET_ROUTEINFO_BY_TOPIC, {}, b"", "topic"),
        (RequestCode.REGISTER_BROKER, {}, b"", "brokerName"),
        (RequestCode.REGISTER_BROKER, {**KNOWN, "brokerId": "zero"}, b"", "brokerId"),
        (RequestCode.REGISTER_BROKER, KNOWN, b"{", "RegisterBrokerBody"),
        (RequestCode.REGISTER_BROKER, KNOWN, b'{"topicConfigSerializeWrapper":[]}', "topicConfigSerializeWrapper"),
        (RequestCode.REGISTER_BROKER, {**KNOWN, "compressed": "true"}, b"{}", "RegisterBrokerBody"),
        (RequestCode.REGISTER_BROKER, {**KNOWN, "bodyCrc32": "7"}, b"{}", "crc32 not match"),
        (RequestCode.QUERY_DATA_VERSION, KNOWN, b"", "DataVersion"),
        (RequestCode.REGISTER_TOPIC_IN_NAMESRV, {"topic": "T"}, b"[]", "TopicRouteData"),
        (RequestCode.UPDATE_NAMESRV_CONFIG, {}, b"orderMessageEnable=x", "true or false"),
        (RequestCode.UPDATE_NAMESRV_CONFIG, {}, b"\xff=x", "UTF-8"),
    ],
)
async def test_a_wrong_request_is_answered_with_what_is_wrong(
    namesrv: NameServer, client: Client, code: int, fields: dict[str, str], body: bytes, remark: str
) -> None:
    answer = await client.call(f"127.0.0.1:{namesrv.port}", Command(code, ext=dict(fields), body=body))
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert remark in (answer.remark or "")
    assert await is_serving(namesrv, client)


async def test_a_store_that_cannot_be_saved_is_refused_and_the_rest_goes_on(
    start_namesrv: Any, client: Client, tmp_path: Any
) -> None:
    blocked = tmp_path / "a file, no folder"
    namesrv = await start_namesrv(kv_config_path=str(tmp_path / "later" / "kvConfig.json"))
    (tmp_path / "later").symlink_to(blocked)
    blocked.write_text("")
    put = request(RequestCode.PUT_KV_CONFIG, PutKvConfig("N", "k", "v"))
    answer = await client.call(f"127.0.0.1:{namesrv.port}", put)
    assert answer.code == ResponseCode.SYSTEM_ERROR
    assert "nothing was changed" in (answer.remark or "")
    assert await is_serving(namesrv, client)

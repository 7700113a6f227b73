"""Every request of a long conversation is answered as Apache's name server answered it."""

from __future__ import annotations

from typing import Any

from rocket_net.client import Client
from rocket_testing.namesrv_exchanges import command, exchanges
from rocket_wire import fastjson


def unordered(value: Any) -> Any:
    """Java's sets and maps come in the order of hash codes."""
    if isinstance(value, dict):
        return {key: unordered(member) for key, member in value.items()}
    if isinstance(value, list):
        return sorted((unordered(element) for element in value), key=repr)
    return value


def comparable(body: str) -> tuple[Any, int, int]:
    """A body's meaning, and by quotes and length how it is written: keys bare or quoted, no blanks."""
    meaning = unordered(fastjson.parse(body.encode())) if body else None
    return meaning, body.count('"'), len(body)


async def test_each_answer_is_apaches(start_namesrv: Any, client: Client) -> None:
    server = await start_namesrv()
    different = {}
    for exchange in exchanges():
        answer = await client.call(f"127.0.0.1:{server.port}", command(exchange["request"]))
        expected = exchange["answer"]
        ours = (answer.code, answer.fields(), comparable(answer.body.decode()))
        apaches = (expected["code"], expected["fields"], comparable(expected["body"]))
        if ours != apaches:
            different[exchange["situation"]] = (ours, apaches)
    assert different == {}

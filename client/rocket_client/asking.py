"""What every kind of administration does: asks a server by its address, and reads what it answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from rocket_client.instance import Instance
from rocket_net import properties_file
from rocket_wire.bodies.body import Body
from rocket_wire.codes import RequestCode
from rocket_wire.command import Command, request
from rocket_wire.headers.header import Header

B = TypeVar("B", bound=Body)


class Asking:
    """Asks. Every method raises NoAnswer or BrokerError where the server does not answer, or refuses."""

    def __init__(self, instance: Instance, timeout: float) -> None:
        """`timeout` is for each request, seconds."""
        self._instance = instance
        self._timeout = timeout

    async def broker_config(self, address: str) -> dict[str, str]:
        """A broker's configuration."""
        answer = await self._ask(address, RequestCode.GET_BROKER_CONFIG)
        return {entry.key: entry.value for entry in properties_file.parse(answer.body, address)}

    async def update_broker_config(self, address: str, changes: Mapping[str, str]) -> None:
        """Changes some keys of a broker's configuration while it runs."""
        await self._ask(address, RequestCode.UPDATE_BROKER_CONFIG, body=properties_file.text(changes).encode())

    async def _ask(self, address: str, code: RequestCode, header: Header | None = None, body: bytes = b"") -> Command:
        return await self._instance.ask(address, request(code, header, body), self._timeout)

    async def _body(self, body_type: type[B], address: str, code: RequestCode, header: Header | None = None) -> B:
        def read(answer: Command) -> B:
            return body_type.decode(answer.body)

        return await self._instance.ask_for(address, request(code, header), read, self._timeout)

"""A long conversation with a name server, and what Apache's answered: tests/golden/namesrv/exchanges.json.

To record the answers anew, start a fresh Apache name server and run, with tests/support on PYTHONPATH:

    python -m rocket_testing.namesrv_exchanges localhost:9876 "Apache RocketMQ name server 5.3.3"

A request is a code, header fields, a body, the version that the asker claims to be. An answer is kept as code, header
fields and body, without the remark, whose words are nobody's contract.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from rocket_net.client import Client
from rocket_wire.command import Command

GOLDEN = Path(__file__).parents[2] / "golden/namesrv/exchanges.json"

_SETTLE_SECONDS = 0.3
"""Apache's carries out a departure some time after it has answered it."""


def exchanges() -> list[dict[str, Any]]:
    """Each with `situation`, `request` and `answer`, to be asked in this order of a fresh name server."""
    found: list[dict[str, Any]] = json.loads(GOLDEN.read_text())["exchanges"]
    return found


def command(request: dict[str, Any]) -> Command:
    """The request as it is sent."""
    body = bytes.fromhex(request["hex"]) if "hex" in request else request.get("body", "").encode()
    return Command(request["code"], "JAVA", request.get("version", 479), ext=dict(request.get("fields", {})), body=body)


async def _record(address: str, origin: str) -> None:
    conversation = exchanges()
    client = Client()
    for exchange in conversation:
        answer = await client.call(address, command(exchange["request"]))
        exchange["answer"] = {"code": answer.code, "fields": answer.fields(), "body": answer.body.decode()}
        await asyncio.sleep(_SETTLE_SECONDS)
    await client.close()
    golden = {"origin": origin, "exchanges": conversation}
    GOLDEN.write_text(json.dumps(golden, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    asyncio.run(_record(*sys.argv[1:]))

"""A consumer that catches up: reads all that a topic holds, 32 messages a pull, each queue with one pull under way.

It takes a PullCase (JSON) as its argument and prints Figures (JSON). Records are counted, not decoded.
"""

from __future__ import annotations

import asyncio
import sys
from struct import Struct
from time import perf_counter

import msgspec
import uvloop
from rocket_bench.case import Figures, PullCase
from rocket_bench.processes import cpu_seconds

from rocket_net.client import Client
from rocket_wire.codes import RequestCode, ResponseCode
from rocket_wire.command import request
from rocket_wire.headers import offsets, pull

_BATCH = 32
_SIZE = Struct(">i")


class Reader:
    """One queue."""

    def __init__(self, client: Client, case: PullCase, queue_id: int) -> None:
        self._client = client
        self._case = case
        self._address = f"127.0.0.1:{case.port}"
        self._queue_id = queue_id

    async def end(self) -> int:
        """The offset after the last message, 0 for a queue that does not exist."""
        header = offsets.GetMaxOffset(topic=self._case.topic, queue_id=self._queue_id)
        answer = await self._client.call(self._address, request(RequestCode.GET_MAX_OFFSET, header))
        return answer.header(offsets.GetMaxOffsetAnswer).offset if answer.code == ResponseCode.SUCCESS else 0

    async def read(self, end: int, deadline: float) -> int:
        """How many messages were read from offset 0 to `end`, or until the deadline (perf_counter)."""
        offset = count = 0
        while offset < end and perf_counter() < deadline:
            answer = await self._client.call(self._address, request(RequestCode.PULL_MESSAGE, self._header(offset)))
            answer.raise_for_code()
            offset = answer.header(pull.PullMessageAnswer).next_begin_offset
            count += records(answer.body)
        return count

    def _header(self, offset: int) -> pull.PullMessage:
        return pull.PullMessage(
            consumer_group="benchmark_consumer",
            topic=self._case.topic,
            queue_id=self._queue_id,
            queue_offset=offset,
            max_msg_nums=_BATCH,
            sys_flag=pull.SUBSCRIPTION,
            commit_offset=0,
            suspend_timeout_millis=0,
            sub_version=0,
            subscription="*",
            expression_type="TAG",
        )


def records(body: bytes) -> int:
    """How many records a pull's body holds: each begins with its size."""
    position = count = 0
    while position < len(body):
        position += _SIZE.unpack_from(body, position)[0]
        count += 1
    return count


async def measure(case: PullCase) -> Figures:
    client = Client()
    readers = [Reader(client, case, queue_id) for queue_id in range(case.queues)]
    ends = [await reader.end() for reader in readers]
    cpu, begin = cpu_seconds(case.pid), perf_counter()
    deadline = begin + case.seconds
    counts = await asyncio.gather(*(reader.read(end, deadline) for reader, end in zip(readers, ends, strict=True)))
    cpu, seconds, messages = cpu_seconds(case.pid) - cpu, perf_counter() - begin, sum(counts)
    await client.close()
    return Figures(messages=messages, seconds=seconds, cpu=cpu * 1e6 / max(1, messages))


def main() -> None:
    case = msgspec.json.decode(sys.argv[1], type=PullCase)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(msgspec.json.encode(runner.run(measure(case))).decode())


if __name__ == "__main__":
    main()

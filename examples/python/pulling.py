"""Reads a topic from its beginning, at its own pace, and keeps its place in the broker."""

import asyncio
import os

from rocket_client import Message, Producer, PullConsumer

NAMESRV = os.environ.get("NAMESRV_ADDR", "localhost:9876;localhost:9877")


async def main() -> None:
    async with Producer(NAMESRV, group="shop") as producer:
        await producer.send_batch([Message("pulling", f"line {number}") for number in range(5)])

    async with PullConsumer(NAMESRV, group="pulling-report") as consumer:
        await consumer.assign(await consumer.queues("pulling"))
        for queue in consumer.assignment:
            await consumer.seek_to_begin(queue)
        lines = 0
        while lines < 5:
            for message in await consumer.poll(timeout=5.0):
                print(message.queue_offset, message.text)
                lines += 1
        await consumer.commit()  # another run of this group could go on here


asyncio.run(main())

"""A handler fails once; the broker delivers the message again after the delay that was asked for."""

import asyncio
import os

from rocket_client import FromWhere, Message, Producer, PushConsumer, PushedMessage

NAMESRV = os.environ.get("NAMESRV_ADDR", "localhost:9876;localhost:9877")


async def main() -> None:
    done = asyncio.Event()

    async def handle(message: PushedMessage) -> None:
        print("try", message.reconsume_times + 1, "of", message.text)
        if message.reconsume_times == 0:
            await message.retry(delay_level=1)  # again in 1 s; level 0 leaves the delay to the broker
        else:
            done.set()

    async with Producer(NAMESRV, group="shop") as producer:
        await producer.send(Message("retries", "a hard one"))
    async with PushConsumer(NAMESRV, group="retries-worker", from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe("retries")
        work = asyncio.create_task(consumer.run(handle, concurrency=4))
        await done.wait()
        await consumer.stop()
        await work


asyncio.run(main())

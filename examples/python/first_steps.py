"""Sends three messages and consumes them."""

import asyncio
import os

from rocket_client import FromWhere, Message, Producer, PushConsumer

NAMESRV = os.environ.get("NAMESRV_ADDR", "localhost:9876;localhost:9877")


async def main() -> None:
    async with Producer(NAMESRV, group="shop") as producer:
        for number in range(3):
            result = await producer.send(Message("first-steps", f"order {number}", tags="new", keys=f"order-{number}"))
            print("sent", result.message_id)

    # FIRST: a group that is new to the topic begins with its oldest message, not with those yet to come.
    async with PushConsumer(NAMESRV, group="first-steps-billing", from_where=FromWhere.FIRST) as consumer:
        await consumer.subscribe("first-steps", "new")
        missing = 3
        async for message in consumer:  # asking for the next message acknowledges this one
            print("received", message.text, message.tags, message.keys)
            missing -= 1
            if not missing:
                break


asyncio.run(main())

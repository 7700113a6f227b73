"""Two orders change state; each order's changes are consumed in the order in which they were sent."""

import asyncio
import os

from rocket_client import FromWhere, Message, Producer, PushConsumer

NAMESRV = os.environ.get("NAMESRV_ADDR", "localhost:9876;localhost:9877")
STATES = ["created", "paid", "packed", "sent"]


async def main() -> None:
    async with Producer(NAMESRV, group="shop") as producer:
        for state in STATES:
            for order in ("order-1", "order-2"):
                # One key, one queue: that is what keeps the order.
                await producer.send(Message("in-order", f"{order} {state}"), ordering_key=order)

    seen: dict[str, list[str]] = {"order-1": [], "order-2": []}
    group = PushConsumer(NAMESRV, group="in-order-log", orderly=True, from_where=FromWhere.FIRST)
    async with group as consumer:
        await consumer.subscribe("in-order")
        async for message in consumer:
            order, state = message.text.split()
            seen[order].append(state)
            if all(len(states) == len(STATES) for states in seen.values()):
                break
    for order, states in seen.items():
        print(order, " -> ".join(states))


asyncio.run(main())

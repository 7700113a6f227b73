"""The producer without asyncio: plain calls, usable from any thread."""

import os

from rocket_client import Message, SyncProducer

NAMESRV = os.environ.get("NAMESRV_ADDR", "localhost:9876;localhost:9877")

with SyncProducer(NAMESRV, group="shop") as producer:
    print("sent", producer.send(Message("synchronous", "one by one")).message_id)
    later = [producer.send_later(Message("synchronous", f"order {number}")) for number in range(10)]
    print("sent", len([future.result() for future in later]), "at once")

"""What becomes of a message whose handler failed (protocol section 6.4).

concurrent    back to its broker, which delivers it again through %RETRY%group after a delay, or puts it to %DLQ%group;
              where that broker does not answer, as a new message to %RETRY%group by way of any other
orderly       it waits in its queue, before all others
broadcasting  nothing: it is counted as done
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from rocket_client.errors import RocketError
from rocket_client.instance import milliseconds
from rocket_client.intake import Taken
from rocket_client.member import GroupMember
from rocket_client.message import Message, ReceivedMessage, queue_text, retry_topic
from rocket_client.outgoing import RESERVED, Identity, outgoing, retried
from rocket_client.sending import ANYWHERE, Sender
from rocket_client.settings import ProducerSettings
from rocket_wire.codes import RequestCode
from rocket_wire.command import request
from rocket_wire.headers.send import ConsumerSendMsgBack

log = logging.getLogger("rocket.client")

#: Where no broker takes a message back, it is handed out again after so many seconds.
_LOCAL_RETRY: Final = 5.0
#: Delay level of the first repetition when the client chooses it: 10 s.
_FIRST_LEVEL: Final = 3
#: Deliveries before the dead letter topic where neither the consumer nor the broker's answer says otherwise.
_DEFAULT_MAX: Final = 16
_INNER_GROUP: Final = "CLIENT_INNER_PRODUCER"


class Retries:
    """The failed messages of one consumer."""

    def __init__(self, member: GroupMember) -> None:
        self._member = member
        self._sender = Sender(member.instance, _INNER_GROUP, ProducerSettings(new_topic_queues=1))

    async def retry(self, taken: Taken, delay_level: int) -> None:
        """Has the message delivered again, as its consumer's kind says."""
        role = self._member.role
        if not taken.is_current:
            taken.finish()  # its queue is another consumer's by now, which gets it as well
        elif not role.shares:
            log.warning("message %s failed; broadcasting does not repeat it", taken.message.message_id)
            taken.finish()
        elif role.orderly:
            await self._retry_in_order(taken)
        elif await self._send_back(taken.message, delay_level):
            taken.finish()
        else:
            self._again_later(taken, _LOCAL_RETRY)

    async def _retry_in_order(self, taken: Taken) -> None:
        limit = self._member.settings.max_reconsume_times
        times = taken.message.reconsume_times + 1
        if limit is not None and times > limit and await self._send_anew(taken.message, 0):
            taken.finish()
            return
        self._again_later(taken, self._member.settings.suspend_seconds, times)

    def _again_later(self, taken: Taken, seconds: float, times: int | None = None) -> None:
        asyncio.get_running_loop().call_later(seconds, taken.put_back, times)

    async def _send_back(self, message: ReceivedMessage, delay_level: int) -> bool:
        header = ConsumerSendMsgBack(
            offset=message.position,
            group=self._member.role.group,
            delay_level=delay_level,
            origin_msg_id=message.offset_message_id,
            origin_topic=message.topic,
            max_reconsume_times=self._member.settings.max_reconsume_times,
        )
        try:
            address = await self._member.calls.address(message.queue)
            await self._member.instance.ask(address, request(RequestCode.CONSUMER_SEND_MSG_BACK, header))
        except RocketError as error:
            log.warning("message %s is not taken back: %s", message.message_id, error)
            return await self._send_anew(message, delay_level)
        return True

    async def _send_anew(self, message: ReceivedMessage, delay_level: int) -> bool:
        """As a new message to the retry topic; the broker there counts the tries and decides on the dead letters."""
        own = {name: value for name, value in message.properties.items() if name not in RESERVED}
        fresh = Message(
            retry_topic(self._member.role.group),
            message.body,
            tags=message.tags,
            keys=message.properties.get("KEYS"),
            properties=own,
            delay_level=delay_level if delay_level > 0 else _FIRST_LEVEL + message.reconsume_times,
            flag=message.flag,
        )
        kept = {
            "RETRY_TOPIC": message.topic,
            "ORIGIN_MESSAGE_ID": message.properties.get("ORIGIN_MESSAGE_ID") or message.offset_message_id,
        }
        limit = self._member.settings.max_reconsume_times
        try:
            out = outgoing(fresh, self._sender.settings, Identity(message.message_id, milliseconds()))
            times = message.reconsume_times + 1
            out = retried(out, times, _DEFAULT_MAX if limit is None else limit, kept)
            await self._sender.send(out, ANYWHERE, timeout=3.0)
        except RocketError as error:
            log.warning("message %s of %s is kept: %s", message.message_id, queue_text(message.queue), error)
            return False
        return True

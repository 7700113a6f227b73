"""The send answer that is written by hand is the one that the general way would write."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rocket_wire import frame, message_id
from rocket_wire.answers import SendAnswers
from rocket_wire.command import Command
from rocket_wire.headers.send import SendMessageAnswer

INT = st.integers(0, 2**31 - 1)
LONG = st.integers(0, 2**63 - 1)


@given(st.binary(min_size=8, max_size=8), st.text(max_size=8), st.booleans(), INT, LONG, INT, LONG)
def test_both_ways_of_writing_a_send_answer_agree(
    host: bytes, region: str, trace_on: bool, opaque: int, position: int, queue_id: int, queue_offset: int
) -> None:
    request = Command(310, opaque=opaque)
    header = SendMessageAnswer(
        message_id.offset_message_id(host, position), queue_id, queue_offset, region=region, trace_on=trace_on
    )
    fast = SendAnswers(host, region, trace_on=trace_on).encode(opaque, position, queue_id, queue_offset)
    assert fast == frame.encode(request.reply(header))

"""The interop suite's judgement: what it must object to, and what it must let pass."""

from __future__ import annotations

from dataclasses import replace

from rocket_interop import judgement
from rocket_interop.judgement import Message, Received, Sent

ASKED = [Message("a", "body of a", "TagA"), Message("b", "body of b"), Message("c", "body of c")]


def delivery(message: Message, **changes: object) -> Received:
    plain = Received(message.key, message.body, message.tag, "T", 0, 7, f"id-{message.key}", 0, 5_000)
    return replace(plain, **changes)  # type: ignore[arg-type]  # a table's row names only what differs


def deliveries(*messages: Message) -> list[Received]:
    return [delivery(message) for message in messages]


def test_what_is_asked_for_is_written_as_one_tab_separated_line() -> None:
    assert Message("k", "a body", "TagA", 2, "shard").line() == "k\tTagA\t2\tshard\ta body"
    assert Message("", "a body").line() == "\t\t\t\ta body"


def test_events_of_a_program_become_values() -> None:
    event = {"event": "received", "at": 9, "body": "x", "topic": "T", "queueId": 1, "queueOffset": 2, "msgId": "i"}
    assert Received.parse(event | {"reconsumeTimes": 0}) == Received("", "x", "", "T", 1, 2, "i", 0, 9)
    assert Sent.parse({"event": "sent", "key": "k", "status": "SEND_OK"}) == Sent("k", "SEND_OK")


class TestAllAccepted:
    def test_each_answered_once_is_right(self) -> None:
        assert judgement.all_accepted(ASKED, [Sent("c"), Sent("a", "SEND_OK"), Sent("b")], {}) == []

    def test_a_message_without_an_answer_is_named(self) -> None:
        assert judgement.all_accepted(ASKED, [Sent("a"), Sent("b")], {}) == ["1 never answered: c"]

    def test_a_message_answered_twice_is_named(self) -> None:
        answers = [Sent("a"), Sent("b"), Sent("c"), Sent("b")]
        assert judgement.all_accepted(ASKED, answers, {}) == ["1 answered more than once: b"]

    def test_an_error_is_told_once(self) -> None:
        faults = judgement.all_accepted(ASKED, [Sent("a"), Sent("b")], {"c": "broker is busy"})
        assert faults == ["sending c failed: broker is busy"]

    def test_a_status_beside_ok_is_a_fault(self) -> None:
        answers = [Sent("a", "SEND_OK"), Sent("b", "FLUSH_DISK_TIMEOUT"), Sent("c")]
        assert judgement.all_accepted(ASKED, answers, {}) == ["b answered with FLUSH_DISK_TIMEOUT"]


class TestEachOnce:
    def test_any_order_is_right(self) -> None:
        assert judgement.each_once(ASKED, deliveries(*reversed(ASKED))) == []

    def test_a_lost_message_is_named(self) -> None:
        assert judgement.each_once(ASKED, deliveries(*ASKED[:2])) == ["1 never came: c"]

    def test_a_repeated_message_is_named(self) -> None:
        assert judgement.each_once(ASKED, deliveries(*ASKED, ASKED[0])) == ["1 came more than once: a"]

    def test_a_message_that_was_not_asked_for_is_named(self) -> None:
        stranger = Message("z", "body of z")
        assert judgement.each_once(ASKED, deliveries(*ASKED, stranger)) == ["1 came unasked: z"]

    def test_another_body_is_a_fault(self) -> None:
        received = [delivery(ASKED[0], body="torn"), *deliveries(*ASKED[1:])]
        assert judgement.each_once(ASKED, received) == ["a has another body: 'torn', not 'body of a'"]

    def test_another_tag_is_a_fault(self) -> None:
        received = [delivery(ASKED[0], tag=""), *deliveries(*ASKED[1:])]
        assert judgement.each_once(ASKED, received) == ["a has the tag '', not 'TagA'"]

    def test_many_lost_messages_are_counted_and_a_few_named(self) -> None:
        asked = [Message(f"k{i}", "") for i in range(9)]
        assert judgement.each_once(asked, []) == ["9 never came: k0, k1, k2 and 6 more"]


class TestSamePosition:
    def test_the_acknowledged_place_and_id_are_right(self) -> None:
        assert judgement.same_position([Sent("a", None, "id-a", 0, 7)], deliveries(ASKED[0])) == []

    def test_another_queue_or_offset_is_a_fault(self) -> None:
        faults = judgement.same_position([Sent("a", None, None, 1, 7)], deliveries(ASKED[0]))
        assert faults == ["a was acknowledged at queue, offset (1, 7) but came from (0, 7)"]

    def test_another_id_is_a_fault(self) -> None:
        faults = judgement.same_position([Sent("a", None, "id-x")], deliveries(ASKED[0]))
        assert faults == ["a was acknowledged as id-x but came as id-a"]

    def test_a_client_that_learns_no_place_is_not_blamed(self) -> None:
        assert judgement.same_position([Sent("a")], deliveries(ASKED[0])) == []


class TestInOrder:
    asked = (Message("a1", "", shard="a"), Message("b1", "", shard="b"), Message("a2", "", shard="a"))

    def test_shards_may_overtake_each_other(self) -> None:
        a1, b1, a2 = deliveries(*self.asked)
        assert judgement.in_order(self.asked, [b1, a1, a2]) == []

    def test_within_a_shard_nothing_overtakes(self) -> None:
        a1, b1, a2 = deliveries(*self.asked)
        assert judgement.in_order(self.asked, [a2, b1, a1]) == ["shard a came as a2, a1"]

    def test_a_repeated_step_breaks_the_order(self) -> None:
        a1, b1, a2 = deliveries(*self.asked)
        assert judgement.in_order(self.asked, [a1, a2, a1, b1]) == ["shard a came as a1, a2, a1"]


class TestTwoConsumers:
    def test_clustering_shares_the_messages(self) -> None:
        assert judgement.shared(ASKED, {"one": deliveries(*ASKED[:1]), "two": deliveries(*ASKED[1:])}) == []

    def test_clustering_gives_no_message_to_both(self) -> None:
        faults = judgement.shared(ASKED, {"one": deliveries(*ASKED[:2]), "two": deliveries(*ASKED[1:])})
        assert faults == ["1 came more than once: b"]

    def test_clustering_leaves_none_idle(self) -> None:
        assert judgement.shared(ASKED, {"one": deliveries(*ASKED), "two": []}) == ["two got no message"]

    def test_broadcasting_gives_everything_to_both(self) -> None:
        assert judgement.each_to_all(ASKED, {"one": deliveries(*ASKED), "two": deliveries(*ASKED)}) == []

    def test_broadcasting_names_who_lacks_a_message(self) -> None:
        faults = judgement.each_to_all(ASKED, {"one": deliveries(*ASKED), "two": deliveries(*ASKED[1:])})
        assert faults == ["two: 1 never came: a"]

    def test_broadcasting_gives_each_only_once(self) -> None:
        faults = judgement.each_to_all(ASKED, {"one": deliveries(*ASKED, ASKED[2]), "two": deliveries(*ASKED)})
        assert faults == ["one: 1 came more than once: c"]


class TestNotEarly:
    delayed = Message("d", "", delay_level=1)

    def test_at_its_time_or_later_is_right(self) -> None:
        at_its_time = delivery(self.delayed, at=5_000)
        assert judgement.not_early([self.delayed], {"d": 4.0}, [at_its_time]) == []

    def test_a_message_without_delay_may_come_at_once(self) -> None:
        assert judgement.not_early(ASKED, {"a": 5.0009}, [delivery(ASKED[0], at=5_000)]) == []

    def test_early_is_a_fault(self) -> None:
        early = delivery(self.delayed, at=4_999)
        assert judgement.not_early([self.delayed], {"d": 4.0}, [early]) == ["d came after 0.999 s, not 1 s"]


class TestResumed:
    first, second = ASKED[:2], ASKED[2:]

    def test_the_rest_after_the_restart_is_right(self) -> None:
        assert judgement.resumed(self.first, deliveries(*self.first), self.second, deliveries(*self.second)) == []

    def test_starting_from_the_beginning_is_a_fault(self) -> None:
        faults = judgement.resumed(self.first, deliveries(*self.first), self.second, deliveries(*ASKED))
        assert faults == ["after the restart: 2 came unasked: a, b"]

    def test_skipping_what_came_meanwhile_is_a_fault(self) -> None:
        faults = judgement.resumed(self.first, deliveries(*self.first), self.second, [])
        assert faults == ["after the restart: 1 never came: c"]


class TestRedelivered:
    once = deliveries(*ASKED)

    def test_the_failed_one_comes_again_counted_up(self) -> None:
        again = delivery(ASKED[2], reconsume_times=1, queue_offset=9)
        assert judgement.redelivered(ASKED, {"c"}, [*self.once, again]) == []

    def test_no_second_delivery_is_a_fault(self) -> None:
        faults = judgement.redelivered(ASKED, {"c"}, self.once)
        assert faults == ["c came with reconsumeTimes [0], not [0, 1]"]

    def test_a_second_delivery_that_is_not_counted_is_a_fault(self) -> None:
        faults = judgement.redelivered(ASKED, {"c"}, [*self.once, delivery(ASKED[2])])
        assert faults == ["c came with reconsumeTimes [0, 0], not [0, 1]"]

    def test_coming_back_under_the_retry_topic_is_a_fault(self) -> None:
        again = delivery(ASKED[2], reconsume_times=1, topic="%RETRY%group")
        faults = judgement.redelivered(ASKED, {"c"}, [*self.once, again])
        assert faults == ["c came back under another id or topic"]

    def test_what_did_not_fail_comes_once(self) -> None:
        again = [delivery(ASKED[2], reconsume_times=1), delivery(ASKED[0])]
        assert judgement.redelivered(ASKED, {"c"}, [*self.once, *again]) == ["1 came more than once: a"]

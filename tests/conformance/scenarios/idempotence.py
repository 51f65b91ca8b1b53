"""Producers with an identity write each record once, in order."""

from __future__ import annotations

from typing import Any

from tests.conformance.scenarios import scenario
from tests.conformance.scenarios.records import batch_of, produce_request
from tests.conformance.talk import Talk

from ottla.wire.messages.init_producer_id import InitProducerIdRequest


@scenario(22, 0, 5)
def init_producer_id(talk: Talk) -> None:
    def is_there() -> bool:
        return not talk.do(InitProducerIdRequest(None, 1_000), 1).error_code

    talk.wait_for(is_there)
    talk.ask("a new one", InitProducerIdRequest(None, 1_000))
    talk.ask("another", InitProducerIdRequest(None, 1_000))
    talk.ask("of an empty transactional id", InitProducerIdRequest("", 1_000))
    if talk.version >= 3:
        answer = talk.do(InitProducerIdRequest(None, 1_000), talk.version)
        known = InitProducerIdRequest(None, 1_000, answer.producer_id, answer.producer_epoch)
        talk.ask("one that has one", known)
        half = InitProducerIdRequest(None, 1_000, answer.producer_id, -1)
        talk.ask("an id without an epoch", half)


@scenario(0, 3, 13)
def produce_once(talk: Talk) -> None:
    topic = talk.topic("once", 2)
    producer = talk.wait_for(
        lambda: (
            answer
            if not (answer := talk.do(InitProducerIdRequest(None, 1_000), 1)).error_code
            else None
        )
    )
    known: dict[str, Any] = {"producer_id": producer.producer_id, "producer_epoch": 0}

    def ask(label: str, sequence: int, *values: str, partition: int = 0, **how: Any) -> None:
        batch = batch_of(*values, base_sequence=sequence, **{**known, **how})
        talk.ask(label, produce_request(topic, batch, partition=partition))

    ask("the first two", 0, "a", "b")
    ask("the first two again", 0, "a", "b")
    ask("a gap", 7, "h")
    ask("the third", 2, "c")
    ask("only the second again", 1, "b")
    for sequence in range(3, 9):
        ask(f"number {sequence}", sequence, "x")
    ask("an old one, forgotten", 2, "c")
    ask("the last but four, remembered", 4, "x")
    ask("a newer epoch, in the middle", 5, "y", producer_epoch=1)
    ask("a newer epoch", 0, "y", producer_epoch=1)
    ask("the older epoch", 9, "z")
    ask("not from the start in a new partition", 5, "y", partition=1, producer_epoch=1)
    ask("a producer nobody knows", 0, "y", producer_id=999_999_999, producer_epoch=0)
    ask("a producer nobody knows, in the middle", 5, "y", producer_id=999_999_998)
    ask("no sequence", -1, "y", producer_epoch=1)
    ask("no epoch", 1, "y", producer_epoch=-1)

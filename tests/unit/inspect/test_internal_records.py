"""Internal records, as Apache Kafka 4.3.1 wrote them, come out as its own tool prints them."""

import pytest

from ottla.inspect.internal_records import (
    GROUPS,
    TRANSACTIONS,
    UnknownRecordError,
    camel_case,
    decode,
)

MEMBER_KEY = bytes.fromhex("0005000267310002" + "6d31")
#: Its last bytes say "no classic member" explicitly: tag 0, one byte, null.
MEMBER_VALUE = bytes.fromhex(
    "000000000872646b61666b610b2f3132372e302e302e310209746f6f6c732d636b01000493e00001000100"
)


def test_a_member_of_a_modern_group() -> None:
    kind, key, version, value = decode(GROUPS, MEMBER_KEY, MEMBER_VALUE)
    assert (kind, key, version) == (5, {"groupId": "g1", "memberId": "m1"}, 0)
    assert value == {
        "instanceId": None,
        "rackId": None,
        "clientId": "rdkafka",
        "clientHost": "/127.0.0.1",
        "subscribedTopicNames": ["tools-ck"],
        "subscribedTopicRegex": "",
        "rebalanceTimeoutMs": 300000,
        "serverAssignor": None,
        "classicMemberMetadata": None,
    }


def test_a_deletion_has_no_value() -> None:
    assert decode(GROUPS, MEMBER_KEY, None) == (5, {"groupId": "g1", "memberId": "m1"}, None, None)


def test_a_transaction_leaves_out_what_was_left_alone() -> None:
    key = bytes.fromhex("00000003747831")
    from ottla.coordinator.records.framing import encode_value
    from ottla.coordinator.records.transactions import TransactionLogValue

    written = encode_value(TransactionLogValue(producer_id=7), 1)
    kind, key_fields, version, value = decode(TRANSACTIONS, key, written)
    assert (kind, key_fields, version) == (0, {"transactionalId": "tx1"}, 1)
    assert value is not None
    assert value["producerId"] == 7
    assert "nextProducerId" not in value


def test_an_unknown_kind_is_named() -> None:
    with pytest.raises(UnknownRecordError) as caught:
        decode(GROUPS, bytes.fromhex("0063"), b"")
    assert caught.value.kind == 0x63


def test_names_are_kafkas() -> None:
    assert camel_case("producer_id") == "producerId"
    assert camel_case("group") == "group"

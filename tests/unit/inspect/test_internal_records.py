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


@pytest.mark.parametrize(
    ("key", "value", "fields"),
    [
        (
            "0017000167",
            (
                "0000000000020202300203696e0204782e2a02026300000000000102026b02760000020272010202"
                "00000101000000"
            ),
            {
                "epoch": 2,
                "subtopologies": [
                    {
                        "subtopologyId": "0",
                        "sourceTopics": ["in"],
                        "sourceTopicRegex": ["x.*"],
                        "stateChangelogTopics": [
                            {
                                "name": "c",
                                "partitions": 0,
                                "replicationFactor": 1,
                                "topicConfigs": [{"key": "k", "value": "v"}],
                            }
                        ],
                        "repartitionSinkTopics": ["r"],
                        "repartitionSourceTopics": [],
                        "copartitionGroups": [
                            {
                                "sourceTopics": [0],
                                "sourceTopicRegex": [],
                                "repartitionSourceTopics": [],
                            }
                        ],
                    }
                ],
            },
        ),
        (
            "00130001670000",
            "000001010101ffffffff0000000001010268fde8000100",
            {
                "instanceId": "",
                "rackId": "",
                "clientId": "",
                "clientHost": "",
                "rebalanceTimeoutMs": -1,
                "topologyEpoch": 0,
                "processId": "",
                "userEndpoint": {"host": "h", "port": 65000},
                "clientTags": [],
            },
        ),
        # What is left out, what is null and what is said are three things.
        ("0011000167", "000000000000000000000000000000", {"epoch": 0, "metadataHash": 0}),
        (
            "0011000167",
            "000000000000000000000000000001010100",
            {"epoch": 0, "metadataHash": 0, "lastAssignmentConfigs": None},
        ),
        (
            "0011000167",
            "000000000000000000000000000001011902156e756d2e7374616e6462792e7265706c69636173023000",
            {
                "epoch": 0,
                "metadataHash": 0,
                "lastAssignmentConfigs": [{"key": "num.standby.replicas", "value": "0"}],
            },
        ),
        (
            "00150001670000",
            "000002023003000000010000000200010100",
            {
                "activeTasks": [{"subtopologyId": "0", "partitions": [1, 2]}],
                "standbyTasks": [],
                "warmupTasks": [],
            },
        ),
        (
            "0014000167",
            "0000000000000100080000000000000007",
            {"assignmentEpoch": 0, "assignmentTimestamp": 7},
        ),
    ],
)
def test_records_of_streams_groups(key: str, value: str, fields: dict[str, object]) -> None:
    shown = decode(GROUPS, bytes.fromhex(key), bytes.fromhex(value))
    assert shown[2:] == (0, fields)


def test_sixteen_bytes_are_not_always_a_uuid() -> None:
    value = bytes.fromhex(
        "00030001780000000000000000ffffffffffffffff000000010000ffff00000000ffffffff00000000000000"
        "103132333435363738393031323334353600000000"
    )
    shown = decode(GROUPS, bytes.fromhex("0002000167"), value)[3]
    assert shown is not None
    assert shown["members"][0]["subscription"] == "MTIzNDU2Nzg5MDEyMzQ1Ng=="


def test_a_modern_member_is_written_as_kafka_writes_it() -> None:
    """Left out, the classic side would be an empty one, and the member classic to Kafka."""
    from ottla.coordinator.consumer_group import ConsumerMember
    from ottla.coordinator.records.framing import encode_value

    member = ConsumerMember(
        member_id="m1",
        client_id="rdkafka",
        client_host="/127.0.0.1",
        subscribed_topic_names=("tools-ck",),
        rebalance_timeout_ms=300_000,
    )
    assert encode_value(member.metadata_record()) == MEMBER_VALUE


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

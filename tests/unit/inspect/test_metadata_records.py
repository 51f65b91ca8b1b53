from __future__ import annotations

import pytest

from ottla.inspect.metadata_records import UnknownMetadataError, decode, decode_control

ID = bytes(range(16))
ID_TEXT = "AAECAwQFBgcICQoLDA0ODw"


def test_plain_fields_come_in_their_order() -> None:
    value = b"\x01\x02\x00" + b"\x07orders" + ID + b"\x00"
    assert decode(value) == ("TOPIC_RECORD", 0, {"name": "orders", "topicId": ID_TEXT})


def test_tagged_fields_are_shown_where_they_are() -> None:
    tags = b"\x02" + b"\x00\x05\x02\x00\x00\x00\x07" + b"\x01\x04\x00\x00\x00\x09"
    value = b"\x01\x05\x02" + b"\x00\x00\x00\x01" + ID + tags
    assert decode(value) == (
        "PARTITION_CHANGE_RECORD",
        2,
        {"partitionId": 1, "topicId": ID_TEXT, "isr": [7], "leader": 9},
    )


def test_nulls_numbers_and_structures() -> None:
    entity = b"\x03" + b"\x05user\x00\x00" + b"\x03ip\x02x\x00"
    value = b"\x01\x0e\x00" + entity + b"\x02k" + b"\x3f\xf8" + bytes(6) + b"\x01" + b"\x00"
    assert decode(value)[2] == {
        "entity": [
            {"entityType": "user", "entityName": None},
            {"entityType": "ip", "entityName": "x"},
        ],
        "key": "k",
        "value": 1.5,
        "remove": True,
    }


def test_control_records_of_a_quorum() -> None:
    endpoint = b"\x02" + b"\x02C" + b"\x02h" + b"\x23\x85" + b"\x00"
    voter = b"\x00\x00\x00\x01" + ID + endpoint + b"\x00\x00\x00\x01\x00" + b"\x00"
    title, shown = decode_control(6, b"\x00\x00" + b"\x02" + voter + b"\x00") or ("", {})
    assert title == "KRaftVoters"
    assert shown["voters"][0]["endpoints"] == [{"name": "C", "host": "h", "port": 9093}]
    assert shown["voters"][0]["kRaftVersionFeature"]["maxSupportedVersion"] == 1
    assert decode_control(0, b"") is None


@pytest.mark.parametrize("value", [b"", b"\x02\x02\x00", b"\x01\x63\x00", b"\x01\x02\x00\x07or"])
def test_what_is_no_record_is_told(value: bytes) -> None:
    with pytest.raises(UnknownMetadataError):
        decode(value)

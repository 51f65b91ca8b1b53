"""Records of tiered storage, as Apache Kafka 4.3.1 wrote and printed them."""

import pytest

from ottla.inspect.metadata_records import UnknownMetadataError
from ottla.inspect.remote_log_records import text_of

WRITTEN = [
    (
        (
            "01000008746f7069632d61000000000000000100000000000000020000000300000000000000"
            "000500000000000000060000000000000000000000000000000063000000010000018bcfe568"
            "000000018bcfe568010300000000000000000000000000000000020000000000000032000000"
            "0400000000"
        ),
        (
            "RemoteLogSegmentMetadata{remoteLogSegmentId=RemoteLogSegmentId{topicIdPartit"
            "ion=AAAAAAAAAAEAAAAAAAAAAg:topic-a-3, id=AAAAAAAAAAUAAAAAAAAABg}, startOffse"
            "t=0, endOffset=99, brokerId=1, maxTimestampMs=1700000000000, eventTimestampM"
            "s=1700000000001, segmentLeaderEpochs={0=0, 2=50}, segmentSizeInBytes=1024, c"
            "ustomMetadata=Optional.empty, state=COPY_SEGMENT_STARTED, txnIdxEmpty=false}"
        ),
    ),
    (
        (
            "01000008746f7069632d61000000000000000100000000000000020000000300000000000000"
            "00050000000000000006000000000000000000000000000000006300000001ffffffffffffff"
            "ff0000018bcfe56801020000000000000000000000000000000400040102fd0101000101"
        ),
        (
            "RemoteLogSegmentMetadata{remoteLogSegmentId=RemoteLogSegmentId{topicIdPartit"
            "ion=AAAAAAAAAAEAAAAAAAAAAg:topic-a-3, id=AAAAAAAAAAUAAAAAAAAABg}, startOffse"
            "t=0, endOffset=99, brokerId=1, maxTimestampMs=-1, eventTimestampMs=170000000"
            "0001, segmentLeaderEpochs={0=0}, segmentSizeInBytes=1024, customMetadata=Opt"
            "ional[CustomMetadata{3 bytes}], state=COPY_SEGMENT_FINISHED, txnIdxEmpty=tru"
            "e}"
        ),
    ),
    (
        (
            "01010008746f7069632d61000000000000000100000000000000020000000300000000000000"
            "0005000000000000000600000000010000018bcfe56802000100"
        ),
        (
            "RemoteLogSegmentMetadataUpdate{remoteLogSegmentId=RemoteLogSegmentId{topicId"
            "Partition=AAAAAAAAAAEAAAAAAAAAAg:topic-a-3, id=AAAAAAAAAAUAAAAAAAAABg}, cust"
            "omMetadata=Optional.empty, state=COPY_SEGMENT_FINISHED, eventTimestampMs=170"
            "0000000002, brokerId=1}"
        ),
    ),
    (
        (
            "01010008746f7069632d61000000000000000100000000000000020000000300000000000000"
            "0005000000000000000600000000010000018bcfe5680202090200"
        ),
        (
            "RemoteLogSegmentMetadataUpdate{remoteLogSegmentId=RemoteLogSegmentId{topicId"
            "Partition=AAAAAAAAAAEAAAAAAAAAAg:topic-a-3, id=AAAAAAAAAAUAAAAAAAAABg}, cust"
            "omMetadata=Optional[CustomMetadata{1 bytes}], state=DELETE_SEGMENT_STARTED, "
            "eventTimestampMs=1700000000002, brokerId=1}"
        ),
    ),
    (
        (
            "01020008746f7069632d61000000000000000100000000000000020000000300000000040000"
            "018bcfe568030000"
        ),
        (
            "RemotePartitionDeleteMetadata{topicPartition=AAAAAAAAAAEAAAAAAAAAAg:topic-a-"
            "3, state=DELETE_PARTITION_MARKED, eventTimestampMs=1700000000003, brokerId=4"
            "}"
        ),
    ),
]


@pytest.mark.parametrize(("data", "text"), WRITTEN)
def test_each_kind_is_told_as_java_tells_it(data: str, text: str) -> None:
    assert text_of(bytes.fromhex(data)) == text


@pytest.mark.parametrize(
    "data", ["", "02", "010900", WRITTEN[0][0][:-6], WRITTEN[4][0][:-4] + "7700"]
)
def test_other_bytes_are_refused(data: str) -> None:
    with pytest.raises(UnknownMetadataError):
        text_of(bytes.fromhex(data))

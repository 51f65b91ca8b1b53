"""Bytes that are no request, or not quite."""

from __future__ import annotations

from tests.conformance.scenarios import scenario
from tests.conformance.talk import Talk, is_alive, raw_request

from ottla.wire import frames
from ottla.wire.messages.metadata import MetadataRequest, MetadataRequestTopic


@scenario(3, 1, 1)
def bad_frames(talk: Talk) -> None:
    good = b"".join(frames.encode_request(MetadataRequest([]), 1, 7, "talk"))[4:]
    flexible = b"".join(frames.encode_request(MetadataRequest([]), 12, 7, "talk"))[4:]
    talk.say_raw("a good one", good)
    talk.say_raw("nothing", b"")
    talk.say_raw("a negative size", good, size=-1)
    talk.say_raw("a size beyond all limits", good, size=2**31 - 1)
    talk.say_raw("half a header", good[:5])
    talk.say_raw("a header alone", good[:14])
    talk.say_raw("cut short", good[:-2])
    talk.say_raw("something behind", good + b"more")
    talk.say_raw("an unknown API", raw_request(999, 0, b""))
    talk.say_raw("a negative API", raw_request(-1, 0, b""))
    talk.say_raw("an unknown version", raw_request(3, 99, b"\x00" * 9, flexible=True))
    talk.say_raw("a negative version", raw_request(3, -1, b""))
    talk.say_raw("a version that was dropped", raw_request(1, 3, b"\x00" * 40))
    talk.say_raw("a request between brokers", raw_request(4, 0, b"\x00" * 40))
    talk.say_raw("more elements than bytes", raw_request(3, 1, b"\x7f\xff\xff\xff"))
    talk.say_raw("an element count below null", raw_request(3, 1, b"\xff\xff\xff\xfe"))
    talk.say_raw("text that is not UTF-8", raw_request(3, 1, b"\0\0\0\1\0\2\xff\xfe"))
    talk.say_raw("garbage", bytes(range(256)))
    talk.say_raw("an HTTP request", b"T / HTTP/1.1\r\n\r\n", size=int.from_bytes(b"GET ", "big"))
    long_name = MetadataRequest([MetadataRequestTopic(name="x" * 40_000)])
    frame = b"".join(frames.encode_request(long_name, 12, 7, "talk"))[4:]
    talk.say_raw("too long a string", frame)
    unknown_tag = flexible[:-1] + b"\x01\x63\x02zz"
    talk.say_raw("an unknown tagged field", unknown_tag)
    talk.say_raw("a tagged field cut short", flexible[:-1] + b"\x01\x63\x7fzz")
    talk.note("others are served", is_alive(talk))

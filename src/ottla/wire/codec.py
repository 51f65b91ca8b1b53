"""Encoders and decoders, compiled from the schemas when first used.

For each pair of message class and version one straight-line Python function
is generated: consecutive fixed-width fields become one `struct` call, absent
fields keep their defaults, unknown tagged fields are skipped (KIP-482).

Errors: a decoder raises `ProtocolError`, and nothing else, on any input that
is not a message: too short, a length below its minimum, an array that claims
more elements than bytes are left, or than Kafka allows, text that is not UTF-8.

Records are never copied on the way out if they are large: encoders note where
they belong (a splice), and `encode_spliced` hands them on as buffers of their own.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, Final, TypeAlias, TypeVar

from ottla.wire.errors import ProtocolError
from ottla.wire.message import Buffer, FieldSchema, Message, Records

M = TypeVar("M", bound=Message)
Decoder: TypeAlias = Callable[[memoryview, int], tuple[Any, int]]
Splices: TypeAlias = list[tuple[int, Buffer]]
Encoder: TypeAlias = Callable[[Any, bytearray, Splices | None], None]

#: Kafka's own limits (since 4.4) on what one message may hold.
MAX_ARRAY_ELEMENTS: Final = 1_000_000
MAX_TAGGED_FIELDS: Final = 10_000
#: Strings keep the limit of their old two-byte length in flexible versions too.
MAX_STRING_BYTES: Final = 32_767
#: Records shorter than this are copied: a buffer more costs a send as much.
SPLICE_FROM_BYTES: Final = 4_096

FIXED: Final = {
    "bool": ("?", 1),
    "int8": ("b", 1),
    "int16": ("h", 2),
    "uint16": ("H", 2),
    "int32": ("i", 4),
    "uint32": ("I", 4),
    "int64": ("q", 8),
    "float64": ("d", 8),
    "uuid": ("16s", 16),
}

_decoders: dict[tuple[type[Message], int, bool], Decoder] = {}
_encoders: dict[tuple[type[Message], int, bool], Encoder] = {}


def read_unsigned_varint(buffer: memoryview, position: int) -> tuple[int, int]:
    """Read an unsigned varint of at most five bytes; returns (value, next position)."""
    value = shift = 0
    while True:
        byte = buffer[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 28:
            raise ProtocolError("varint is longer than five bytes")


def write_unsigned_varint(value: int, out: bytearray) -> None:
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)


def skip_tagged_fields(buffer: memoryview, position: int) -> int:
    """Step over a tagged-field section; returns the position after it."""
    count, position = read_unsigned_varint(buffer, position)
    if count > MAX_TAGGED_FIELDS:
        raise ProtocolError("too many tagged fields")
    for _ in range(count):
        _, position = read_unsigned_varint(buffer, position)
        size, position = read_unsigned_varint(buffer, position)
        position += size
        if position > len(buffer):
            raise ProtocolError("tagged field runs past the end of the message")
    return position


def decode(cls: type[M], version: int, buffer: Buffer, position: int, flexible: bool) -> M:
    """Decode a whole message that starts at `position` and may not end early."""
    view = memoryview(buffer)
    message, end = decode_from(cls, version, view, position, flexible)
    if end > len(view):
        raise ProtocolError(f"{cls.__name__} v{version} ends {end - len(view)} bytes too early")
    return message


def decode_from(
    cls: type[M], version: int, view: memoryview, position: int, flexible: bool
) -> tuple[M, int]:
    """Decode a message out of a longer buffer; returns it and the position after it."""
    decoder = _decoders.get((cls, version, flexible))
    if decoder is None:
        decoder = decoder_for(cls, version, flexible)
    try:
        return decoder(view, position)
    except ProtocolError:
        raise
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise ProtocolError(f"{cls.__name__} v{version}: {error}") from None


def encode(message: Message, version: int, flexible: bool, out: bytearray) -> None:
    """Append the encoding of `message` to `out`.

    Errors: `ValueError` when a field is null that this version cannot carry
    as null, `struct.error` when a number is out of range. Both are our own
    mistakes, never a client's.
    """
    encoder = _encoders.get((type(message), version, flexible))
    if encoder is None:
        encoder = encoder_for(type(message), version, flexible)
    encoder(message, out, None)


def encode_spliced(
    message: Message, version: int, flexible: bool, out: bytearray
) -> tuple[list[Buffer], int]:
    """Encode behind what `out` holds already; returns all buffers to send and their size.

    The first buffer begins with the old content of `out`, which may still be
    changed in place; large records are the caller's own objects, not copied,
    and must not change until they are sent. Errors: as `encode`.
    """
    encoder = _encoders.get((type(message), version, flexible))
    if encoder is None:
        encoder = encoder_for(type(message), version, flexible)
    splices: Splices = []
    encoder(message, out, splices)
    size = len(out)
    if not splices:
        return [out], size
    view = memoryview(out)
    buffers: list[Buffer] = []
    start = 0
    for position, records in splices:
        if position > start:
            buffers.append(view[start:position])
            start = position
        buffers.append(records)
        size += len(records)
    if start < len(view):
        buffers.append(view[start:])
    return buffers, size


_NO_RECORDS: Final = bytes(4)
_NO_RECORDS_FLEXIBLE: Final = b"\x01"


def put_records(records: Records, flexible: bool, out: bytearray, splices: Splices | None) -> None:
    """Write the length of `records` and then themselves, or where they belong."""
    if not records:
        out += _NO_RECORDS_FLEXIBLE if flexible else _NO_RECORDS
        return
    parts = [records] if isinstance(records, bytes | bytearray | memoryview) else records
    size = sum(map(len, parts))
    if flexible:
        write_unsigned_varint(size + 1, out)
    else:
        out += size.to_bytes(4, "big")
    for part in parts:
        if splices is None or len(part) < SPLICE_FROM_BYTES:
            out += part
        else:
            splices.append((len(out), part))


def null_error(name: str) -> ValueError:
    return ValueError(f"{name} is null, which this version cannot express")


class _Source:
    """Collects the lines and the names of one generated function."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.names: dict[str, Any] = {
            "ProtocolError": ProtocolError,
            "null_error": null_error,
            "uvarint": read_unsigned_varint,
            "put_uvarint": write_unsigned_varint,
            "put_records": put_records,
        }
        self.counter = 0

    def bind(self, value: Any) -> str:
        self.counter += 1
        name = f"k{self.counter}"
        self.names[name] = value
        return name

    def add(self, indent: int, *lines: str) -> None:
        self.lines += ["    " * indent + line for line in lines]

    def compile(self, name: str) -> Any:
        source = "\n".join(self.lines)
        exec(compile(source, f"<wire codec {name}>", "exec"), self.names)
        return self.names[name]


def _nullable(field: FieldSchema, version: int) -> bool:
    return field.null_from <= version <= field.null_to


def _present(field: FieldSchema, version: int) -> bool:
    return field.first <= version <= field.last


def _is_tagged(field: FieldSchema, version: int) -> bool:
    return field.tag >= 0 and version >= field.tag_from


def _minimum_size(type_: str | type[Message], version: int, flexible: bool) -> int:
    if isinstance(type_, str):
        if type_ in FIXED:
            return FIXED[type_][1]
        if flexible:
            return 1
        return 2 if type_ == "string" else 4
    size = 1 if flexible else 0
    for field in type_.SCHEMA:
        if not _present(field, version) or (field.tag >= 0 and version >= field.tag_from):
            continue
        if field.is_array:
            size += 1 if flexible else 4
        elif isinstance(field.type_, str) or not _nullable(field, version):
            size += _minimum_size(field.type_, version, flexible)
        else:
            size += 1
    return size


def decoder_for(cls: type[Message], version: int, flexible: bool) -> Decoder:
    """The decoder of one class at one version; compiled once."""
    known = _decoders.get((cls, version, flexible))
    if known is not None:
        return known
    src = _Source()
    src.names["cls"] = cls
    src.add(0, "def decode(buf, pos):")
    src.add(1, "size = len(buf)", "m = cls()")
    run: list[FieldSchema] = []

    def flush_run() -> None:
        if not run:
            return
        fixed = struct.Struct(">" + "".join(FIXED[str(f.type_)][0] for f in run))
        reader = src.bind(fixed.unpack_from)
        targets = ", ".join(f"m.{f.name}" for f in run)
        comma = "," if len(run) == 1 else ""
        src.add(1, f"{targets}{comma} = {reader}(buf, pos)", f"pos += {fixed.size}")
        run.clear()

    tagged = []
    for field in cls.SCHEMA:
        if not _present(field, version):
            continue
        if _is_tagged(field, version):
            tagged.append(field)
            continue
        if not field.is_array and field.type_ in FIXED:
            run.append(field)
            continue
        flush_run()
        _decode_value(src, 1, field, version, flexible)
    flush_run()
    if flexible:
        _decode_tags(src, tagged, version)
    src.add(1, "return m, pos")
    decoder: Decoder = src.compile("decode")
    _decoders[cls, version, flexible] = decoder
    return decoder


def _decode_tags(src: _Source, tagged: list[FieldSchema], version: int) -> None:
    src.add(1, "n = buf[pos]", "pos += 1")
    src.add(1, "if n:")
    src.add(2, "if n > 127: n, pos = uvarint(buf, pos - 1)")
    src.add(2, f"if n > {MAX_TAGGED_FIELDS}: raise ProtocolError('too many tagged fields')")
    src.add(2, "for _ in range(n):")
    src.add(3, "tag, pos = uvarint(buf, pos)", "length, pos = uvarint(buf, pos)")
    src.add(3, "end = pos + length")
    src.add(3, "if end > size: raise ProtocolError('tagged field runs past the message')")
    for i, field in enumerate(tagged):
        src.add(3, f"{'if' if i == 0 else 'elif'} tag == {field.tag}:")
        _decode_value(src, 4, field, version, True)
        src.add(4, "if pos != end: raise ProtocolError('tagged field has a wrong size')")
    src.add(3, "pos = end")


def _decode_length(src: _Source, indent: int, type_: str, flexible: bool) -> None:
    if flexible:
        src.add(indent, "n = buf[pos]", "pos += 1")
        src.add(indent, "if n > 127: n, pos = uvarint(buf, pos - 1)", "n -= 1")
    else:
        code, width = FIXED[type_]
        reader = src.bind(struct.Struct(">" + code).unpack_from)
        src.add(indent, f"(n,) = {reader}(buf, pos)", f"pos += {width}")


def _decode_value(
    src: _Source, indent: int, field: FieldSchema, version: int, flexible: bool
) -> None:
    nullable = _nullable(field, version)
    target = f"m.{field.name}"
    if field.is_array:
        _decode_length(src, indent, "int32", flexible)
        least = max(1, _minimum_size(field.type_, version, flexible))
        src.add(indent, f"if n * {least} > size - pos or n > {MAX_ARRAY_ELEMENTS}:")
        src.add(indent + 1, "raise ProtocolError(f'array claims {n} elements')")
        src.add(indent, "if n < 0:")
        if nullable:
            src.add(indent + 1, f"{target} = None")
        else:
            src.add(indent + 1, f"raise ProtocolError('{field.name} is null')")
        src.add(indent, "else:")
        if isinstance(field.type_, str):
            if field.type_ in FIXED:
                code, width = FIXED[field.type_]
                if width == 16:
                    src.add(
                        indent + 1,
                        f"{target} = [bytes(buf[i:i + 16]) for i in range(pos, pos + 16 * n, 16)]",
                    )
                else:
                    unpack = src.bind(struct.unpack_from)
                    src.add(indent + 1, f"{target} = list({unpack}(f'>{{n}}{code}', buf, pos))")
                src.add(indent + 1, f"pos += {width} * n")
            else:
                src.add(indent + 1, f"{target} = items = []", "for _ in range(n):")
                _decode_scalar(src, indent + 2, field.type_, "v", False, flexible, field.name)
                src.add(indent + 2, "items.append(v)")
        else:
            inner = src.bind(decoder_for(field.type_, version, flexible))
            src.add(indent + 1, f"{target} = items = []", "for _ in range(n):")
            src.add(indent + 2, f"v, pos = {inner}(buf, pos)", "items.append(v)")
        return
    if isinstance(field.type_, str):
        _decode_scalar(src, indent, field.type_, target, nullable, flexible, field.name)
        return
    inner = src.bind(decoder_for(field.type_, version, flexible))
    if nullable:
        # A null structure is a negative int8, but a zero where it is tagged.
        is_null = "n == 0" if _is_tagged(field, version) else "n > 127"
        src.add(indent, "n = buf[pos]", "pos += 1")
        src.add(indent, f"if {is_null}: {target} = None")
        src.add(indent, f"else: {target}, pos = {inner}(buf, pos)")
    else:
        src.add(indent, f"{target}, pos = {inner}(buf, pos)")


def _decode_scalar(
    src: _Source, indent: int, type_: str, target: str, nullable: bool, flexible: bool, name: str
) -> None:
    if type_ in FIXED:
        code, width = FIXED[type_]
        reader = src.bind(struct.Struct(">" + code).unpack_from)
        src.add(indent, f"({target},) = {reader}(buf, pos)", f"pos += {width}")
        return
    _decode_length(src, indent, "int16" if type_ == "string" else "int32", flexible)
    src.add(indent, "if n < 0:")
    if nullable:
        src.add(indent + 1, f"{target} = None")
    else:
        src.add(indent + 1, f"raise ProtocolError('{name} is null')")
    src.add(indent, "else:")
    if flexible and type_ == "string":
        src.add(indent + 1, f"if n > {MAX_STRING_BYTES}: raise ProtocolError('{name} is too long')")
    src.add(indent + 1, "end = pos + n")
    src.add(indent + 1, f"if end > size: raise ProtocolError('{name} runs past the message')")
    value = "str(buf[pos:end], 'utf-8')" if type_ == "string" else "buf[pos:end]"
    src.add(indent + 1, f"{target} = {value}", "pos = end")


def encoder_for(cls: type[Message], version: int, flexible: bool) -> Encoder:
    """The encoder of one class at one version; compiled once."""
    known = _encoders.get((cls, version, flexible))
    if known is not None:
        return known
    src = _Source()
    src.add(0, "def encode(m, out, splices):")
    run: list[FieldSchema] = []

    def flush_run() -> None:
        if not run:
            return
        fixed = struct.Struct(">" + "".join(FIXED[str(f.type_)][0] for f in run))
        writer = src.bind(fixed.pack)
        src.add(1, f"out += {writer}({', '.join(f'm.{f.name}' for f in run)})")
        run.clear()

    tagged = []
    for field in cls.SCHEMA:
        if not _present(field, version):
            continue
        if _is_tagged(field, version):
            tagged.append(field)
            continue
        if not field.is_array and field.type_ in FIXED:
            run.append(field)
            continue
        flush_run()
        _encode_value(src, 1, field, version, flexible, "out")
    flush_run()
    if flexible:
        _encode_tags(src, cls, tagged, version)
    src.add(1, "return None")
    encoder: Encoder = src.compile("encode")
    _encoders[cls, version, flexible] = encoder
    return encoder


def _differs(src: _Source, expression: str, default: object, nullable: bool = False) -> str:
    """Python source that says whether a value is not its default, field by field."""
    if default is None:
        return f"{expression} is not None"
    if nullable:
        return f"{expression} is None or {_differs(src, expression, default)}"
    if isinstance(default, list):
        return expression
    if isinstance(default, Message):
        return " or ".join(
            _differs(src, f"{expression}.{f.name}", getattr(default, f.name))
            for f in default.SCHEMA
        )
    return f"{expression} != {src.bind(default)}"


def _encode_tags(src: _Source, cls: type[Message], tagged: list[FieldSchema], version: int) -> None:
    if not tagged:
        src.add(1, "out.append(0)")
        return
    defaults = cls()
    src.add(1, "tags = ()")
    for field in sorted(tagged, key=lambda f: f.tag):
        assert field.type_ != "records", "splices count from the start of the message"
        default, nullable = getattr(defaults, field.name), _nullable(field, version)
        src.add(1, f"if {_differs(src, f'm.{field.name}', default, nullable)}:")
        src.add(2, "t = bytearray()")
        _encode_value(src, 2, field, version, True, "t")
        src.add(2, f"tags += (({field.tag}, t),)")
    src.add(1, "if not tags:", "    out.append(0)", "    return")
    src.add(1, "put_uvarint(len(tags), out)", "for tag, t in tags:")
    src.add(2, "put_uvarint(tag, out)", "put_uvarint(len(t), out)", "out += t")


def _encode_length(
    src: _Source, indent: int, type_: str, flexible: bool, expression: str, out: str
) -> None:
    if flexible:
        src.add(indent, f"n = {expression} + 1", f"if n < 128: {out}.append(n)")
        src.add(indent, f"else: put_uvarint(n, {out})")
    else:
        pack = src.bind(struct.Struct(">" + FIXED[type_][0]).pack)
        src.add(indent, f"{out} += {pack}({expression})")


def _encode_null(
    src: _Source, indent: int, field: FieldSchema, version: int, flexible: bool, out: str
) -> None:
    if not _nullable(field, version):
        src.add(indent, f"raise null_error('{field.name}')")
    elif flexible:
        src.add(indent, f"{out}.append(0)")
    elif field.type_ == "string" and not field.is_array:
        src.add(indent, f"{out} += b'\\xff\\xff'")
    else:
        src.add(indent, f"{out} += b'\\xff\\xff\\xff\\xff'")


def _encode_value(
    src: _Source, indent: int, field: FieldSchema, version: int, flexible: bool, out: str
) -> None:
    src.add(indent, f"v = m.{field.name}")
    type_ = field.type_
    if isinstance(type_, str) and type_ in FIXED and not field.is_array:
        src.add(indent, f"{out} += {src.bind(struct.Struct('>' + FIXED[type_][0]).pack)}(v)")
        return
    if not isinstance(type_, str) and not field.is_array:
        inner = src.bind(encoder_for(type_, version, flexible))
        if _nullable(field, version):
            null = 0 if _is_tagged(field, version) else 255
            src.add(indent, f"if v is None: {out}.append({null})")
            src.add(indent, "else:")
            src.add(indent + 1, f"{out}.append(1)", f"{inner}(v, {out}, splices)")
        else:
            src.add(indent, f"{inner}(v, {out}, splices)")
        return
    src.add(indent, "if v is None:")
    _encode_null(src, indent + 1, field, version, flexible, out)
    src.add(indent, "else:")
    if type_ == "records":
        src.add(indent + 1, f"put_records(v, {flexible}, {out}, splices)")
        return
    if not field.is_array:
        _encode_bytes(src, indent + 1, str(type_), flexible, out)
        return
    _encode_length(src, indent + 1, "int32", flexible, "len(v)", out)
    if not isinstance(type_, str):
        inner = src.bind(encoder_for(type_, version, flexible))
        src.add(indent + 1, f"for item in v: {inner}(item, {out}, splices)")
    elif type_ in FIXED:
        if FIXED[type_][1] == 16:
            src.add(indent + 1, f"for item in v: {out} += item")
        else:
            pack = src.bind(struct.pack)
            src.add(indent + 1, f"{out} += {pack}(f'>{{len(v)}}{FIXED[type_][0]}', *v)")
    else:
        src.add(indent + 1, "for v in v:")
        _encode_bytes(src, indent + 2, type_, flexible, out)


def _encode_bytes(src: _Source, indent: int, type_: str, flexible: bool, out: str) -> None:
    if type_ == "string":
        src.add(indent, "b = v.encode()")
        _encode_length(src, indent, "int16", flexible, "len(b)", out)
        src.add(indent, f"{out} += b")
    else:
        _encode_length(src, indent, "int32", flexible, "len(v)", out)
        src.add(indent, f"{out} += v")

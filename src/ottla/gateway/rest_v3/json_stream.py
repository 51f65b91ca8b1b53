"""Cutting a stream of concatenated JSON objects into single ones.

The objects come in pieces of any size, with white space or nothing between
them. Only brackets and strings are looked at here: whether an object is valid
JSON is for its parser to say.
"""

from __future__ import annotations

import re
from typing import Final

_MARKS: Final = re.compile(rb'["{}]')
_STRING_END: Final = re.compile(rb'["\\]')
_SPACE: Final = b" \t\r\n"


class NotAnObjectError(Exception):
    """Something between two objects is neither white space nor the start of one."""


class ObjectTooLongError(Exception):
    """An object is longer than allowed."""


class ObjectCutter:
    """Collects bytes and gives out each object when its last byte has come."""

    def __init__(self, max_bytes: int) -> None:
        self._buffer = bytearray()
        self._max_bytes = max_bytes
        self._looked_at = 0
        self._depth = 0
        self._in_string = False

    @property
    def is_between_objects(self) -> bool:
        return not self._buffer

    def feed(self, data: bytes) -> list[bytes]:
        """The objects that `data` completes.

        Errors: `NotAnObjectError`, `ObjectTooLongError`; the stream cannot be
        read any further then.
        """
        buffer = self._buffer
        buffer += data
        found: list[bytes] = []
        start, position = 0, self._looked_at
        end = len(buffer)
        while position < end:
            if self._in_string:
                mark = _STRING_END.search(buffer, position)
                if mark is None:
                    position = end
                elif buffer[mark.start()] == 0x22:
                    self._in_string = False
                    position = mark.end()
                elif mark.end() < end:
                    position = mark.end() + 1  # what is escaped ends nothing
                else:
                    position = mark.start()
                    break
                continue
            if self._depth == 0:
                while position < end and buffer[position] in _SPACE:
                    position += 1
                start = position
                if position == end:
                    break
                if buffer[position] != 0x7B:
                    raise NotAnObjectError
            mark = _MARKS.search(buffer, position)
            if mark is None:
                position = end
                break
            position = mark.end()
            byte = buffer[mark.start()]
            if byte == 0x22:
                self._in_string = True
            elif byte == 0x7B:
                self._depth += 1
            else:
                self._depth -= 1
                if self._depth == 0:
                    found.append(bytes(buffer[start:position]))
                    start = position
        del buffer[:start]
        self._looked_at = position - start
        if len(buffer) > self._max_bytes:
            raise ObjectTooLongError
        return found

"""Regular expressions that cannot be made slow.

KIP-848 subscriptions carry expressions of clients we do not know; Kafka gives
them to RE2/J, which takes linear time. Python's `re` backtracks, so that one
client could stop the broker; this matcher walks all alternatives at once
instead (Thompson's construction). Its time is the length of the text times the
size of the expression, which has a limit.

Understood: literals, `.`, classes with ranges and `[[:alpha:]]`, `\\d \\w \\s`
and their opposites, `\\Q...\\E`, groups of all kinds, `|`, `* + ? {n,m}` with a
lazy mark, `^ $ \\A \\z \\b`, and the flags `i` and `s`. As in RE2 there are no
back references and no look-around.
Errors: `RegexError` says what is wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeAlias

MAX_PATTERN: Final = 4096
MAX_REPEAT: Final = 1000
MAX_STATES: Final = 10_000

Test: TypeAlias = Callable[[str], bool]

SPECIAL: Final = "\\.+*?()|[]{}^$"
CONTROL: Final = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "v": "\v", "a": "\a"}
PERL: Final[dict[str, Test]] = {
    "d": lambda c: "0" <= c <= "9",
    "w": lambda c: c == "_" or (c.isascii() and c.isalnum()),
    "s": lambda c: c in " \t\n\r\f",
}
POSIX: Final[dict[str, Test]] = {
    "alpha": lambda c: c.isascii() and c.isalpha(),
    "digit": PERL["d"],
    "alnum": lambda c: c.isascii() and c.isalnum(),
    "upper": lambda c: "A" <= c <= "Z",
    "lower": lambda c: "a" <= c <= "z",
    "space": lambda c: c in " \t\n\r\f\v",
    "word": PERL["w"],
    "punct": lambda c: "!" <= c <= "~" and not c.isalnum(),
    "xdigit": lambda c: c in "0123456789abcdefABCDEF",
}


class RegexError(ValueError):
    """The text is not a regular expression that we understand."""


@dataclass(slots=True)
class _State:
    """Either consumes a character that passes `test`, or goes on to all of `out`."""

    test: Test | None = None
    assertion: str = ""
    out: tuple[int, ...] = ()


#: A part of the expression: builds its states before a given next state.
Fragment: TypeAlias = Callable[["_Program", int], int]


class _Program:
    def __init__(self) -> None:
        self.states: list[_State] = []

    def add(self, state: _State) -> int:
        if len(self.states) >= MAX_STATES:
            raise RegexError("the expression is too large")
        self.states.append(state)
        return len(self.states) - 1


class LinearRegex:
    """A compiled expression; `matches` is about the whole text."""

    def __init__(self, pattern: str) -> None:
        if len(pattern) > MAX_PATTERN:
            raise RegexError(f"the expression is longer than {MAX_PATTERN} characters")
        fragment = _Parser(pattern).parse()
        program = _Program()
        self._end = program.add(_State())
        self._start = fragment(program, self._end)
        self._states = program.states

    def matches(self, text: str) -> bool:
        current = self._closure({self._start}, text, 0)
        for i, character in enumerate(text):
            step: set[int] = set()
            for index in current:
                state = self._states[index]
                if state.test is not None and state.test(character):
                    step.update(state.out)
            if not step:
                return False
            current = self._closure(step, text, i + 1)
        return self._end in current

    def _closure(self, seeds: set[int], text: str, position: int) -> set[int]:
        """All states reachable without consuming a character."""
        seen = set(seeds)
        todo = list(seeds)
        while todo:
            state = self._states[todo.pop()]
            if state.test is not None or not _holds(state.assertion, text, position):
                continue
            for index in state.out:
                if index not in seen:
                    seen.add(index)
                    todo.append(index)
        return seen


def _holds(assertion: str, text: str, position: int) -> bool:
    if not assertion:
        return True
    if assertion == "^":
        return position == 0
    if assertion == "$":
        return position == len(text)
    before = position > 0 and PERL["w"](text[position - 1])
    after = position < len(text) and PERL["w"](text[position])
    return (before != after) == (assertion == "b")


def _consume(test: Test) -> Fragment:
    return lambda program, then: program.add(_State(test=test, out=(then,)))


def _assert(kind: str) -> Fragment:
    return lambda program, then: program.add(_State(assertion=kind, out=(then,)))


def _empty(program: _Program, then: int) -> int:
    return then


def _sequence(parts: list[Fragment]) -> Fragment:
    def build(program: _Program, then: int) -> int:
        for part in reversed(parts):
            then = part(program, then)
        return then

    return build


def _either(options: list[Fragment]) -> Fragment:
    if len(options) == 1:
        return options[0]
    return lambda program, then: program.add(
        _State(out=tuple(option(program, then) for option in options))
    )


def _optional(part: Fragment) -> Fragment:
    return lambda program, then: program.add(_State(out=(part(program, then), then)))


def _many(part: Fragment) -> Fragment:
    def build(program: _Program, then: int) -> int:
        loop = program.add(_State())
        program.states[loop].out = (part(program, loop), then)
        return loop

    return build


class _Parser:
    def __init__(self, pattern: str) -> None:
        self.pattern = pattern
        self.position = 0
        self.ignore_case = False
        self.dot_all = False

    def peek(self) -> str:
        return self.pattern[self.position : self.position + 1]

    def take(self) -> str:
        if self.position >= len(self.pattern):
            raise RegexError("the expression ends too early")
        self.position += 1
        return self.pattern[self.position - 1]

    def accept(self, text: str) -> bool:
        if self.pattern.startswith(text, self.position):
            self.position += len(text)
            return True
        return False

    def parse(self) -> Fragment:
        fragment = self.alternation(0)
        if self.position < len(self.pattern):
            raise RegexError("unexpected )")
        return fragment

    def alternation(self, depth: int) -> Fragment:
        if depth > 100:
            raise RegexError("groups are nested too deep")
        options = [self.concatenation(depth)]
        while self.accept("|"):
            options.append(self.concatenation(depth))
        return _either(options)

    def concatenation(self, depth: int) -> Fragment:
        parts: list[Fragment] = []
        while self.peek() not in ("", "|", ")"):
            if self.accept("\\Q"):
                end = self.pattern.find("\\E", self.position)
                end = len(self.pattern) if end < 0 else end
                parts += [self.literal(c) for c in self.pattern[self.position : end]]
                self.position = min(len(self.pattern), end + 2)
                continue
            parts.append(self.repetition(self.atom(depth)))
        return _sequence(parts)

    def repetition(self, part: Fragment) -> Fragment:
        repeated = False
        while True:
            if self.accept("*"):
                part = _many(part)
            elif self.accept("+"):
                part = _sequence([part, _many(part)])
            elif self.accept("?"):
                part = _optional(part)
            else:
                bounds = self.bounds()
                if bounds is None:
                    return part
                part = self.bounded(part, *bounds)
            if repeated:
                raise RegexError("a repetition of a repetition")
            repeated = True
            self.accept("?")  # lazy or greedy: the whole text matches or does not

    def bounds(self) -> tuple[int, int | None] | None:
        """`{n}`, `{n,}` or `{n,m}`; any other brace is itself."""
        if self.peek() != "{":
            return None
        end = self.pattern.find("}", self.position)
        low, comma, high = self.pattern[self.position + 1 : max(end, 0)].partition(",")
        if end < 0 or not _is_number(low) or (high and not _is_number(high)):
            return None
        self.position = end + 1
        least = int(low)
        most = least if not comma else int(high) if high else None
        if max(least, most or 0) > MAX_REPEAT or (most is not None and most < least):
            raise RegexError("bad repetition bounds")
        return least, most

    def bounded(self, part: Fragment, least: int, most: int | None) -> Fragment:
        parts = [part] * least
        if most is None:
            return _sequence([*parts, _many(part)])
        tail: Fragment = _empty
        for _ in range(most - least):
            tail = _optional(_sequence([part, tail]))
        return _sequence([*parts, tail])

    def atom(self, depth: int) -> Fragment:
        character = self.take()
        if character == "(":
            return self.group(depth)
        if character == "[":
            return _consume(self.character_class())
        if character == ".":
            return _consume((lambda c: True) if self.dot_all else (lambda c: c != "\n"))
        if character in "^$":
            return _assert(character)
        if character in "*+?":
            raise RegexError(f"nothing to repeat before {character}")
        if character == "\\":
            return self.escape()
        return self.literal(character)

    def literal(self, character: str) -> Fragment:
        if self.ignore_case:
            folded = character.casefold()
            return _consume(lambda c: c.casefold() == folded)
        return _consume(lambda c: c == character)

    def group(self, depth: int) -> Fragment:
        saved = self.ignore_case, self.dot_all
        if self.accept("?"):
            if self.accept("P<") or (self.peek() == "<" and self.named()):
                name, _, rest = self.pattern[self.position :].partition(">")
                if not rest and not self.pattern.endswith(">"):
                    raise RegexError("a group name that does not end")
                self.position += len(name) + 1
            elif self.flags():
                return _empty
        inner = self.alternation(depth + 1)
        if not self.accept(")"):
            raise RegexError("missing )")
        self.ignore_case, self.dot_all = saved
        return inner

    def named(self) -> bool:
        """`?<name>`; but `?<=` and `?<!` would look behind."""
        follows = self.pattern[self.position + 1 : self.position + 2]
        if follows in ("=", "!", ""):
            raise RegexError("look-behind is not supported")
        self.position += 1
        return True

    def flags(self) -> bool:
        """Flags of a group; True if they hold for the rest of the group around it."""
        value = True
        while True:
            flag = self.take()
            if flag == "-":
                value = False
            elif flag == "i":
                self.ignore_case = value
            elif flag == "s":
                self.dot_all = value
            elif flag == ":":
                return False
            elif flag == ")":
                return True
            elif flag not in "mU":
                raise RegexError(f"(?{flag} is not supported")

    def escape(self) -> Fragment:
        character = self.take()
        if character == "A":
            return _assert("^")
        if character == "z":
            return _assert("$")
        if character in "bB":
            return _assert(character)
        test = self.perl_class(character)
        return self.literal(self.escaped(character)) if test is None else _consume(test)

    def perl_class(self, character: str) -> Test | None:
        test = PERL.get(character.lower())
        if test is None or character.islower():
            return test
        return lambda c: not test(c)

    def escaped(self, character: str) -> str:
        if character in CONTROL:
            return CONTROL[character]
        if character == "x":
            digits = self.take() + self.take()
            try:
                return chr(int(digits, 16))
            except ValueError:
                raise RegexError(f"\\x{digits} is not a character") from None
        if character.isalnum():
            raise RegexError(f"\\{character} is not supported")
        return character

    def character_class(self) -> Test:
        negated = self.accept("^")
        tests: list[Test] = []
        first = True
        while first or self.peek() != "]":
            first = False
            tests.append(self.class_item())
        self.position += 1
        if self.ignore_case:
            tests = [_folding(test) for test in tests]
        return lambda c: any(test(c) for test in tests) != negated

    def class_item(self) -> Test:
        if self.accept("[:"):
            name, _, _ = self.pattern[self.position :].partition(":]")
            test = POSIX.get(name.removeprefix("^"))
            if test is None:
                raise RegexError(f"unknown class [:{name}:]")
            self.position += len(name) + 2
            return (lambda c: not test(c)) if name.startswith("^") else test
        low = self.take()
        if low == "\\":
            low = self.take()
            perl = self.perl_class(low)
            if perl is not None:
                return perl
            low = self.escaped(low)
        if self.peek() != "-" or self.pattern[self.position + 1 : self.position + 2] in ("]", ""):
            return lambda c: c == low
        self.position += 1
        high = self.take()
        if high == "\\":
            high = self.escaped(self.take())
        if high < low:
            raise RegexError(f"bad range {low}-{high}")
        return lambda c: low <= c <= high


def _folding(test: Test) -> Test:
    return lambda c: test(c.lower()) or test(c.upper())


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 8

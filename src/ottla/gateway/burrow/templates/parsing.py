"""Go's text/template language, from text to a tree.

Everything of the language is here but complex numbers and `call`, for which
Burrow gives a template nothing to call. Functions are checked by name when a
template is read, as Go checks them, so that a mistake is seen at the start
and not at the first incident.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import Final, NoReturn


class TemplateError(Exception):
    """A template cannot be read or filled in; the text is one sentence for a person."""


@dataclass(frozen=True, slots=True)
class Literal:
    value: object


@dataclass(frozen=True, slots=True)
class Function:
    name: str


@dataclass(frozen=True, slots=True)
class Chain:
    """Fields of something: of the dot (None), a variable's name, or a pipeline in parentheses."""

    root: str | Pipeline | None
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Commands, each given the result of the one before it; their result may be kept."""

    commands: tuple[tuple[Operand, ...], ...]
    variables: tuple[str, ...] = ()
    is_declaration: bool = False


Operand = Literal | Function | Chain


@dataclass(frozen=True, slots=True)
class Text:
    text: str


@dataclass(frozen=True, slots=True)
class Action:
    pipeline: Pipeline


@dataclass(frozen=True, slots=True)
class Block:
    """`if`, `with` or `range`."""

    kind: str
    pipeline: Pipeline
    body: list[Node]
    otherwise: list[Node]


@dataclass(frozen=True, slots=True)
class Include:
    """`template`, and the place of a `block`."""

    name: str
    pipeline: Pipeline | None


@dataclass(frozen=True, slots=True)
class Jump:
    """`break` or `continue`."""

    kind: str


Node = Text | Action | Block | Include | Jump

#: Strings and comments may hold "}}".
_PIECE: Final = re.compile(
    r'"(?:\\.|[^"\\\n])*"|`[^`]*`|\'(?:\\.|[^\'\\\n])*\'|/\*.*?\*/|\}\}|.', re.DOTALL
)
_TOKEN: Final = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    |(?P<character>'(?:\\.|[^'\\\n])+')
    |(?P<number>[-+]?(?:0[xX][0-9a-fA-F_]+|0[oO][0-7_]+|0[bB][01_]+
        |(?:\d[\d_]*)?\.?\d[\d_]*(?:[eE][-+]?\d+)?)(?![\w.]))
    |(?P<field>\.[A-Za-z_]\w*)
    |(?P<variable>\$\w*)
    |(?P<word>[A-Za-z_]\w*)
    |(?P<mark>:=|[=|,().])""",
    re.VERBOSE,
)
_CONSTANTS: Final[dict[str, object]] = {"true": True, "false": False, "nil": None}


@dataclass(frozen=True, slots=True)
class Token:
    """One word of an action; `is_spaced` when white space stands before it."""

    kind: str
    text: str
    is_spaced: bool


@dataclass(slots=True)
class Piece:
    """Text outside of actions, or the inside of one."""

    is_action: bool
    text: str
    line: int


def pieces(source: str) -> Iterator[Piece]:
    """Texts and actions in turn; the white space that "{{- " and " -}}" take away is gone."""
    position, is_trimmed = 0, False
    while True:
        start = source.find("{{", position)
        text = source[position:] if start < 0 else source[position:start]
        if is_trimmed:
            text = text.lstrip()
        if start < 0:
            yield Piece(False, text, 0)
            return
        line = source.count("\n", 0, start) + 1
        end = _end_of_action(source, start + 2, line)
        inside = source[start + 2 : end]
        if re.match(r"-\s", inside):
            text, inside = text.rstrip(), inside[1:]
        is_trimmed = bool(re.search(r"\s-$", inside))
        yield Piece(False, text, line)
        yield Piece(True, inside[:-1] if is_trimmed else inside, line)
        position = end + 2


def _end_of_action(source: str, position: int, line: int) -> int:
    while found := _PIECE.match(source, position):
        if found.group() == "}}":
            return position
        position = found.end()
    raise TemplateError(f"line {line}: the action that begins here has no end")


def tokens(action: str, line: int) -> list[Token]:
    found: list[Token] = []
    position, is_spaced = 0, False
    while position < len(action):
        match = _TOKEN.match(action, position)
        if match is None:
            raise TemplateError(
                f"line {line}: {action[position:].split(maxsplit=1)[0]} is not understood"
            )
        if match.lastgroup != "space":
            found.append(Token(str(match.lastgroup), match.group(), is_spaced))
        is_spaced = match.lastgroup == "space"
        position = match.end()
    return found


def unquoted(text: str, line: int) -> str:
    """The text of a string as Go writes it."""
    if text.startswith("`"):
        return text[1:-1]
    try:
        value: str = ast.literal_eval(text)
    except (SyntaxError, ValueError):
        raise TemplateError(f"line {line}: {text} is not a string") from None
    return value


def number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        pass
    if re.fullmatch(r"[-+]?0[0-7_]+", text):
        return int(text, 8)
    return float(text)


class Expression:
    """Reads the pipeline of one action."""

    def __init__(self, action: str, line: int, functions: Collection[str]) -> None:
        self.line = line
        self.functions = functions
        self.tokens = tokens(action, line)
        self.position = 0

    def fail(self, why: str) -> NoReturn:
        raise TemplateError(f"line {self.line}: {why}")

    @property
    def next(self) -> Token | None:
        return self.tokens[self.position] if self.position < len(self.tokens) else None

    def take(self, *texts: str) -> bool:
        """Go past the next token if it is one of these."""
        if self.next is not None and self.next.text in texts:
            self.position += 1
            return True
        return False

    def whole_pipeline(self) -> Pipeline:
        pipeline = self.pipeline()
        if self.next is not None:
            self.fail(f"{self.next.text} is one too many")
        return pipeline

    def pipeline(self) -> Pipeline:
        variables, is_declaration = self._variables()
        commands = [self._command()]
        while self.take("|"):
            commands.append(self._command())
        return Pipeline(tuple(commands), variables, is_declaration)

    def _variables(self) -> tuple[tuple[str, ...], bool]:
        """`$a :=`, `$a =` or `$a, $b :=`, when the pipeline begins with one."""
        ahead = self.tokens[self.position : self.position + 4]
        texts = [token.text for token in ahead]
        if ahead and ahead[0].kind == "variable":
            if texts[1:2] in ([":="], ["="]):
                self.position += 2
                return (texts[0],), texts[1] == ":="
            if len(ahead) == 4 and texts[1] == "," and texts[3] in (":=", "="):
                self.position += 4
                return (texts[0], texts[2]), texts[3] == ":="
        return (), False

    def _command(self) -> tuple[Operand, ...]:
        operands: list[Operand] = []
        while self.next is not None and self.next.text not in ("|", ")"):
            operands.append(self._operand())
        if not operands:
            self.fail("a value is missing")
        if operands[0] == Literal(None):
            self.fail("nil can be compared with, and nothing else")
        return tuple(operands)

    def _operand(self) -> Operand:
        token = self.next
        assert token is not None
        self.position += 1
        match token.kind:
            case "text":
                return Literal(unquoted(token.text, self.line))
            case "character":
                return Literal(ord(unquoted(token.text, self.line)[:1] or "\0"))
            case "number":
                return Literal(number(token.text))
            case "field":
                return Chain(None, (token.text[1:], *self._fields()))
            case "variable":
                return Chain(token.text, self._fields())
            case "word" if token.text in _CONSTANTS:
                return Literal(_CONSTANTS[token.text])
            case "word":
                if token.text not in self.functions:
                    self.fail(f"there is no function {token.text}")
                return Function(token.text)
        if token.text == "(":
            inner = self.pipeline()
            if not self.take(")"):
                self.fail("a ) is missing")
            return Chain(inner, self._fields())
        if token.text != ".":
            self.fail(f"{token.text} is out of place")
        return Chain(None, ())

    def _fields(self) -> tuple[str, ...]:
        names = []
        while self.next is not None and self.next.kind == "field" and not self.next.is_spaced:
            names.append(self.next.text[1:])
            self.position += 1
        return tuple(names)


@dataclass(slots=True)
class Parser:
    """Reads one source; `named` are its own blocks by name, "" the whole."""

    functions: Collection[str]
    named: dict[str, list[Node]] = field(default_factory=dict)

    def parse(self, source: str) -> dict[str, list[Node]]:
        """The tree of each named template. Errors: `TemplateError`."""
        remaining = pieces(source)
        body, ending = self._nodes(remaining, in_range=False)
        if ending is not None:
            raise TemplateError(f"line {ending.line}: {ending.text.strip()} ends nothing")
        self.named[""] = body
        return self.named

    def _nodes(
        self, remaining: Iterator[Piece], *, in_range: bool
    ) -> tuple[list[Node], Piece | None]:
        """Nodes up to an `end` or `else`, which comes with them, or to the end of the source."""
        found: list[Node] = []
        for piece in remaining:
            if not piece.is_action:
                if piece.text:
                    found.append(Text(piece.text))
                continue
            text = piece.text.strip()
            rest = text.lstrip("abcdefghijklmnopqrstuvwxyz")
            word = text[: len(text) - len(rest)]
            if word in ("end", "else"):
                return found, piece
            if text.startswith("/*"):
                continue
            if word in ("break", "continue"):
                if not in_range:
                    raise TemplateError(f"line {piece.line}: {word} is outside of a range")
                found.append(Jump(word))
            elif word in ("if", "with", "range"):
                found.append(self._block(word, rest, piece.line, remaining, in_range=in_range))
            elif word in ("template", "block", "define"):
                found.extend(self._named(word, rest, piece.line, remaining))
            else:
                found.append(Action(self._pipeline(piece.text, piece.line)))
        return found, None

    def _pipeline(self, text: str, line: int) -> Pipeline:
        return Expression(text, line, self.functions).whole_pipeline()

    def _block(
        self, kind: str, condition: str, line: int, remaining: Iterator[Piece], *, in_range: bool
    ) -> Block:
        pipeline = self._pipeline(condition, line)
        in_range = in_range or kind == "range"
        body, ending = self._nodes(remaining, in_range=in_range)
        otherwise: list[Node] = []
        if ending is not None and ending.text.split()[:1] == ["else"]:
            words = ending.text.split(maxsplit=2)
            if len(words) == 1:
                otherwise, ending = self._nodes(remaining, in_range=in_range)
            elif len(words) == 3 and words[1] == kind and kind in ("if", "with"):
                # `else if` shares the `end` of its `if`.
                inner = self._block(kind, words[2], ending.line, remaining, in_range=in_range)
                return Block(kind, pipeline, body, [inner])
        self._must_end(kind, line, ending)
        return Block(kind, pipeline, body, otherwise)

    def _named(self, word: str, rest: str, line: int, remaining: Iterator[Piece]) -> list[Node]:
        """`define`, `template` and `block`."""
        match = re.match(r'\s*("(?:\\.|[^"\\])*"|`[^`]*`)\s*(.*)$', rest, re.DOTALL)
        if match is None:
            raise TemplateError(f"line {line}: {word} wants a name in quotes")
        name = unquoted(match.group(1), line)
        given = match.group(2).strip()
        pipeline = self._pipeline(given, line) if given else None
        if word != "template":
            body, ending = self._nodes(remaining, in_range=False)
            self._must_end(word, line, ending)
            self.named[name] = body
        return [] if word == "define" else [Include(name, pipeline)]

    @staticmethod
    def _must_end(word: str, line: int, ending: Piece | None) -> None:
        if ending is None:
            raise TemplateError(f"line {line}: this {word} has no end")
        if ending.text.strip() != "end":
            raise TemplateError(f"line {ending.line}: {ending.text.strip()} is out of place")

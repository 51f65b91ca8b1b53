"""Fills in a template that was read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from ottla.gateway.burrow.templates.functions import FUNCTIONS, LAZY
from ottla.gateway.burrow.templates.parsing import (
    Action,
    Block,
    Chain,
    Function,
    Include,
    Jump,
    Literal,
    Node,
    Operand,
    Parser,
    Pipeline,
    TemplateError,
    Text,
)
from ottla.gateway.burrow.templates.values import NO_VALUE, is_true, member, text_of

#: Templates that include one another, and texts and loops that they may come to.
MAX_DEPTH: Final = 50
MAX_STEPS: Final = 1_000_000
#: Nothing was piped into the command: not the same as a nil.
_NOTHING: Final = object()


class JumpError(Exception):
    """A `break` or `continue` on its way to its range."""

    def __init__(self, kind: str) -> None:
        super().__init__(kind)
        self.kind = kind


class Template:
    """A template in Go's language, with Burrow's functions."""

    def __init__(self, source: str) -> None:
        """Errors: `TemplateError`."""
        self._named = Parser((*FUNCTIONS, *LAZY)).parse(source)

    def render(self, data: object) -> str:
        """The text for this data. Errors: `TemplateError`."""
        rendering = Rendering(self._named, data)
        rendering.nodes(self._named[""], data)
        return "".join(rendering.written)


class Rendering:
    """One filling-in: what was written, and the variables in sight, the newest last."""

    def __init__(self, named: Mapping[str, list[Node]], data: object, depth: int = 0) -> None:
        self.named = named
        self.depth = depth
        self.written: list[str] = []
        self.variables: list[tuple[str, object]] = [("$", data)]
        self.steps = 0

    def nodes(self, nodes: list[Node], dot: object) -> None:
        for node in nodes:
            self.steps += 1
            if self.steps > MAX_STEPS:
                raise TemplateError("the template does not come to an end")
            match node:
                case Text():
                    self.written.append(node.text)
                case Action():
                    value = self.value_of(node.pipeline, dot)
                    if not node.pipeline.variables:
                        self.written.append(text_of(value))
                case Block():
                    in_sight = len(self.variables)
                    self._block(node, dot)
                    del self.variables[in_sight:]
                case Include():
                    self._include(node, dot)
                case Jump():
                    raise JumpError(node.kind)

    def _include(self, node: Include, dot: object) -> None:
        if node.name not in self.named:
            raise TemplateError(f"there is no template {node.name}")
        if self.depth == MAX_DEPTH:
            raise TemplateError(f"the template {node.name} includes itself without end")
        data = NO_VALUE if node.pipeline is None else self.value_of(node.pipeline, dot)
        inner = Rendering(self.named, data, self.depth + 1)
        inner.steps = self.steps
        inner.nodes(self.named[node.name], data)
        self.steps = inner.steps
        self.written.extend(inner.written)

    def _block(self, node: Block, dot: object) -> None:
        if node.kind == "range":
            self._range(node, dot)
            return
        value = self.value_of(node.pipeline, dot)
        if is_true(value):
            self.nodes(node.body, value if node.kind == "with" else dot)
        else:
            self.nodes(node.otherwise, dot)

    def _range(self, node: Block, dot: object) -> None:
        names = node.pipeline.variables
        plain = Pipeline(node.pipeline.commands)
        is_empty = True
        for key, value in self._items(self.value_of(plain, dot)):
            is_empty = False
            in_sight = len(self.variables)
            found = (key, value) if len(names) == 2 else (value,)
            for name, item in zip(names, found, strict=False):
                self._keep(name, item, is_declaration=node.pipeline.is_declaration)
            try:
                self.nodes(node.body, value)
            except JumpError as jump:
                if jump.kind == "break":
                    break
            finally:
                del self.variables[in_sight:]
        if is_empty:
            self.nodes(node.otherwise, dot)

    @staticmethod
    def _items(value: object) -> Iterable[tuple[object, object]]:
        if isinstance(value, Mapping):
            return [(key, value[key]) for key in sorted(value)]
        if isinstance(value, list):
            return enumerate(value)
        if isinstance(value, int) and not isinstance(value, bool):
            return ((n, n) for n in range(value))
        if value is NO_VALUE:
            return ()
        raise TemplateError(f"range cannot go over {text_of(value)}")

    def _keep(self, name: str, value: object, *, is_declaration: bool) -> None:
        if is_declaration:
            self.variables.append((name, value))
            return
        for position in range(len(self.variables) - 1, -1, -1):
            if self.variables[position][0] == name:
                self.variables[position] = (name, value)
                return
        raise TemplateError(f"there is no variable {name}")

    def _variable(self, name: str) -> object:
        for known, value in reversed(self.variables):
            if known == name:
                return value
        raise TemplateError(f"there is no variable {name}")

    def value_of(self, pipeline: Pipeline, dot: object) -> object:
        """What the last command gives, kept in the pipeline's variable if it has one."""
        value: object = _NOTHING
        for command in pipeline.commands:
            value = self._command(command, dot, value)
        if pipeline.variables:
            self._keep(pipeline.variables[0], value, is_declaration=pipeline.is_declaration)
        return value

    def _command(self, command: tuple[Operand, ...], dot: object, piped: object) -> object:
        first, *rest = command
        if isinstance(first, Function) and first.name in LAZY:
            return self._and_or(first.name, rest, dot, piped)
        arguments = [self._operand(operand, dot) for operand in rest]
        if piped is not _NOTHING:
            arguments.append(piped)
        if isinstance(first, Function):
            return self._call(first.name, arguments)
        if isinstance(first, Chain) and first.names:
            return self._chain(first, dot, arguments)
        if arguments:
            raise TemplateError("a value that is not a function was given arguments")
        return self._operand(first, dot)

    def _and_or(self, name: str, operands: list[Operand], dot: object, piped: object) -> object:
        value: object = _NOTHING
        for operand in operands:
            value = self._operand(operand, dot)
            if is_true(value) == (name == "or"):
                return value
        value = value if piped is _NOTHING else piped
        if value is _NOTHING:
            raise TemplateError(f"{name} wants a value")
        return value

    def _operand(self, operand: Operand, dot: object) -> object:
        match operand:
            case Literal():
                return operand.value
            case Function():
                if operand.name in LAZY:
                    raise TemplateError(f"{operand.name} wants a value")
                return self._call(operand.name, [])
        return self._chain(operand, dot, [])

    def _chain(self, chain: Chain, dot: object, arguments: list[object]) -> object:
        """The value at the end of the fields; the last may be a method with arguments."""
        value = dot
        if isinstance(chain.root, Pipeline):
            value = self.value_of(chain.root, dot)
        elif chain.root is not None:
            value = self._variable(chain.root)
        for position, name in enumerate(chain.names, 1):
            value = member(value, name, arguments if position == len(chain.names) else ())
        return value

    @staticmethod
    def _call(name: str, arguments: list[object]) -> object:
        try:
            return FUNCTIONS[name](*arguments)
        except TypeError:
            raise TemplateError(f"{name} cannot take {len(arguments)} such values") from None

"""Where settings are written down: properties text, environment variables, `key=value`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Final

from ottla.broker.config_definitions import BROKER, is_former
from ottla.broker.config_types import ConfigError

_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}

#: KAFKA_ variables of images, start scripts and applications that are no configuration keys.
_NOT_SETTINGS: Final = re.compile(
    r"KAFKA_(HOME|VERSION|OPTS|DEBUG|MODE|USER|PORT|HOST|URL|URI|ADDR|ADDRESS|API_KEY|API_SECRET"
    r"|TOPICS?(_.*)?|GROUP_ID|CLIENT_ID|BROKERS?(_LIST|_URL|_ADDR)?"
    r"|BOOTSTRAP_SERVERS?|SERVERS?|REST_.*|CLUSTERS?_.*|HEAP_OPTS|GC_LOG_OPTS|JVM_.*|JMX_.*"
    r"|LOG4J_.*|TOOLS_.*|KRAFT_.*|SERVICE_.*|PORT_.*|DOCKER_.*|ADVERTISED_PROTOCOL_NAME"
    r"|PROTOCOL_NAME|SECURITY_PROTOCOL|USERNAME|PASSWORD|SASL_(MECHANISM|USERNAME|PASSWORD))"
)
_BY_VARIABLE: Final = {
    **{name.upper().replace(".", "_"): name for name in BROKER},
    "CREATE_TOPICS": "ottla.create.topics",
}


def parse_properties(text: str) -> dict[str, str]:
    """Read the text of a Java properties file; the last of equal keys counts."""
    settings: dict[str, str] = {}
    for line in _logical_lines(text):
        key, value = _split(line)
        settings[key] = value
    return settings


def _logical_lines(text: str) -> Iterable[str]:
    pending = ""
    for raw in text.removeprefix("\ufeff").splitlines():
        line = raw.lstrip(" \t\f")
        if not pending and (not line or line[0] in "#!"):
            continue
        pending += line
        backslashes = len(pending) - len(pending.rstrip("\\"))
        if backslashes % 2:
            pending = pending[:-1]
            continue
        yield pending
        pending = ""
    if pending:
        yield pending


def _split(line: str) -> tuple[str, str]:
    position = 0
    while position < len(line) and line[position] not in "=: \t\f":
        position += 2 if line[position] == "\\" else 1
    key, rest = line[:position], line[position:].lstrip(" \t\f")
    if rest[:1] in ("=", ":"):
        rest = rest[1:].lstrip(" \t\f")
    return _unescape(key), _unescape(rest).rstrip()


def _unescape(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        mark = match.group(1)
        if len(mark) == 5:
            return chr(int(mark[1:], 16))
        return _ESCAPES.get(mark, mark)

    return re.sub(r"\\(u[0-9a-fA-F]{4}|.)", one, text)


def from_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Broker settings in KAFKA_… variables, named as the well-known images name them.

    `_` stands for a dot, `__` for a dash, `___` for an underscore; a second
    prefix CFG_ is dropped. Variables that are known not to be settings are
    left out; others that name no key stay in, under the key they would be.
    """
    settings: dict[str, str] = {}
    for variable in sorted(environment):
        if not variable.startswith("KAFKA_"):
            continue
        name = variable.removeprefix("KAFKA_").removeprefix("CFG_")
        key = _BY_VARIABLE.get(name)
        if key is None:
            key = re.sub("_+", _separator, name).lower()
            if _NOT_SETTINGS.fullmatch(variable) and not is_former(key):
                continue
            if key == "port" and not environment[variable].isdigit():
                continue  # Kubernetes sets KAFKA_PORT=tcp://… for a service named kafka.
        settings[key] = environment[variable]
    return settings


def _separator(match: re.Match[str]) -> str:
    return {1: ".", 2: "-", 3: "_"}.get(len(match.group()), "_")


def parse_settings(pairs: Iterable[str]) -> dict[str, str]:
    """Read `key=value` words (of `--set`); raises ConfigError for a word without `=`."""
    settings: dict[str, str] = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise ConfigError(f"{pair!r} is not a setting; write key=value, as num.partitions=3")
        settings[key.strip()] = value.strip()
    return settings

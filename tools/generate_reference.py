"""Write the site's reference pages from the code: keys, APIs, error codes, routes, metrics.

`docs/conf.py` calls it for every build, so that the pages cannot be out of date; they are not
kept in the repository.

Usage: python tools/generate_reference.py DIRECTORY
"""

from __future__ import annotations

import ast
import contextlib
import json
import re
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from ottla import Broker
from ottla.broker.config_definitions import BROKER, CLIENT_METRICS, GROUP, TOPIC
from ottla.broker.config_types import ConfigKey, Update
from ottla.cli import api_coverage
from ottla.gateway.burrow.config import BurrowConfig
from ottla.gateway.burrow.monitor import LagMonitor
from ottla.gateway.burrow.routes import BurrowRoutes
from ottla.gateway.openapi import SECTIONS
from ottla.gateway.settings import GatewaySettings
from ottla.testing import KafkaForTests, eventually
from ottla.wire.errors import RETRIABLE, ErrorCode

ROOT: Final = Path(__file__).parents[1]
PLUGIN: Final = ROOT / "src" / "ottla" / "pytest_plugin" / "plugin.py"
GENERATED: Final = (
    "Generated from the code by `tools/generate_reference.py` when the site is built.\n"
)


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """A Markdown table."""
    lines = [f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for row in rows:
        cells = (str(cell).replace("|", "\\|").replace("\n", " ") for cell in row)
        lines.append(f"| {' | '.join(cells)} |")
    return [*lines, ""]


# --- configuration keys


#: Longer defaults are told with the text, or the column takes the page.
DEFAULT_WIDTH: Final = 24


def _key_rows(keys: Iterable[ConfigKey]) -> Iterator[Sequence[object]]:
    for key in sorted(keys, key=lambda key: (not key.name.startswith("ottla."), key.name)):
        default, more = "–" if key.default is None else "empty", ""
        if key.default:
            default = f"`{key.default}`"
            if len(key.default) > DEFAULT_WIDTH:
                default, more = "long", f" Default: `{key.default}`."
        allowed = f" Allowed: `{key.valid.describe()}`." if key.valid else ""
        kind = key.type.name.lower()
        change = "" if key.update is Update.READ_ONLY else f", {key.update.value}"
        yield f"`{key.name}`", default, f"{key.documentation}{allowed}{more} ({kind}{change})"


def configuration() -> str:
    """Every key of the broker, of topics, groups and client metrics."""
    head = ("Key", "Default", "What it does (type, who takes a change)")
    lines = [
        "# Configuration keys\n",
        GENERATED,
        "The names are Apache Kafka's; those that begin with `ottla.` are ours. They are given as",
        "[said in Running the broker](../running.md#configuration): `ottla up --set key=value`,",
        "`--config server.properties`, or `KAFKA_…` variables. Keys marked *per-broker* or",
        "*cluster-wide* take a new value while the broker runs (`kafka-configs`).\n",
    ]
    useful = [key for key in BROKER.values() if key.has_use]
    for title, keys in (
        ("Broker", useful),
        ("Topics", [key for key in TOPIC.values() if key.has_use]),
        ("Groups", list(GROUP.values())),
        ("Client metrics", list(CLIENT_METRICS.values())),
    ):
        lines += [f"## {title}\n", f"{len(keys)} keys.\n", *table(head, _key_rows(keys))]
    idle = sorted(key.name for key in (*BROKER.values(), *TOPIC.values()) if not key.has_use)
    lines += [
        "## Accepted, and without use\n",
        "Files written for Apache Kafka hold these keys. They are read, checked and named in one",
        "warning; they change nothing on one node.\n",
        ", ".join(f"`{name}`" for name in idle) + ".\n",
    ]
    return "\n".join(lines)


# --- protocol


def apis() -> str:
    """What a fresh broker says it serves, beside Apache Kafka."""
    with Broker() as broker:
        served = api_coverage._ask(broker.bootstrap_servers)
    head, *rows = api_coverage.table(served)
    both = len(api_coverage.KAFKA.keys() & served.keys())
    return "\n".join(
        [
            "# API coverage\n",
            GENERATED,
            (
                f"A fresh broker was asked (ApiVersions): it serves {both} of the"
                f" {len(api_coverage.KAFKA)} APIs that a broker of Apache Kafka 4.3.1 serves. The"
                " numbers are versions, oldest to newest; versions that Kafka 4 has dropped are"
                " served too, unless `ottla.protocol=strict`. `ottla api-coverage` prints it,"
                " for any broker.\n"
            ),
            *table([word.capitalize() if word != "API" else word for word in head], rows),
        ]
    )


def errors() -> str:
    """Every error code of the protocol."""
    rows = [
        (code.value, f"`{code.name}`", "yes" if code in RETRIABLE else "")
        for code in sorted(ErrorCode, key=lambda code: code.value)
        if code.name != "NONE"
    ]
    return "\n".join(
        [
            "# Error codes\n",
            GENERATED,
            (
                "The codes of Kafka's protocol, by number. A client repeats a request by itself if"
                " the error is retriable. In a test each of them can be had for the asking:"
                ' `kafka.control.inject("produce", error="NOT_LEADER_OR_FOLLOWER")`, see'
                " [Kafka in your tests](../testing.md). What to do about the frequent ones is in"
                " [Troubleshooting](../troubleshooting.md).\n"
            ),
            *table(("Code", "Name", "Retriable"), rows),
        ]
    )


# --- HTTP


def routes() -> str:
    """Every route of the REST door, of Burrow's, and of the broker's own port."""
    lines = ["# HTTP routes\n", GENERATED]
    titles = {
        "v2": "REST Proxy, version 2 (port 8082)",
        "v3": "REST Proxy, version 3 (port 8082)",
        "general": "Beside them (port 8082)",
    }
    for tag, operations in SECTIONS:
        rows = [
            (
                op.method,
                f"`{op.path}`",
                op.summary,
                ", ".join(f"`{name}`" for name in op.query),
                op.body or "",
                op.status,
            )
            for op in operations
        ]
        head = ("Method", "Path", "What it does", "Query", "Body", "Status")
        lines += [f"## {titles[tag]}\n", *table(head, rows)]
    settings = GatewaySettings(bootstrap_servers="localhost:9092")
    monitor = LagMonitor(settings, BurrowConfig({}, "local", []))
    burrow = [
        (", ".join(sorted((route.methods or set()) - {"HEAD"})), f"`{route.path}`")
        for route in BurrowRoutes(monitor).routes()
        if "anything" not in route.path
    ]
    lines += [
        "## Burrow (port 8000)\n",
        "What each answers is in [Consumer lag by Burrow's rules](../burrow.md).\n",
        *table(("Method", "Path"), burrow),
        "## Metrics (port 9308) and the broker's own (port 9644)\n",
        *table(
            ("Method", "Path", "What it answers"),
            [
                ("GET", "`/metrics`", "[Prometheus text](metrics.md)"),
                ("GET", "`/health`", "port 9644: 200 when the broker is ready"),
            ],
        ),
    ]
    return "\n".join(lines)


# --- metrics


@contextlib.contextmanager
def _gateway(bootstrap_servers: str) -> Iterator[dict[str, str]]:
    """A gateway on free ports; the addresses of its doors."""
    words = [
        "--rest-port",
        "0",
        "--burrow-port",
        "0",
        "--metrics-port",
        "0",
        "--admin-ports",
        "off",
    ]
    gateway = subprocess.Popen(
        [
            *(sys.executable, "-m", "ottla.cli.main", "gateway", "--announce-json"),
            *("--bootstrap-servers", bootstrap_servers, *words),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert gateway.stdout is not None
    with gateway, gateway.stdout:
        try:
            yield json.loads(gateway.stdout.readline())
        finally:
            gateway.terminate()


def _families(url: str) -> list[tuple[str, str, str, str]]:
    """Name, kind, labels and help of what an address serves."""
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - our own broker
        text = answer.read().decode()
    helps = dict(re.findall(r"^# HELP (\S+) (.*)$", text, re.MULTILINE))
    labels: dict[str, set[str]] = {}
    for name, inner in re.findall(r"^([a-zA-Z_:]+)(?:\{(.*)\})? ", text, re.MULTILINE):
        labels.setdefault(name, set()).update(re.findall(r'(\w+)="', inner))
    found = []
    for name, kind in re.findall(r"^# TYPE (\S+) (\S+)$", text, re.MULTILINE):
        own = labels.get(name, set()) | (labels.get(f"{name}_bucket", set()) - {"le"})
        shown = ", ".join(f"`{label}`" for label in sorted(own))
        found.append((f"`{name}`", kind, shown, helps.get(name, "")))
    return found


def _traffic(bootstrap_servers: str) -> None:
    """One group that has read and committed, so that every family has a sample."""
    kafka = KafkaForTests(bootstrap_servers)
    topic = kafka.new_topic(name="orders")
    kafka.produce(topic, "1", "2", "3")
    consumer = kafka.consumer(topic, group_id="billing", enable_auto_commit=False)
    kafka.consume_exactly(consumer, 3, quiet_s=0)
    consumer.commit(asynchronous=False)
    consumer.close()


def metrics() -> str:
    """What /metrics of the broker and of the gateway say when asked."""
    head = ("Name", "Kind", "Labels", "Meaning")
    with Broker(config={"ottla.metrics.port": "0"}) as broker:
        _traffic(broker.bootstrap_servers)
        own = _families(f"http://127.0.0.1:{broker.metrics_port}/metrics")
        with _gateway(broker.bootstrap_servers) as doors:
            address = f"{doors['Metrics'].removesuffix('/metrics')}/metrics"
            gateway = eventually(
                lambda: _families(address),
                lambda found: any("consumergroup_lag`" in name for name, *_ in found),
            )
    return "\n".join(
        [
            "# Metrics\n",
            "Generated when the site is built, from what a broker and a gateway answered.\n",
            (
                "Names that dashboards know are kept: those of the usual JMX exporter for the"
                " broker, those of kafka_exporter, kafka-lag-exporter and Burrow for topics and"
                " groups. What is only ours begins with `ottla_`. `ottla dashboards export DIR`"
                " writes Grafana dashboards that use them.\n"
            ),
            "## The broker (port 9644)\n",
            *table(head, own),
            "## The gateway (port 9308)\n",
            (
                "For any Kafka. With `--broker-metrics URL`, which `ottla up` gives, the broker's"
                " own follow on the same page.\n"
            ),
            *table(head, gateway),
        ]
    )


# --- Python

PYTHON: Final = """\
# Python

Generated from the docstrings when the site is built. Whatever is not named here may change.

## A broker in your program

```{eval-rst}
.. autoclass:: ottla.Broker
   :members:

.. autoexception:: ottla.StartError
```

## Tests

[Kafka in your tests](../testing.md) shows how they are used.

### Fixtures of the pytest plugin

FIXTURES

`--kafka-bootstrap-servers HOST:PORT`, or the variable `KAFKA_TEST_BOOTSTRAP_SERVERS`, has the
fixtures use that Kafka instead of an embedded broker; `kafka_broker_factory` always starts its own.

### With any runner

```{eval-rst}
.. automodule:: ottla.testing
   :members: KafkaForTests, Record, NotEmbeddedError, eventually, keys_and_values
   :imported-members:

.. autoclass:: ottla.server.control.Control()
   :members:

.. autoclass:: ottla.server.control.Fault()
```

## Bad networks

```{eval-rst}
.. automodule:: ottla.labs.chaos_proxy
   :members: ChaosProxy, Faults, broker_behind
```
"""


def fixtures() -> Iterator[Sequence[object]]:
    """Name, scope and docstring of each fixture, as the plugin's source has them."""
    for node in ast.parse(PLUGIN.read_text()).body:
        if not isinstance(node, ast.FunctionDef):
            continue
        for decorator in map(ast.unparse, node.decorator_list):
            if decorator.startswith("pytest.fixture"):
                scope = "session" if "scope='session'" in decorator else "test"
                text = ast.get_docstring(node) or ""
                yield f"`{node.name}`", scope, " ".join(text.split())


def python() -> str:
    """The plugin's fixtures, and public classes by Sphinx's autodoc."""
    return PYTHON.replace(
        "FIXTURES\n", "\n".join(table(("Fixture", "For", "What it is"), fixtures()))
    )


PAGES: Final[dict[str, Callable[[], str]]] = {
    "configuration": configuration,
    "apis": apis,
    "error-codes": errors,
    "http-routes": routes,
    "metrics": metrics,
    "python": python,
}


def write_all(directory: Path) -> None:
    """Write each page; one that has not changed keeps its time, which spares Sphinx work."""
    directory.mkdir(parents=True, exist_ok=True)
    for name, make in PAGES.items():
        path, text = directory / f"{name}.md", make()
        if not path.exists() or path.read_text() != text:
            path.write_text(text)


if __name__ == "__main__":
    write_all(Path(sys.argv[1]))

"""Tells an HTTP address when a group falls behind, and when it has recovered.

`[notifier.NAME]` of burrow.toml with `class-name = "http"`, under its own
keys. An incident has an id from its opening to its closing. Templates are
Jinja's (the original's are Go's) and see `cluster`, `group`, `id`, `start`,
`extras` and `result`, the group as `/lag` answers it; without a template the
same goes out as JSON.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from ottla.gateway.burrow.config import BurrowConfigError
from ottla.gateway.burrow.monitor import LagMonitor, group_view
from ottla.lag.evaluation import Status
from ottla.lag.store import GroupStatus

log = logging.getLogger("ottla.burrow")
Render = Callable[[dict[str, Any]], str]


@dataclass(slots=True)
class Incident:
    """A group in trouble, from its opening to its closing, for one notifier."""

    id: str
    start: datetime
    told_at_s: float | None = None


def renderer(path: str) -> Render:
    """The template in a file, or JSON for "". Errors: `BurrowConfigError`."""
    if not path:
        return json.dumps
    try:
        from jinja2 import TemplateError
        from jinja2.sandbox import SandboxedEnvironment
    except ImportError:
        raise BurrowConfigError(
            f"the notifier template {path} needs Jinja: pip install jinja2."
        ) from None
    try:
        with open(path, encoding="utf-8") as file:
            template = SandboxedEnvironment().from_string(file.read())
    except OSError as error:
        raise BurrowConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except TemplateError as error:
        raise BurrowConfigError(f"{path} is not a Jinja template: {error}.") from None

    def render(view: dict[str, Any]) -> str:
        try:
            return template.render(view)
        except TemplateError as error:
            raise ValueError(str(error)) from None

    return render


def pattern(text: object) -> re.Pattern[str] | None:
    try:
        return re.compile(str(text)) if text else None
    except re.error as error:
        raise BurrowConfigError(f"the group list {text} is not a pattern: {error}.") from None


class HttpNotifier:
    """One `[notifier.NAME]`; remembers which incidents it has spoken of."""

    def __init__(self, name: str, table: dict[str, Any]) -> None:
        """Errors: `BurrowConfigError`."""
        self.name = name
        self.threshold = int(table.get("threshold", Status.WARN))
        self.interval_s = float(table.get("interval", 60))
        self.send_interval_s = float(table.get("send-interval", self.interval_s))
        self.send_close = bool(table.get("send-close", False))
        self.send_once = bool(table.get("send-once", False))
        self.timeout_s = float(table.get("timeout", 5))
        self.url_open = str(table.get("url-open", ""))
        self.url_close = str(table.get("url-close", "")) or self.url_open
        for url in (self.url_open, self.url_close):
            if not url.startswith(("http://", "https://")):
                raise BurrowConfigError(f"notifier {name} needs an http address as url-open.")
        self.method_open = str(table.get("method-open", "POST"))
        self.method_close = str(table.get("method-close", "POST"))
        self.render_open = renderer(str(table.get("template-open", "")))
        self.render_close = renderer(str(table.get("template-close", "")))
        self.extras: dict[str, Any] = table.get("extras", {})
        self.headers = {"content-type": "application/json"}
        self.headers.update({str(k): str(v) for k, v in table.get("headers", {}).items()})
        if table.get("username"):
            user = f"{table['username']}:{table.get('password', '')}".encode()
            self.headers["authorization"] = f"Basic {base64.b64encode(user).decode()}"
        self.allow = pattern(table.get("group-allowlist"))
        self.deny = pattern(table.get("group-denylist"))
        self.incidents: dict[tuple[str, str], Incident] = {}

    def accepts(self, group: str) -> bool:
        if self.allow is not None and not self.allow.search(group):
            return False
        return self.deny is None or not self.deny.search(group)

    def look_at(self, cluster: str, status: GroupStatus, now_s: float) -> None:
        """Open, repeat or close the group's incident as its status asks for."""
        where = (cluster, status.group)
        incident = self.incidents.get(where)
        if status.status < self.threshold:
            if incident is None:
                return
            told = incident.told_at_s is not None
            if not (self.send_close and told) or self._send(cluster, status, incident, True):
                del self.incidents[where]
            return
        if incident is None:
            incident = self.incidents[where] = Incident(str(uuid4()), datetime.now(UTC))
        last = incident.told_at_s
        is_due = last is None or (not self.send_once and now_s - last >= self.send_interval_s)
        if is_due and self._send(cluster, status, incident, False):
            incident.told_at_s = now_s

    def forget_unknown(self, known: set[tuple[str, str]]) -> None:
        """Incidents of groups that no longer exist end without a word."""
        for where in self.incidents.keys() - known:
            del self.incidents[where]

    def _send(self, cluster: str, status: GroupStatus, incident: Incident, closing: bool) -> bool:
        """Whether it was delivered; what was not is tried again at the next look."""
        view = {
            "cluster": cluster,
            "group": status.group,
            "id": incident.id,
            "start": incident.start.isoformat(timespec="seconds"),
            "event": "close" if closing else "open",
            "extras": self.extras,
            "result": group_view(cluster, status, show_all=True),
        }
        url = self.url_close if closing else self.url_open
        try:
            body = (self.render_close if closing else self.render_open)(view)
        except (ValueError, TypeError, ArithmeticError, LookupError, RuntimeError) as error:
            log.error("notifier %s: its template fails: %s", self.name, error)
            return False
        method = self.method_close if closing else self.method_open
        request = urllib.request.Request(  # noqa: S310 - checked at the start
            url, body.encode(), headers=self.headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s):  # noqa: S310
                pass
        except (OSError, urllib.error.URLError, ValueError) as error:
            log.error("notifier %s: %s %s: %s", self.name, method, url, error)
            return False
        log.info("notifier %s: %s %s for %s", self.name, view["event"], url, status.group)
        return True


def notifiers_of(tables: dict[str, dict[str, Any]]) -> list[HttpNotifier]:
    """Those that can be served; a class we do not have is named in the log and left out."""
    found = []
    for name, table in tables.items():
        kind = table.get("class-name")
        if kind == "http":
            found.append(HttpNotifier(name, table))
        elif kind != "null":
            log.warning("notifier %s: class %s is not served, only http is", name, kind)
    return found


class NotifierThread:
    """Looks at all groups of a monitor, as often as its fastest notifier wants."""

    def __init__(self, monitor: LagMonitor, notifiers: list[HttpNotifier]) -> None:
        self.monitor = monitor
        self.notifiers = notifiers
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        if self.notifiers:
            self._thread = threading.Thread(target=self._run, name="burrow-notifier", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(max(n.timeout_s for n in self.notifiers))

    def _run(self) -> None:
        pause_s = max(0.1, min(n.interval_s for n in self.notifiers))
        while not self._stop.wait(pause_s):
            if self.monitor.is_ready:
                self.look(time.monotonic())

    def look(self, now_s: float) -> None:
        """Show every group to every notifier that wants it."""
        known: set[tuple[str, str]] = set()
        for cluster in self.monitor.clusters():
            for group in self.monitor.groups(cluster) or []:
                wanting = [n for n in self.notifiers if n.accepts(group)]
                status = self.monitor.status(cluster, group) if wanting else None
                if status is None:
                    continue
                known.add((cluster, group))
                for notifier in wanting:
                    if self._stop.is_set():
                        return
                    notifier.look_at(cluster, status, now_s)
        for notifier in self.notifiers:
            notifier.forget_unknown(known)

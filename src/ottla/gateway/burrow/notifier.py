"""Tells an HTTP address or a mailbox when a group falls behind, and when it has recovered.

`[notifier.NAME]` of burrow.toml with `class-name = "http"` or `"email"`, under
their own keys. An incident has an id from its opening to its closing. Templates
are the original's, in Go's template language (`templates/`), and see what they
see there; without a template the incident goes out as JSON, with the group as
`/lag` answers it.
"""

from __future__ import annotations

import base64
import json
import logging
import re
import smtplib
import ssl
import threading
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from typing import Any
from uuid import uuid4

from ottla.gateway.burrow.config import BurrowConfigError
from ottla.gateway.burrow.monitor import LagMonitor, group_view
from ottla.gateway.burrow.templates.data import incident_data
from ottla.gateway.burrow.templates.parsing import TemplateError
from ottla.gateway.burrow.templates.rendering import Template
from ottla.lag.evaluation import Status
from ottla.lag.store import GroupStatus

log = logging.getLogger("ottla.burrow")


@dataclass(slots=True)
class Incident:
    """A group in trouble, from its opening to its closing, for one notifier."""

    id: str
    start: datetime
    told_at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Message:
    """What there is to say of a group: its incident opens (again), or closes."""

    cluster: str
    status: GroupStatus
    incident: Incident
    extras: dict[str, Any]
    is_closing: bool

    @property
    def event(self) -> str:
        return "close" if self.is_closing else "open"

    def as_json(self) -> str:
        """Everything, when no template says how."""
        return json.dumps(
            {
                "cluster": self.cluster,
                "group": self.status.group,
                "id": self.incident.id,
                "start": self.incident.start.isoformat(timespec="seconds"),
                "event": self.event,
                "extras": self.extras,
                "result": group_view(self.cluster, self.status, show_all=True),
            }
        )

    def filled_into(self, template: Template | None) -> str:
        """Errors: `TemplateError`."""
        if template is None:
            return self.as_json()
        return template.render(
            incident_data(
                self.cluster, self.status, self.incident.id, self.incident.start, self.extras
            )
        )


def template_in(path: str) -> Template | None:
    """The template in a file, None for "". Errors: `BurrowConfigError`."""
    if not path:
        return None
    try:
        with open(path, encoding="utf-8") as file:
            return Template(file.read())
    except OSError as error:
        raise BurrowConfigError(f"{path} cannot be read: {error.strerror}.") from None
    except (TemplateError, UnicodeDecodeError, RecursionError) as error:
        raise BurrowConfigError(f"{path} is not a template in Go's language: {error}.") from None


def pattern(text: object) -> re.Pattern[str] | None:
    try:
        return re.compile(str(text)) if text else None
    except re.error as error:
        raise BurrowConfigError(f"the group list {text} is not a pattern: {error}.") from None


class Notifier:
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
        self.template_open = template_in(str(table.get("template-open", "")))
        # As the original, which reads this file only when it will be used.
        self.template_close = template_in(
            str(table.get("template-close", "")) if self.send_close else ""
        )
        self.extras: dict[str, Any] = table.get("extras", {})
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
        message = Message(cluster, status, incident, self.extras, closing)
        try:
            body = message.filled_into(self.template_close if closing else self.template_open)
            self._deliver(body, message)
        except TemplateError as error:
            log.error("notifier %s: its template fails: %s", self.name, error)
            return False
        except (OSError, urllib.error.URLError, smtplib.SMTPException, ValueError) as error:
            log.error("notifier %s: %s of %s: %s", self.name, message.event, status.group, error)
            return False
        log.info("notifier %s: %s of %s", self.name, message.event, status.group)
        return True

    def _deliver(self, body: str, message: Message) -> None:
        """Errors: TemplateError, OSError, URLError, SMTPException or ValueError when it did not
        arrive."""
        raise NotImplementedError


def trust(table: dict[str, Any]) -> ssl.SSLContext:
    """Whom to trust by `extra-ca` and `noverify`. Errors: `BurrowConfigError`."""
    context = ssl.create_default_context()
    if table.get("noverify", False):
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    elif table.get("extra-ca"):
        try:
            context.load_verify_locations(str(table["extra-ca"]))
        except OSError as error:
            raise BurrowConfigError(
                f"the certificates in {table['extra-ca']} cannot be read: {error.strerror}."
            ) from None
    return context


class HttpNotifier(Notifier):
    """Sends requests to `url-open` and `url-close`."""

    def __init__(self, name: str, table: dict[str, Any]) -> None:
        """Errors: `BurrowConfigError`."""
        super().__init__(name, table)
        self.url_open = str(table.get("url-open", ""))
        self.url_close = str(table.get("url-close", "")) or self.url_open
        for url in (self.url_open, self.url_close):
            if not url.startswith(("http://", "https://")):
                raise BurrowConfigError(f"notifier {name} needs an http address as url-open.")
        try:
            self.address_open, self.address_close = (
                Template(self.url_open),
                Template(self.url_close),
            )
        except TemplateError as error:
            raise BurrowConfigError(
                f"an address of notifier {name} is not a template in Go's language: {error}."
            ) from None
        self.trust = trust(table)
        self.method_open = str(table.get("method-open", "POST"))
        self.method_close = str(table.get("method-close", "POST"))
        self.headers = {"content-type": "application/json"}
        self.headers.update({str(k): str(v) for k, v in table.get("headers", {}).items()})
        if table.get("username"):
            user = f"{table['username']}:{table.get('password', '')}".encode()
            self.headers["authorization"] = f"Basic {base64.b64encode(user).decode()}"

    def _deliver(self, body: str, message: Message) -> None:
        address = self.address_close if message.is_closing else self.address_open
        request = urllib.request.Request(  # noqa: S310 - checked at the start
            message.filled_into(address),
            body.encode(),
            headers=self.headers,
            method=self.method_close if message.is_closing else self.method_open,
        )
        with urllib.request.urlopen(request, timeout=self.timeout_s, context=self.trust):  # noqa: S310
            pass


class EmailNotifier(Notifier):
    """Sends mail from `from` to `to` through the SMTP server `server`."""

    def __init__(self, name: str, table: dict[str, Any]) -> None:
        """Errors: `BurrowConfigError`."""
        super().__init__(name, table)
        for key in ("server", "from", "to"):
            if not table.get(key):
                raise BurrowConfigError(f"notifier {name} needs {key} to send mail.")
        self.server = str(table["server"])
        self.port = int(table.get("port", 25))
        self.sender, self.recipients = str(table["from"]), str(table["to"])
        self.auth = str(table.get("auth-type", "")).lower()
        self.username, self.password = (
            str(table.get("username", "")),
            str(table.get("password", "")),
        )
        self.trust = trust(table)

    def _deliver(self, body: str, message: Message) -> None:
        """A template may begin with headers of its own, such as a subject, and an empty line."""
        mail = EmailMessage()
        mail["From"], mail["To"], mail["Date"] = self.sender, self.recipients, formatdate()
        mail["Message-ID"] = make_msgid()
        head, separator, rest = body.partition("\n\n")
        lines = head.splitlines()
        if separator and all(re.match(r"[A-Za-z-]+: ", line) for line in lines):
            for line in lines:
                key, _, value = line.partition(": ")
                mail[key] = value
            body = rest
        if "Subject" not in mail:
            status = message.status
            mail["Subject"] = f"[{message.event}] {status.group}: {status.status.name}"
        mail.set_content(body)
        with smtplib.SMTP(self.server, self.port, timeout=self.timeout_s) as smtp:
            smtp.ehlo_or_helo_if_needed()
            if smtp.has_extn("starttls"):
                smtp.starttls(context=self.trust)
                smtp.ehlo()
            if self.auth:
                # "plain" or "crammd5", of which the server's best is taken.
                smtp.login(self.username, self.password)
            smtp.send_message(mail)


CLASSES: dict[str, type[Notifier]] = {"http": HttpNotifier, "email": EmailNotifier}


def notifiers_of(tables: dict[str, dict[str, Any]]) -> list[Notifier]:
    """Those that can be served; a class we do not have is named in the log and left out."""
    found = []
    for name, table in tables.items():
        kind = str(table.get("class-name"))
        if kind in CLASSES:
            found.append(CLASSES[kind](name, table))
        elif kind != "null":
            log.warning("notifier %s: class %s is not served; http and email are", name, kind)
    return found


class NotifierThread:
    """Looks at all groups of a monitor, as often as its fastest notifier wants."""

    def __init__(self, monitor: LagMonitor, notifiers: list[Notifier]) -> None:
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

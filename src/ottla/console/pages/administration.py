"""Administration: what concerns the whole cluster, a tab for each kind of thing."""

from __future__ import annotations

import asyncio
from typing import ClassVar

from nicegui import ui

from ottla.console import cluster_administration as calls
from ottla.console import formatting
from ottla.console.actions import AUDIT_TOPIC
from ottla.console.cluster import ClusterView
from ottla.console.clusters import Clusters
from ottla.console.layout import admin_button, frame, heading, page, path, section
from ottla.console.pages.columns import column, link_cells
from ottla.console.pages.listing import Listing, Row

#: Topics listed by size.
LARGEST = 20


class Quorum(Listing):
    title = "Quorum"
    note = (
        "The controllers that keep the cluster's metadata. One of them leads; the others follow"
        " its log, and so do the brokers, as observers."
    )
    row_key = "node"
    columns: ClassVar = [
        column("node", "Node", right=True),
        column("role", "Role"),
        column("end", "Log end", right=True),
        column("lag", "Records behind", right=True),
        column("time", "Last caught up"),
    ]

    def load(self) -> list[Row]:
        return calls.quorum(self.cluster)

    def shown(self) -> list[Row]:
        return [{**r, "time": _ago(r["behind_ms"])} for r in self.rows]


class LogDirectories(Listing):
    title = "Disks"
    row_key = "id"
    columns: ClassVar = [
        column("id", "Directory"),
        column("state", "State"),
        column("partitions", "Partitions", right=True),
        column("used", "Used by logs", right=True),
        column("free", "Free", right=True),
        column("share", "Disk full", right=True),
    ]

    def __init__(self, cluster: ClusterView) -> None:
        super().__init__(cluster)
        self.largest: list[Row] = []
        self.largest_table: ui.table | None = None

    def load(self) -> list[Row]:
        found = calls.disks(self.cluster)
        self.largest = found.largest(LARGEST)
        return [{**r, "id": f"broker {r['broker']}: {r['directory']}"} for r in found.directories]

    def shown(self) -> list[Row]:
        return [
            {
                **r,
                "used": formatting.size(r["used"]),
                "free": formatting.size(r["free"]),
                "share": f"{1 - r['free'] / r['total']:.0%}" if r["total"] else "–",
            }
            for r in self.rows
        ]

    async def build(self) -> None:
        await super().build()
        section("Largest topics").classes("q-mt-md")
        self.largest_table = ui.table(
            columns=[
                column("topic", "Topic"),
                column("partitions", "Partitions", right=True),
                column("bytes", "Size", right=True),
            ],
            rows=[],
            row_key="topic",
        ).classes("w-full card clickable").props("flat dense")  # fmt: skip
        link_cells(self.largest_table, "topic", "topics")
        self.largest_table.on(
            "rowClick", lambda e: ui.navigate.to(path("topics", e.args[1]["topic"]))
        )
        self._list_largest()

    async def refresh(self) -> None:
        await super().refresh()
        if self.largest_table is not None:
            self._list_largest()

    def _list_largest(self) -> None:
        assert self.largest_table is not None
        self.largest_table.rows = [
            {**r, "bytes": formatting.size(r["bytes"])} for r in self.largest
        ]


class Quotas(Listing):
    title = "Quotas"
    note = "How much users, clients and addresses may ask of each broker. Click one to change it."
    nothing = "No quota is set: everybody may use all there is"
    is_clickable = True
    columns: ClassVar = [
        column("whose", "Whose"),
        column("key", "Quota"),
        column("value", "Value", right=True),
    ]

    def load(self) -> list[Row]:
        return calls.quotas(self.cluster)

    def shown(self) -> list[Row]:
        return [{**r, "value": f"{r['value']:,g}"} for r in self.rows]

    def buttons(self) -> None:
        admin_button("Set a quota", self._add, icon="add")

    def _add(self) -> None:
        box = self.dialog("Set a quota", "Set", "set quota")
        with box.card:
            ui.label("Leave out what it shall not depend on; * is everybody who has none.").classes(
                "text-dim"
            )
            names = {kind: ui.input(kind).classes("w-full") for kind in calls.ENTITIES}
            key = ui.select(list(calls.QUOTA_KEYS), value=calls.QUOTA_KEYS[0], label="Quota")
            key.classes("w-full")
            value = ui.number("Value").classes("w-full")

        def act() -> None:
            entity = {k: i.value.strip() for k, i in names.items() if (i.value or "").strip()}
            if not entity:
                raise ValueError("Say whose quota it is.")
            if value.value is None:
                raise ValueError("Give a number.")
            box.details.update(entity=entity, key=key.value, value=value.value)
            calls.set_quota(
                self.cluster,
                {k: None if v == "*" else v for k, v in entity.items()},
                key.value,
                float(value.value),
            )

        box.show(act, self.again)

    def click(self, row: Row) -> None:
        details = {"whose": row["whose"], "key": row["key"]}
        box = self.dialog(f"{row['key']} of {row['whose']}", "Set", "set quota", **details)
        with box.card:
            value = ui.number("Value (empty: no quota)", value=row["value"]).classes("w-full")

        def act() -> None:
            wanted = None if value.value is None else float(value.value)
            box.details["value"] = wanted
            calls.set_quota(self.cluster, row["entity"], row["key"], wanted)

        box.show(act, self.again)


class AccessLists(Listing):
    title = "Access lists"
    note = "Who may do what with which resource. Click a rule to remove it."
    nothing = "There are no rules"
    is_clickable = True
    columns: ClassVar = [
        column("principal", "Who"),
        column("permission", "Permission"),
        column("operation", "Operation"),
        column("resource", "Resource"),
        column("pattern", "Pattern"),
        column("host", "From host"),
    ]

    def load(self) -> list[Row]:
        return calls.acls(self.cluster)

    def buttons(self) -> None:
        admin_button("Add a rule", self._add, icon="add")

    def _add(self) -> None:
        box = self.dialog("Add a rule", "Add", "create acl")
        with box.card:
            who = ui.input("Who", value="User:").classes("w-full")
            permission = ui.select(["ALLOW", "DENY"], value="ALLOW", label="Permission")
            operation = ui.select(calls.OPERATIONS, value="READ", label="Operation")
            kind = ui.select(list(calls.RESOURCES), value="topic", label="Resource")
            name = ui.input("Its name (* for all)").classes("w-full")
            is_prefix = ui.checkbox("every name that begins like this")
            host = ui.input("From host", value="*").classes("w-full")
            for chooser in (permission, operation, kind):
                chooser.classes("w-full")

        def act() -> None:
            principal = (who.value or "").strip()
            if ":" not in principal or principal.endswith(":"):
                raise ValueError("Give the principal as User:name.")
            if kind.value != "cluster" and not (name.value or "").strip():
                raise ValueError("Give the resource's name, or *.")
            box.details.update(
                principal=principal,
                permission=permission.value,
                operation=operation.value,
                resource=f"{kind.value} {name.value}",
            )
            calls.create_acl(
                self.cluster,
                principal,
                permission.value,
                operation.value,
                kind.value,
                (name.value or "").strip(),
                is_prefix=bool(is_prefix.value),
                host=(host.value or "*").strip(),
            )

        box.show(act, self.again)

    def click(self, row: Row) -> None:
        rule = f"{row['permission']} {row['operation']} on {row['resource']}"
        details = {"principal": row["principal"], "rule": rule}
        box = self.dialog(f"Rule of {row['principal']}", "Remove", "delete acl", **details)
        with box.card:
            ui.label(rule)
        box.show(lambda: calls.delete_acl(self.cluster, row["binding"]), self.again)


class Users(Listing):
    title = "Users"
    note = "Users who log in with SCRAM. Click one to remove its credentials."
    nothing = "There are no SCRAM users"
    row_key = "user"
    is_clickable = True
    columns: ClassVar = [column("user", "User"), column("credentials", "Credentials")]

    def load(self) -> list[Row]:
        return calls.scram_users(self.cluster)

    def buttons(self) -> None:
        admin_button("Add a user, or change a password", self._add, icon="add")

    def _add(self) -> None:
        box = self.dialog("A user's password", "Set", "set scram credentials")
        with box.card:
            user = ui.input("Name").classes("w-full")
            mechanism = ui.select(list(calls.MECHANISMS), value="SCRAM-SHA-512", label="Mechanism")
            mechanism.classes("w-full")
            password = ui.input("Password", password=True).classes("w-full")

        def act() -> None:
            if not user.value or not password.value:
                raise ValueError("Give a name and a password.")
            box.details.update(scram_user=user.value, mechanism=mechanism.value)
            calls.set_scram(self.cluster, user.value, mechanism.value, password.value)

        box.show(act, self.again)

    def click(self, row: Row) -> None:
        name = row["user"]
        box = self.dialog(f"User {name}", "Remove", "delete scram credentials", scram_user=name)
        with box.card:
            ui.label(row["credentials"])
        box.show(lambda: calls.delete_scram(self.cluster, name, row["mechanisms"]), self.again)


class Transactions(Listing):
    title = "Transactions"
    note = "Transactional ids and their state, open ones first. Click one to end its transaction."
    nothing = "No transactional id has been used yet"
    is_clickable = True
    columns: ClassVar = [
        column("id", "Transactional id"),
        column("state", "State"),
        column("open", "Open for", right=True),
        column("timeout", "Time-out", right=True),
        column("producer", "Producer id"),
        column("partitions", "Partitions"),
    ]

    def load(self) -> list[Row]:
        return calls.transactions(self.cluster)

    def shown(self) -> list[Row]:
        return [
            {
                **r,
                "open": formatting.duration(r["open_ms"]),
                "timeout": formatting.duration(r["timeout_ms"]),
            }
            for r in self.rows
        ]

    def click(self, row: Row) -> None:
        name = row["id"]
        box = self.dialog(f"Transaction of {name}", "End it", "end transaction", id=name)
        with box.card:
            ui.label(
                "Its open transaction is aborted, and the producer that uses this id is fenced:"
                " it gets an error with its next call."
            )
        box.show(lambda: calls.end_transaction(self.cluster, name), self.again)


class Replicas(Listing):
    title = "Replicas"
    note = "Replicas on their way from broker to broker. Click one to cancel its move."
    nothing = "Nothing is being moved"
    is_clickable = True
    columns: ClassVar = [
        column("id", "Partition"),
        column("replicas", "Replicas"),
        column("adding", "Adding"),
        column("removing", "Removing"),
    ]

    def load(self) -> list[Row]:
        return calls.reassignments(self.cluster)

    def buttons(self) -> None:
        admin_button("Let the preferred replicas lead", self._elect)
        admin_button("Move a partition", self._move)

    def _elect(self) -> None:
        box = self.dialog("Elect leaders", "Elect", "elect leaders")
        with box.card:
            topic = ui.input("Topic (empty: all)").classes("w-full")

        def act() -> str:
            name = (topic.value or "").strip() or None
            box.details["topic"] = name
            return calls.elect_preferred(self.cluster, name)

        box.show(act, ui.notify)

    def _move(self) -> None:
        box = self.dialog("Move a partition", "Move", "reassign partition")
        with box.card:
            known = ", ".join(f"{i}" for i in sorted(self.cluster.brokers()))
            ui.label(f"Brokers: {known}").classes("text-dim")
            topic = ui.input("Topic").classes("w-full")
            partition = ui.number("Partition", value=0, min=0, format="%d").classes("w-full")
            brokers = ui.input("To brokers, the leader first (1, 2, 3)").classes("w-full")

        def act() -> None:
            try:
                replicas = [int(word) for word in (brokers.value or "").split(",")]
            except ValueError:
                raise ValueError("Give the brokers' ids, separated by commas.") from None
            number = int(partition.value or 0)
            box.details.update(topic=topic.value, partition=number, replicas=replicas)
            calls.reassign(self.cluster, (topic.value or "").strip(), number, replicas)

        box.show(act, self.again)

    def click(self, row: Row) -> None:
        box = self.dialog(
            f"Move of {row['id']}", "Cancel the move", "cancel reassignment", partition=row["id"]
        )
        box.show(
            lambda: calls.reassign(self.cluster, row["topic"], row["partition"], None), self.again
        )


LISTINGS: dict[str, type[Listing]] = {
    "quorum": Quorum,
    "disks": LogDirectories,
    "quotas": Quotas,
    "acls": AccessLists,
    "users": Users,
    "transactions": Transactions,
    "replicas": Replicas,
}


def register(clusters: Clusters) -> None:
    @page("/admin")
    async def administration() -> None:
        await show(clusters, "quorum")

    @page("/admin/{kind}")
    async def one_kind(kind: str) -> None:
        await show(clusters, kind if kind in LISTINGS else "quorum")


async def show(clusters: Clusters, kind: str) -> None:
    with frame(clusters, "Administration", "/admin") as cluster:
        await asyncio.to_thread(cluster.wait_until_known, 2.0)
        with ui.row().classes("items-center w-full"):
            heading("Administration")
            ui.space()
            ui.label("Every action is written to").classes("text-dim")
            ui.link(AUDIT_TOPIC, path("topics", AUDIT_TOPIC)).classes("link")
        with ui.tabs().classes("w-full").props("align=left no-caps dense") as tabs:
            for name, listing in LISTINGS.items():
                ui.tab(name, listing.title)
        tabs.set_value(kind)
        tabs.on_value_change(lambda e: ui.navigate.to(path("admin", str(e.value))))
        with ui.column().classes("w-full gap-0"):
            await LISTINGS[kind](cluster).build()


def _ago(milliseconds: int | None) -> str:
    if milliseconds is None:
        return "not known"
    return "now" if milliseconds < 1000 else f"{formatting.duration(milliseconds)} ago"

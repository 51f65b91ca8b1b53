"""The services' tables, on SQLite or PostgreSQL.

`users` and `outbox` belong to the producer service: a registration writes both
in one transaction, so that neither a user without an event nor an event
without a user can exist (transactional outbox). `handled_events` belongs to
the consumer service: an event is handled in the transaction that records its
id, so that a redelivery changes nothing (idempotent consumer).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    BigInteger,
    Column,
    Engine,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    create_engine,
    event,
    func,
    insert,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError, OperationalError

from ottla.demos.kafka_clients import DemoError
from ottla.demos.services.events import Outgoing, now_ms

metadata = MetaData()

users = Table(
    "users",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("name", String(200), nullable=False),
    Column("email", String(320), nullable=False, unique=True),
    Column("password_hash", String(200), nullable=False),
    Column("created_at_ms", BigInteger, nullable=False),
)

refresh_tokens = Table(
    "refresh_tokens",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("user_id", String(36), nullable=False),
    Column("expires_at_ms", BigInteger, nullable=False),
    Column("used_at_ms", BigInteger),
)

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("topic", String(249), nullable=False),
    Column("key", String(200)),
    Column("payload", Text, nullable=False),
    Column("headers", Text, nullable=False),
    Column("published_at_ms", BigInteger, index=True),
)

handled_events = Table(
    "handled_events",
    metadata,
    Column("event_id", String(36), primary_key=True),
    Column("topic", String(249), nullable=False),
    Column("user_id", String(36), nullable=False, index=True),
    Column("handled_at_ms", BigInteger, nullable=False),
)


def connect(url: str) -> Engine:
    """An engine whose tables exist. Errors: `DemoError` when the database cannot be used."""
    address = url.replace("postgres://", "postgresql://", 1)
    address = address.replace("postgresql://", "postgresql+psycopg://", 1)
    engine = create_engine(address)
    if engine.dialect.name == "sqlite":
        event.listen(engine, "connect", _prepare_sqlite)
    try:
        metadata.create_all(engine)
    except OperationalError as error:
        shown = engine.url.render_as_string(hide_password=True)
        raise DemoError(f"The database {shown} cannot be used: {error.orig}.") from None
    return engine


def _prepare_sqlite(connection: Any, _: Any) -> None:
    # A second writer waits instead of failing, and readers never block.
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA busy_timeout=10000")


class Users:
    """Users and their refresh tokens."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def register(self, row: dict[str, Any], announcement: Outgoing) -> bool:
        """Write the user and the event in one transaction; False when the e-mail is taken."""
        try:
            with self.engine.begin() as transaction:
                transaction.execute(insert(users).values(**row))
                transaction.execute(insert(outbox).values(**_outbox_row(announcement)))
        except IntegrityError:
            return False
        return True

    def by_email(self, email: str) -> dict[str, Any] | None:
        return self._one(select(users).where(users.c.email == email))

    def by_id(self, user_id: str) -> dict[str, Any] | None:
        return self._one(select(users).where(users.c.id == user_id))

    def _one(self, query: Any) -> dict[str, Any] | None:
        with self.engine.connect() as connection:
            row = connection.execute(query).mappings().first()
            return None if row is None else dict(row)

    def issue(self, row: dict[str, Any], announcement: Outgoing) -> None:
        """Remember a refresh token and announce the issue in one transaction."""
        with self.engine.begin() as transaction:
            transaction.execute(insert(refresh_tokens).values(**row))
            transaction.execute(insert(outbox).values(**_outbox_row(announcement)))

    def use_refresh_token(self, token_hash: str) -> str | None:
        """The user of a token that is valid, marking it used; None for any other."""
        table, moment = refresh_tokens.c, now_ms()
        with self.engine.begin() as transaction:
            changed = transaction.execute(
                update(refresh_tokens)
                .where(
                    table.token_hash == token_hash,
                    table.used_at_ms.is_(None),
                    table.expires_at_ms > moment,
                )
                .values(used_at_ms=moment)
            )
            if changed.rowcount != 1:
                return None
            found: str = transaction.execute(
                select(table.user_id).where(table.token_hash == token_hash)
            ).scalar_one()
            return found


def _outbox_row(event_: Outgoing) -> dict[str, Any]:
    return {
        "topic": event_.topic,
        "key": event_.key,
        "payload": json.dumps(event_.payload),
        "headers": json.dumps(event_.headers),
    }


class Outbox:
    """Events written but not yet known to be in Kafka."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def pending(self, limit: int) -> list[tuple[int, Outgoing]]:
        """The oldest unpublished events, in the order they were written."""
        query = select(outbox).where(outbox.c.published_at_ms.is_(None))
        with self.engine.connect() as connection:
            rows = connection.execute(query.order_by(outbox.c.id).limit(limit)).mappings().all()
        return [
            (
                row["id"],
                Outgoing(
                    row["topic"], row["key"], json.loads(row["payload"]), json.loads(row["headers"])
                ),
            )
            for row in rows
        ]

    def mark_published(self, ids: Sequence[int]) -> None:
        with self.engine.begin() as transaction:
            transaction.execute(
                update(outbox).where(outbox.c.id.in_(ids)).values(published_at_ms=now_ms())
            )

    def count_pending(self) -> int:
        query = select(func.count()).where(outbox.c.published_at_ms.is_(None))
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())


class HandledEvents:
    """What the consumer service has handled."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine

    def handle_once(self, event_id: str, topic: str, user_id: str) -> bool:
        """Record the event; False when it was recorded before."""
        row = {
            "event_id": event_id,
            "topic": topic,
            "user_id": user_id,
            "handled_at_ms": now_ms(),
        }
        try:
            with self.engine.begin() as transaction:
                transaction.execute(insert(handled_events).values(**row))
        except IntegrityError:
            return False
        return True

    def count(self, topic: str, user_id: str | None = None) -> int:
        query = select(func.count()).where(handled_events.c.topic == topic)
        if user_id is not None:
            query = query.where(handled_events.c.user_id == user_id)
        with self.engine.connect() as connection:
            return int(connection.execute(query).scalar_one())

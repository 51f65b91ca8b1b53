"""The producer service: registers users, issues tokens, publishes both."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import AsyncIterator

from fastapi import FastAPI, HTTPException, Response
from pydantic import BaseModel, Field
from sqlalchemy import Engine
from starlette.responses import PlainTextResponse

from ottla.demos.kafka_clients import Settings
from ottla.demos.services.database import Outbox, Users
from ottla.demos.services.events import IssuedToken, NewUserCreated, now_ms, outgoing
from ottla.demos.services.observing import Correlation, Metrics, correlation_id, producer_log
from ottla.demos.services.outbox_relay import OutboxRelay
from ottla.demos.services.tokens import Passwords, TokenPair, Tokens, fingerprint


class Registration(BaseModel):
    """A wish to register."""

    name: str = Field(min_length=1, max_length=200)
    email: str = Field(pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)
    password: str = Field(min_length=8, max_length=1000)


class Login(BaseModel):
    """E-mail and password of a registered user."""

    email: str = Field(max_length=320)
    password: str = Field(max_length=1000)


class Refresh(BaseModel):
    """A refresh token, good for one use."""

    refresh_token: str = Field(max_length=200)


class UserView(BaseModel):
    """A user without secrets."""

    id: str
    name: str
    email: str
    created_at_ms: int


class TokenView(BaseModel):
    """Tokens for a user."""

    access_token: str
    refresh_token: str
    expires_at_ms: int
    token_type: str = "bearer"  # noqa: S105 - the kind of token


class Registrar:
    """The service's decisions; each public method is one transaction or a read."""

    def __init__(self, engine: Engine, tokens: Tokens, passwords: Passwords | None = None) -> None:
        self.users = Users(engine)
        self.tokens = tokens
        self.passwords = passwords or Passwords()

    def register(self, wish: Registration) -> UserView | None:
        """The new user, announced; None when the e-mail is taken."""
        moment = now_ms()
        user = UserView(
            id=str(uuid.uuid4()), name=wish.name, email=wish.email.lower(), created_at_ms=moment
        )
        event = NewUserCreated(user.id, user.name, user.email, moment)
        row = {**user.model_dump(), "password_hash": self.passwords.hash(wish.password)}
        was_free = self.users.register(row, outgoing(event, correlation_id.get()))
        return user if was_free else None

    def login(self, wish: Login) -> TokenView | None:
        """Tokens for the user, announced; None for wrong credentials."""
        user = self.users.by_email(wish.email.lower())
        known = None if user is None else str(user["password_hash"])
        if not self.passwords.matches(known, wish.password) or user is None:
            return None
        return self._issue(str(user["id"]))

    def refresh(self, refresh_token: str) -> TokenView | None:
        """Fresh tokens for a refresh token that is valid and unused; None otherwise."""
        user_id = self.users.use_refresh_token(fingerprint(refresh_token))
        return None if user_id is None else self._issue(user_id)

    def _issue(self, user_id: str) -> TokenView:
        pair: TokenPair = self.tokens.issue(user_id)
        moment = now_ms()
        event = IssuedToken(user_id, pair.token_id, pair.expires_at_ms, moment)
        row = {
            "token_hash": fingerprint(pair.refresh_token),
            "user_id": user_id,
            "expires_at_ms": moment + self.tokens.refresh_life_s * 1000,
        }
        self.users.issue(row, outgoing(event, correlation_id.get()))
        return TokenView(
            access_token=pair.access_token,
            refresh_token=pair.refresh_token,
            expires_at_ms=pair.expires_at_ms,
        )

    def find(self, user_id: str) -> UserView | None:
        row = self.users.by_id(user_id)
        return None if row is None else UserView.model_validate(row)


def application(settings: Settings, engine: Engine, registrar: Registrar) -> FastAPI:
    """The HTTP side; the outbox relay runs as long as the application does."""
    relay = OutboxRelay(settings, Outbox(engine))
    metrics = Metrics()

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        relay.start()
        try:
            yield
        finally:
            relay.stop()

    app = FastAPI(title="Producer service", lifespan=lifespan, docs_url=None, redoc_url=None)
    app.add_middleware(Correlation)

    @app.post("/users", status_code=201)
    def register(wish: Registration) -> UserView:
        user = registrar.register(wish)
        if user is None:
            raise HTTPException(409, "That e-mail address is registered already.")
        relay.nudge()
        metrics.count("users_registered_total")
        producer_log.info("registered user %s", user.id)
        return user

    @app.post("/tokens")
    def login(wish: Login) -> TokenView:
        tokens = registrar.login(wish)
        if tokens is None:
            raise HTTPException(401, "E-mail address or password is wrong.")
        relay.nudge()
        metrics.count("tokens_issued_total")
        return tokens

    @app.post("/tokens/refresh")
    def refresh(wish: Refresh) -> TokenView:
        tokens = registrar.refresh(wish.refresh_token)
        if tokens is None:
            raise HTTPException(401, "The refresh token is unknown, used or expired.")
        relay.nudge()
        metrics.count("tokens_issued_total")
        return tokens

    @app.get("/users/{user_id}")
    def user(user_id: str) -> UserView:
        found = registrar.find(user_id)
        if found is None:
            raise HTTPException(404, "There is no such user.")
        return found

    add_health_routes(app, relay, metrics)
    return app


def add_health_routes(app: FastAPI, relay: OutboxRelay, metrics: Metrics) -> None:
    """/health/live, /health/ready and /metrics."""

    @app.get("/health/live")
    def live() -> dict[str, str]:
        return {"status": "live"}

    @app.get("/health/ready")
    def ready() -> dict[str, object]:
        return {"status": "ready", "outbox_pending": relay.outbox.count_pending()}

    @app.get("/metrics")
    def metrics_text() -> Response:
        return PlainTextResponse(
            metrics.text() + f"outbox_published_total {relay.published}\n"
            f"outbox_failed_total {relay.failed}\n"
        )

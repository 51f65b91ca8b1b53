"""Who may use the console, and for what: nobody is asked on this machine, everybody beyond it."""

from __future__ import annotations

import asyncio
import hmac
import ipaddress
from dataclasses import dataclass

from nicegui import app, ui
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

LOGIN = "/login"
#: What a page that asks for the password needs itself.
OPEN_PREFIXES = ("/_nicegui", LOGIN)
#: How long a wrong password waits for its answer.
WRONG_S = 0.5


@dataclass(frozen=True)
class Actor:
    """Whoever sits before a page; a viewer may look, an admin may change things."""

    user: str
    is_admin: bool


NOBODY_ASKED = Actor("local", is_admin=True)

#: USER:PASSWORD → who that is. Empty: nobody is asked.
_accounts: dict[str, Actor] = {}


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def actor() -> Actor:
    """Who uses the page that is being built, or that an event came from."""
    if not _accounts:
        return NOBODY_ASKED
    user = app.storage.user.get("user")
    return next((a for a in _accounts.values() if a.user == user), Actor("?", is_admin=False))


def is_required() -> bool:
    return bool(_accounts)


class LoginRequired(BaseHTTPMiddleware):
    """Sends a browser that has not logged in to the login page."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        is_open = request.url.path.startswith(OPEN_PREFIXES)
        if not is_open and not app.storage.user.get("user"):
            query = f"?{request.url.query}" if request.url.query else ""
            app.storage.user["wanted"] = request.url.path + query
            return RedirectResponse(LOGIN)
        return await call_next(request)


def require(admin: str | None, viewer: str | None) -> None:
    """Every page asks once per browser session for one of these `user:password` pairs."""
    for credentials, is_admin in ((admin, True), (viewer, False)):
        if credentials is not None:
            _accounts[credentials] = Actor(credentials.partition(":")[0], is_admin)
    app.add_middleware(LoginRequired)
    ui.page(LOGIN)(_login_page)


def _known(given: str) -> Actor | None:
    """The actor with these credentials; takes as long for wrong ones as for right ones."""
    found = None
    for credentials, candidate in _accounts.items():
        if hmac.compare_digest(given.encode(), credentials.encode()):
            found = candidate
    return found


def _login_page() -> None:
    from ottla.console.layout import dress

    dress("Log in")
    with ui.card().classes("card absolute-center w-80 gap-3"):
        ui.label("Ottla").classes("text-h5")
        user = ui.input("User").classes("w-full").props("outlined dense autofocus")
        password = ui.input("Password", password=True).classes("w-full").props("outlined dense")
        fault = ui.label().classes("text-negative").props("role=alert")

        async def attempt() -> None:
            found = _known(f"{user.value or ''}:{password.value or ''}")
            if found is None:
                await asyncio.sleep(WRONG_S)
                fault.set_text("User or password is wrong.")
                return
            app.storage.user["user"] = found.user
            wanted = str(app.storage.user.get("wanted") or "/")
            ui.navigate.to(wanted if wanted[:1] == "/" and wanted[:2] != "//" else "/")

        password.on("keydown.enter", attempt)
        user.on("keydown.enter", attempt)
        ui.button("Log in", on_click=attempt).props("no-caps unelevated").classes("w-full")


def log_out() -> None:
    app.storage.user.pop("user", None)
    ui.navigate.to(LOGIN)

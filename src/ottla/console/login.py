"""Who may use the console: nobody is asked on this machine, everybody beyond it."""

from __future__ import annotations

import hmac
import ipaddress

from nicegui import app, ui
from starlette.middleware.base import BaseHTTPMiddleware, RequestResponseEndpoint
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

LOGIN = "/login"
#: What a page that asks for the password needs itself.
OPEN_PREFIXES = ("/_nicegui", LOGIN)


def is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class LoginRequired(BaseHTTPMiddleware):
    """Sends a browser that has not logged in to the login page."""

    async def dispatch(self, request: Request, call_next: RequestResponseEndpoint) -> Response:
        is_open = request.url.path.startswith(OPEN_PREFIXES)
        if not is_open and not app.storage.user.get("is_known"):
            app.storage.user["wanted"] = request.url.path
            return RedirectResponse(LOGIN)
        return await call_next(request)


def require(credentials: str) -> None:
    """Every page asks for `user:password` once per browser session."""
    app.add_middleware(LoginRequired)

    @ui.page(LOGIN)
    def login() -> None:
        ui.page_title("Log in · Ottla")
        with ui.card().classes("absolute-center w-80"):
            ui.label("Ottla").classes("text-h5")
            user = ui.input("User").classes("w-full").props("autofocus")
            password = ui.input("Password", password=True).classes("w-full")
            fault = ui.label().classes("text-negative")

            def attempt() -> None:
                given = f"{user.value or ''}:{password.value or ''}"
                if not hmac.compare_digest(given.encode(), credentials.encode()):
                    fault.set_text("User or password is wrong.")
                    return
                app.storage.user["is_known"] = True
                wanted = str(app.storage.user.get("wanted") or "/")
                ui.navigate.to(wanted if wanted.startswith("/") else "/")

            password.on("keydown.enter", attempt)
            ui.button("Log in", on_click=attempt).props("no-caps").classes("w-full")

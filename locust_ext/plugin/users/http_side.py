"""The HTTP side of a user that has one (Locust's ``self.client``): one cookie jar, headers and token with its upgrades."""

from __future__ import annotations

from locust.clients import HttpSession
from locust.contrib.fasthttp import FastHttpSession

from collections.abc import Mapping
from http.cookiejar import CookieJar
from typing import Any, Protocol


class HasHttpSide(Protocol):
    """The user, as far as it is asked here (`ConnectionSettings`)."""

    def setting(self, name: str) -> Any: ...

    def own_headers(self) -> dict[str, str]: ...

    def bearer_token(self) -> str | None: ...

    def begin_operation(self) -> None: ...


def jar_of(user: object) -> CookieJar | None:
    """The cookie jar of the user's HTTP client, as it is now; None: it has no such client."""
    client = user.__dict__.get("client")
    jar: object = None
    if isinstance(client, HttpSession):
        jar = client.cookies
    elif isinstance(client, FastHttpSession):
        jar = client.cookiejar
    return jar if isinstance(jar, CookieJar) else None


def share_headers(user: HasHttpSide) -> None:
    """Have the HTTP client of ``user`` send its ``headers`` and its token with each request, as its upgrades do.

    Call it once, when the user is whole. What a request is given itself stands before them. Does nothing where there is
    no client of Locust's.
    """
    client: Any = user.__dict__.get("client")
    if isinstance(client, HttpSession):
        always: Any = client.headers
        auth = "auth"
    elif isinstance(client, FastHttpSession):
        always, auth = client.client.default_headers, "auth_header"
    else:
        return
    told = user.setting("headers")
    if not callable(told):
        always.update(told)
    plain = client.request
    of_address = getattr(client, auth)

    def request(method: str, url: str, *args: Any, headers: Mapping[str, str] | None = None, **kwargs: Any) -> Any:
        user.begin_operation()
        own = {} if user.setting("headers") is told and not callable(told) else user.own_headers()
        if token := user.bearer_token():
            own["Authorization"] = f"Bearer {token}"
            if getattr(client, auth) is of_address:  # name and password in it: they would stand before the token
                setattr(client, auth, None)
        if own:
            given = {name.lower() for name in headers or {}}
            headers = {name: value for name, value in own.items() if name.lower() not in given} | dict(headers or {})
        return plain(method, url, *args, headers=headers, **kwargs)

    client.request = request


def close_http(user: object) -> None:
    """Give the descriptors of the user's HTTP client back, where no other user shares them; does not block."""
    client: Any = user.__dict__.get("client")
    if isinstance(client, HttpSession) and getattr(user, "pool_manager", None) is None:
        # To close the session would only let go of them, until the garbage is collected.
        managers: list[Any] = [getattr(adapter, "poolmanager", None) for adapter in client.adapters.values()]
        pools = [manager.pools for manager in managers if manager is not None]
        for pool in [found.get(key) for found in pools for key in list(found.keys())]:
            pool.close()
    elif isinstance(client, FastHttpSession) and getattr(user, "client_pool", None) is None:
        client.client.clientpool.close()
    if client is not None:
        client.__dict__.pop("request", None)  # what `share_headers` has put there holds the user

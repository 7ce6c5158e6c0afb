"""`ConnectionSettings`: what a user class says about its connections, and what its upgrade requests carry."""

from __future__ import annotations

import ssl
from base64 import b64encode
from collections.abc import Callable, Mapping
from http.cookiejar import CookieJar
from types import MappingProxyType
from typing import Any, ClassVar
from urllib.parse import unquote, urlsplit

from locust_ext.core.protocols.deflate import DeflateOffer
from locust_ext.errors import ConfigError
from locust_ext.plugin.users.cookies import cookie_header, remember
from locust_ext.plugin.users.http_side import jar_of
from locust_ext.runtime.address import Endpoint
from locust_ext.runtime.facts import TransportSettings
from locust_ext.runtime.handshake import HandshakeOptions
from locust_ext.runtime.process import ProcessShared, shared
from locust_ext.runtime.proxy import proxy_for

INBOX_POLICIES = ("drop_oldest", "close")


class ConnectionSettings:
    """Class attributes are the settings of all users of the class; an instance's own stand before them."""

    shared: ProcessShared
    cookies: CookieJar | None
    """Of a user without an HTTP side; None: it has been given none yet."""
    inbox_policy: str

    ping_interval_s: float = 20.0
    """Seconds between keep-alive WebSocket pings; 0: none."""
    ping_timeout_s: float = 20.0
    max_message_bytes: int = 16 * 2**20
    headers: Mapping[str, str] | Callable[[Any], Mapping[str, str]] = MappingProxyType({})
    """Of the upgrade request, and of each request of a user with an HTTP side (`HttpUser`, `FastHttpUser`) as well.

    A callable is asked each time, with the user. Values are never shown.
    """
    subprotocols: str | tuple[str, ...] = ()
    origin: str | None = None
    token: str | Callable[[Any], str] | None = None
    """Sent as ``Authorization: Bearer`` where ``headers`` are; a callable is asked each time, with the user. Never shown."""
    verify_tls: bool = True
    """False: any certificate will do."""
    ca_file: str | None = None
    """PEM file with the authorities to trust, instead of the system's."""
    client_certificate: str | tuple[str, str] | None = None
    """PEM file of our own certificate with its key, or a pair of both."""
    tls_context: ssl.SSLContext | None = None
    """Instead of the three above."""
    proxy: str | None = None
    """``http://[user:password@]host:port``, ``socks5://…`` (also socks5h, socks4, socks4a), or ``"environment"``.

    The last takes it from ``HTTP_PROXY``, ``HTTPS_PROXY`` and ``NO_PROXY``. None: never a proxy. Never shown.
    """
    compression: Any = False
    """True, or a `DeflateOffer`: permessage-deflate is offered (RFC 7692)."""

    _transport_settings: ClassVar[TransportSettings | None] = None

    @classmethod
    def check_settings(cls) -> None:
        """Raises `ConfigError` for a setting that is none, when the class is made."""
        if cls.inbox_policy not in INBOX_POLICIES:
            raise ConfigError(
                f"expected one of {', '.join(INBOX_POLICIES)}",
                key=f"{cls.__name__}.inbox_policy",
                value=cls.inbox_policy,
            )
        if not isinstance(cls.compression, bool | DeflateOffer):
            raise ConfigError(
                "expected True, False or a DeflateOffer", key=f"{cls.__name__}.compression", value=cls.compression
            )

    def transport_settings(self) -> TransportSettings:
        """One object for all users of the class."""
        cls = type(self)
        if cls._transport_settings is None:
            cls._transport_settings = TransportSettings(
                max_message_bytes=cls.max_message_bytes,
                ping_interval_s=cls.ping_interval_s,
                ping_timeout_s=cls.ping_timeout_s,
            )
        return cls._transport_settings

    def handshake_options(self, target: Endpoint) -> HandshakeOptions:
        """What this user's upgrade requests carry; override it for more."""
        headers = {**self.own_headers(), **self.authorization(target)}
        return HandshakeOptions(
            headers=headers,
            subprotocols=(self.subprotocols,) if isinstance(self.subprotocols, str) else tuple(self.subprotocols),
            origin=self.origin,
            cookie=cookie_header(self._jar(), target),
            verify_tls=self.verify_tls,
            tls_context=self.tls_context_in_use() if target.is_secure else None,
            proxy=proxy_for(target, self.proxy),
            source_address=self.shared.next_source_address(),
            deflate=self._deflate_offer(),
        )

    @classmethod
    def tls_context_in_use(cls) -> ssl.SSLContext:
        """The one context of all connections with this class's settings. Raises `ConfigError`."""
        if cls.tls_context is not None:
            return cls.tls_context
        own = cls.client_certificate
        return shared().tls_context(cls.verify_tls, cls.ca_file, (own,) if isinstance(own, str) else tuple(own or ()))

    def authorization(self, target: Endpoint) -> dict[str, str]:
        """The header that presents the token to ``target``, or the name and password of its address; if there is one."""
        if token := self.bearer_token():
            return {"Authorization": f"Bearer {token}"}
        if "@" in target.url.partition("?")[0]:
            parts = urlsplit(target.url)
            if parts.username and parts.password:
                known = f"{unquote(parts.username)}:{unquote(parts.password)}"
                return {"Authorization": f"Basic {b64encode(known.encode('latin-1', 'replace')).decode()}"}
        return {}

    def own_headers(self) -> dict[str, str]:
        """The headers to present now. Never to be shown."""
        headers = self.setting("headers")
        return dict(headers(self) if callable(headers) else headers)

    def setting(self, name: str) -> Any:
        """A setting as it was written: a function given as one is no method of the user."""
        return self.__dict__[name] if name in self.__dict__ else getattr(type(self), name)

    def bearer_token(self) -> str | None:
        """The token to present now; None: none. Never to be shown."""
        token = self.setting("token")
        return token(self) if callable(token) else token

    def _deflate_offer(self) -> Any:
        if not self.compression:
            return None
        if self.compression is True:
            return DeflateOffer()
        return self.compression

    def remember_cookies(self, target: Endpoint, set_cookies: tuple[str, ...]) -> None:
        """Keep what a server's ``Set-Cookie`` lines say, in the jar of the user's HTTP client, or in one of its own."""
        jar = self._jar()
        if jar is None:
            jar = self.cookies = CookieJar()
        remember(jar, target, set_cookies)

    def _jar(self) -> CookieJar | None:
        jar = jar_of(self)
        return self.cookies if jar is None else jar

"""Who may ask: the key, the names of this server, and the pages of other sites (closed unless allowed)."""

import base64
import hmac
import ipaddress
from collections.abc import Collection

from aiohttp import hdrs, web

from orchestrator.serve.errors import ApiError
from orchestrator.serve.run_pages import RUNS_PATH

__all__ = ["Access"]

_OPEN_PATHS = frozenset({"/health"})  # load balancers ask without a key


class Access:
    """The rules of one server.

    Args:
        key: what clients must send as a bearer token; None asks for none.
        host: the address that the server is bound to.
        allowed_hosts: further names by which it may be addressed while it has no key.
        allowed_origins: sites whose pages may ask; "*" allows all.
    """

    def __init__(
        self,
        *,
        key: str | None = None,
        host: str = "127.0.0.1",
        allowed_hosts: Collection[str] = (),
        allowed_origins: Collection[str] = (),
    ) -> None:
        self._key = None if key is None else key.encode()
        self._host = host.lower()
        self._allowed_hosts = {name.lower() for name in allowed_hosts}
        self._allowed_origins = frozenset(allowed_origins)

    def check(self, request: web.Request) -> None:
        """Raises ApiError, 401 or 403, for a request that may not ask."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is not None and not self._allows(origin):
            raise ApiError(
                403,
                "Pages of other sites may not ask this server: allow theirs with --allow-origin.",
                code="origin_not_allowed",
            )
        if self._key is None:
            self._check_host(request)
        elif request.path not in _OPEN_PATHS:
            self._check_key(request)

    def cors_headers(self, request: web.Request) -> dict[str, str]:
        """What lets a browser show the reply to an allowed page."""
        origin = request.headers.get(hdrs.ORIGIN)
        if origin is None or not self._allows(origin):
            return {}
        return {
            hdrs.ACCESS_CONTROL_ALLOW_ORIGIN: origin,
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: "GET, POST, OPTIONS",
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: request.headers.get(
                hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "Authorization, Content-Type"
            ),
            hdrs.ACCESS_CONTROL_EXPOSE_HEADERS: "*",
            hdrs.VARY: hdrs.ORIGIN,
        }

    def _allows(self, origin: str) -> bool:
        return "*" in self._allowed_origins or origin in self._allowed_origins

    def _check_key(self, request: web.Request) -> None:
        given = request.headers.get(hdrs.AUTHORIZATION, "")
        page = request.path == RUNS_PATH or request.path.startswith(f"{RUNS_PATH}/")
        key = _bearer(given) or (_password(given) if page else b"")
        if not hmac.compare_digest(key, self._key or b""):
            raise ApiError(
                401,
                "Give the key of this server as the API key; for a page, as the password of any user.",
                code="invalid_api_key",
                challenge='Basic realm="DeepPrune", charset="UTF-8"' if page else "Bearer",
            )

    def _check_host(self, request: web.Request) -> None:
        """Refuses names that others may have pointed at this machine (DNS rebinding)."""
        try:
            name = (request.url.origin().host or "").lower()
        except ValueError:
            name = ""
        if name not in self._allowed_hosts and not self._is_own(name):
            raise ApiError(
                403,
                "This server does not answer under that name: restart it with --allow-host NAME, or with a key.",
                code="host_not_allowed",
            )

    def _is_own(self, name: str) -> bool:
        if name in (self._host, "localhost"):
            return True
        try:
            ipaddress.ip_address(name)  # an address cannot be pointed elsewhere
        except ValueError:
            return False
        return True


def _bearer(header: str) -> bytes:
    """The key in a header that an API client sends; empty without one."""
    scheme, _, given = header.partition(" ")
    return given.strip().encode("utf-8", "surrogateescape") if scheme.lower() == "bearer" else b""


def _password(header: str) -> bytes:
    """The password in a header that a browser sends when it has asked its user; empty without one.

    Only pages take it: a browser adds it to requests of other sites' pages too, and those must not ask questions.
    """
    scheme, _, given = header.partition(" ")
    if scheme.lower() != "basic":
        return b""
    try:
        _user, _, password = base64.b64decode(given.strip(), validate=True).partition(b":")
    except ValueError:
        return b""
    return password

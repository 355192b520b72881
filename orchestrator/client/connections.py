"""What the environment says about connections: proxies and trusted certificates, alike for every client.

HTTP_PROXY, HTTPS_PROXY, ALL_PROXY and NO_PROXY mean what they mean to curl, in upper or lower case. SSL_CERT_FILE and
SSL_CERT_DIR replace the system's certificates. Nothing is read from ~/.netrc.
"""

import contextlib
import ipaddress
import os
import ssl
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from orchestrator.errors import ConfigError

__all__ = ["proxy_for", "tls_context"]


def proxy_for(url: URL) -> URL | None:
    """The proxy through which `url` is reached, with its credentials; None if it is reached directly.

    A loopback address is reached directly unless the proxy is on this machine as well: no other machine could reach it.

    Raises:
        ConfigError: the variable names no http or https proxy.
    """
    proxies = getproxies()
    given = proxies.get(url.scheme) or proxies.get("all")
    if not given or _is_excepted(url, proxies):
        return None
    try:
        proxy = URL(given if "://" in given else f"http://{given}")
        usable = proxy.scheme in ("http", "https") and bool(proxy.host)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError(
            f"The proxy for {url.scheme} addresses is not an http or https address; correct "
            f"{url.scheme.upper()}_PROXY or ALL_PROXY, or put {url.host} into NO_PROXY."
        )
    if _is_loopback(url.host or "") and not _is_loopback(proxy.host or ""):
        return None
    return proxy


def tls_context() -> ssl.SSLContext:
    """Checks certificates against SSL_CERT_FILE and SSL_CERT_DIR, or against the system's authorities.

    Raises:
        ConfigError: one of the variables names no certificates, which OpenSSL would ignore.
    """
    context = ssl.create_default_context()
    for variable, option in (("SSL_CERT_FILE", "cafile"), ("SSL_CERT_DIR", "capath")):
        path = os.environ.get(variable)
        if path:
            try:
                context.load_verify_locations(**{option: path})
            except (OSError, ssl.SSLError) as error:
                reason = error.strerror or type(error).__name__
                raise ConfigError(
                    f"{variable} names {path}, from which no certificates can be read ({reason}); "
                    "correct it or unset it."
                ) from None
    return context


def _is_excepted(url: URL, proxies: dict[str, str]) -> bool:
    """Whether NO_PROXY names the host: by name, domain, host and port, address or network (10.0.0.0/8)."""
    host = url.host or ""
    if proxy_bypass(host) or proxy_bypass(f"{host}:{url.port}"):
        return True
    names = [name.strip() for name in proxies.get("no", "").split(",")]
    with contextlib.suppress(ValueError):
        address = ipaddress.ip_address(host)
        return any(address in network for network in _networks(names))
    return False


def _networks(names: list[str]) -> list[ipaddress.IPv4Network | ipaddress.IPv6Network]:
    found = []
    for name in names:
        with contextlib.suppress(ValueError):
            found.append(ipaddress.ip_network(name.strip("[]"), strict=False))
    return found


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")

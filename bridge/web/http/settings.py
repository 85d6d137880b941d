"""Settings of the web server: listen address, external URL, allowed host names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode, urlsplit

from bridge.domain.errors import ConfigError, Problem
from bridge.domain.model import ModelKey
from bridge.net.hosts import FLAG, check_name, is_loopback
from bridge.web.http.web_config import WebConfig, load_web_config

__all__ = ["WebConfig", "WebSettings", "is_loopback", "load_web_config"]

LISTEN_FLAG, URL_FLAG = "--web.listen-address", "--web.external-url"
GRAFANA_FLAG, PROMETHEUS_FLAG = "--web.grafana-url", "--web.prometheus-url"
OVERVIEW, DECISIONS = "/d/retrain-bridge-overview", "/d/retrain-bridge-decisions"


@dataclass(frozen=True, slots=True)
class WebSettings:
    """Settings from the command line. Raises ConfigError.

    listen: HOST:PORT; ":9095" listens on every address.
    external_url: URL under which users reach the web pages.
    web_config_file: file with TLS and users; None without one.
    grafana_url: URL of the Grafana server with the dashboards of grafana/; "" without one.
    prometheus_url: URL under which users reach Prometheus; "" = the URL in the configuration.
    allowed_hosts: host names to accept besides those of external_url and of this host.
    """

    listen: str = "127.0.0.1:9095"
    external_url: str = ""
    web_config_file: Path | None = None
    grafana_url: str = ""
    prometheus_url: str = ""
    allowed_hosts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _, colon, port = self.listen.rpartition(":")
        if not colon or not (port.isascii() and port.isdecimal()) or int(port) > 65535:
            message = f"{self.listen!r} is not HOST:PORT"
            raise ConfigError([Problem(LISTEN_FLAG, 0, "", message, "for example 127.0.0.1:9095, or :9095 for all")])
        for flag, url in (
            (URL_FLAG, self.external_url), (GRAFANA_FLAG, self.grafana_url), (PROMETHEUS_FLAG, self.prometheus_url),
        ):  # fmt: skip
            if url and not _is_base_url(url):
                message, example = f"{url!r} is not a base URL", "for example https://ops.example.org/retrain"
                raise ConfigError([Problem(flag, 0, "", message, example)])

        for name in self.allowed_hosts:
            try:
                check_name(name)
            except ValueError as error:
                raise ConfigError([Problem(FLAG, 0, "", str(error))]) from None

    @property
    def host(self) -> str:
        """Host to listen on; "" = every address."""
        return self.listen.rpartition(":")[0].strip("[]")

    @property
    def port(self) -> int:
        """Port to listen on; 0 = any free port."""
        return int(self.listen.rpartition(":")[2])

    @property
    def loopback(self) -> bool:
        """True if only this host can reach the server."""
        return is_loopback(self.host)

    def dashboard(self, model: ModelKey | None = None) -> str:
        """Return the URL of the overview dashboard, or of one model's decisions; "" without a Grafana server."""
        if not self.grafana_url:
            return ""
        page = OVERVIEW if model is None else DECISIONS
        variables = {} if model is None else {f"var-{name}": value for name, value in model.labels().items()}
        return self.grafana_url.rstrip("/") + page + (f"?{urlencode(variables)}" if variables else "")

    @property
    def prefix(self) -> str:
        """Path of the external URL, without a trailing slash."""
        return urlsplit(self.external_url).path.rstrip("/")


def _is_base_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    plain = not (parts.query or parts.fragment or "@" in parts.netloc)
    return parts.scheme in {"http", "https"} and bool(parts.netloc) and plain

"""What an operator tunes for any service; each adds its own under its own prefix."""

from pathlib import Path
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_settings import BaseSettings


class ServiceSettings(BaseSettings):
    """
    Settings of one process, read from environment variables.

    A service subclasses this with ``model_config = SettingsConfigDict(env_prefix="BILLING_")``.
    """

    dsn: SecretStr
    """PostgreSQL, as the service's own role."""
    nats_url: str = "nats://127.0.0.1:4222"
    nats_nkey_seed: SecretStr | None = None
    host: str = "127.0.0.1"
    port: int = 8080
    pool_size: int = 10
    clock_url: str | None = None
    """Sandbox only: where the test clock is read at start. Unset: the machine's clock."""
    job_pause_s: float = 0.1
    """Jobs look for new work at most once in this time."""
    bus_retry_s: tuple[float, ...] = (0.2, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0)
    """Waits between the tries of one event, after which it is a dead letter."""
    shutdown_s: float = 20.0
    """How long requests and handlers under way may take to finish at a stop."""
    log_level: str = "INFO"
    otlp_endpoint: str | None = None
    """Where traces go (OTLP over HTTP); unset: nowhere."""

    def require_sandbox(self, *provider_urls: str) -> None:
        """
        Refuse to call a real provider while time is moved by hand.

        Raises:
            ValueError: The clock is a test clock and one of *provider_urls* is not local.
        """
        if self.clock_url is None:
            return
        for url in provider_urls:
            host = urlsplit(url).hostname or ""
            if host not in {"127.0.0.1", "localhost", "::1", "sandbox"}:
                raise ValueError(f"A real provider may not be called under a test clock: {url}")


def read_secret(path: Path) -> str:
    """Return the text of a mounted secret, without the line end."""
    return path.read_text(encoding="utf-8").strip()

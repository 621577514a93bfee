"""What an operator tunes for billing; environment variables begin with ``BILLING_``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class BillingSettings(ServiceSettings):
    """Settings of one billing process."""

    model_config = SettingsConfigDict(env_prefix="BILLING_")

    alipay_gateway_url: str = "http://127.0.0.1:8081/gateway.do"
    wechatpay_url: str = "http://127.0.0.1:8082"
    bankcard_url: str = "http://127.0.0.1:8083"
    """The card aggregator's base URL."""
    bankcard_paths: Mapping[str, str] = {}
    """Where calls to it go, by name as JSON, where that differs from our profile."""
    keys_dir: Path = Path("keys")
    """Directory with our keys at the rails (PEM), the rails' public keys, and secrets.json."""
    public_url: str = "http://127.0.0.1:8080"
    """Our own address as the rails reach it; webhooks hang below it."""
    pay_url_base: str = "https://pay.example.com/p/"
    """What a payment link begins with; its token follows."""
    in_flight: int = Field(default=64, ge=1, le=1000)
    """Calls to one rail that may be under way at once, in each lane of the billing run."""
    batch: int = Field(default=250, ge=1, le=500)
    """Instalments that one step of the billing run takes."""
    lanes: int = Field(default=2, ge=1, le=4)
    """Batches of the billing run under way at once."""
    dunning: Literal["fast", "gentle"] = "fast"
    alipay_cycle_code: str = "CYCLE_PAY_AUTH"
    """Alipay's product code of our cycle contract; it depends on what was really contracted."""
    rail_permissions: Mapping[str, Mapping[str, Any]] = {}
    """What the contract says of figures no rail confirms: JSON by product and field."""
    rail_share: float = Field(default=1.0, gt=0, le=1)
    """This process's share of the calls a second that a rail takes: 1 / number of replicas."""

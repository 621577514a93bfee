"""What an operator tunes of signing; environment variables begin with ``SIGNING_``."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class SigningSettings(ServiceSettings):
    """
    Providers' addresses, keys, and the keys of personal data.

    ``keys_dir`` holds ``alipay-app.pem``, ``alipay.pub.pem``, ``wechat-merchant.pem``,
    ``wechat-platform.pub.pem`` and ``secrets.json``; ``evidence.pem`` signs evidence.
    """

    model_config = SettingsConfigDict(env_prefix="SIGNING_")

    alipay_gateway_url: str
    wechatpay_url: str
    bankcard_url: str = ""
    """The card aggregator's base URL; empty: this rail is not offered."""
    esign_url: str
    faceid_url: str
    tsa_url: str = ""
    """Where a time-stamping authority takes RFC 3161 requests; empty: nothing is stamped."""
    tsa_roots: str = "tsa-root.crt.pem"
    """File in ``keys_dir`` with the certificates (PEM) under which the authority must sign."""
    keys_dir: Path
    public_url: str
    """Our own base URL, which providers call back."""
    quote_url_base: str = "https://m.example.com/q/"
    """What the address in a quote's QR code begins with; the code follows."""
    faceid_rule_id: str = "1"
    rail_products: Mapping[str, str] = {}
    """Which product new mandates of a rail are for, by rail, as JSON; the table's if not named."""
    rail_permissions: Mapping[str, Mapping[str, Any]] = {}
    """What the contract says of figures no rail confirms: JSON by product and field."""
    field_keys: SecretStr
    """Keys of personal data at rest: ``version:base64`` by commas; the last one is current."""
    index_key: SecretStr
    """Key of the blind indexes, base64."""
    notify_public_key: str
    """Whom contact data for messages is sealed for, base64."""
    fulfillment_public_key: str
    """Whom addresses for parcels are sealed for, base64."""

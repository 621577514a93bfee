"""What an operator tunes for fulfillment; environment variables begin with ``FULFILLMENT_``."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class FulfillmentSettings(ServiceSettings):
    """Settings of one fulfillment process."""

    model_config = SettingsConfigDict(env_prefix="FULFILLMENT_")

    public_url: str
    """Our own base URL, at which carriers call us."""
    keys_dir: Path
    """Holds ``secrets.json`` with the accounts at JST and kuaidi100."""
    private_key: SecretStr
    """Opens what was sealed for fulfillment; base64."""
    field_keys: SecretStr
    """Keys of encrypted fields, ``version:base64``, comma-separated; the last is current."""
    jst_url: str
    jushuitan_shop_id: int = 1001
    jushuitan_calls_per_second: int = Field(default=4, ge=0)
    """Calls we allow ourselves; 0: as many as there are.  JST refuses more than 5."""
    jushuitan_calls_per_minute: int = Field(default=90, ge=0)
    """The same for a minute; JST refuses more than 100."""
    kuaidi100_url: str

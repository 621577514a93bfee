"""What an operator tunes for notify; environment variables begin with ``NOTIFY_``."""

from pathlib import Path

from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class NotifySettings(ServiceSettings):
    """Settings of one notify process."""

    model_config = SettingsConfigDict(env_prefix="NOTIFY_")

    sms_url: str
    wechat_url: str
    alipay_gateway_url: str
    public_url: str
    """Our own base URL, at which providers call us."""
    keys_dir: Path
    """Holds ``alipay-app.pem``, ``alipay.pub.pem`` and ``secrets.json`` with the accounts."""
    private_key: SecretStr
    """Opens what was sealed for notify; base64."""
    field_keys: SecretStr
    """Keys of encrypted fields, ``version:base64``, comma-separated; the last is current."""
    index_key: SecretStr
    """Key of the blind index of phones and openids; base64."""
    webhook_token: SecretStr = Field(min_length=16)
    """Stands in the addresses that providers call who do not sign: unguessable."""
    sms_sign: str = "悦付宠物科技"
    """The approved SMS signature: the company's name, without brackets."""
    template_codes: dict[str, str] = Field(default_factory=dict)
    """The approved codes, by ``provider:template``: ``{"aliyun:charge.failed": "SMS_1"}``."""
    in_flight: int = Field(default=20, ge=1, le=200)
    """Calls to providers that may be under way at once."""

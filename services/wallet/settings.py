"""What an operator tunes for wallet; environment variables begin with ``WALLET_``."""

from pydantic import Field
from pydantic_settings import SettingsConfigDict

from shared.settings import ServiceSettings


class WalletSettings(ServiceSettings):
    """Settings of one wallet process."""

    model_config = SettingsConfigDict(env_prefix="WALLET_")

    fee_per_mille: int = Field(default=20, ge=0, le=1000)
    """The platform's share of each parcel, in thousandths."""
    supplier: str = Field(default="warehouse", pattern=r"^[a-z0-9_-]{1,40}$")
    """Who supplies the goods of a parcel: names the account ``supplier:{supplier}:payable``."""

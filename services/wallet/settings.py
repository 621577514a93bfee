"""What an operator tunes for wallet; environment variables begin with ``WALLET_``."""

import hashlib
import hmac
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import Field, SecretStr
from pydantic_settings import SettingsConfigDict

from services.wallet.domain.redemption_code import RedemptionTerms
from shared.settings import ServiceSettings


class WalletSettings(ServiceSettings):
    """Settings of one wallet process."""

    model_config = SettingsConfigDict(env_prefix="WALLET_")

    fee_per_mille: int = Field(default=20, ge=0, le=1000)
    """The platform's share of each parcel, in thousandths."""
    supplier: str = Field(default="warehouse", pattern=r"^[a-z0-9_-]{1,40}$")
    """Who supplies the goods of a parcel: names the account ``supplier:{supplier}:payable``."""
    keys_dir: Path | None = None
    """Holds ``secrets.json`` with our accounts at the payout channel and the advance partner."""
    payout_url: str | None = None
    """The licensed payout channel; unset: none is contracted, payouts wait."""
    factor_url: str | None = None
    """The licensed partner for advances; unset: none is contracted, there are no advances."""
    partner_name: str = Field(default="factor", pattern=r"^[a-z0-9_-]{1,40}$")
    """Names the account ``partner:{name}:payable``."""
    supplier_account_ref: str = ""
    """The channel's token of the supplier's bank account; empty: it is not paid from here."""
    index_key: SecretStr
    """The service's own secret; the key that signs redemption codes is derived from it."""
    redemption_minutes: int = Field(default=5, ge=1, le=60)
    """How long a redemption code is valid."""
    redemption_offline_hours: int = Field(default=72, ge=0, le=240)
    """How late what a device accepted offline may be brought in."""
    redemption_offline_limit_fen: int = Field(default=20_000, ge=0)
    """What one code may take offline: the merchant's risk."""
    redemption_ceiling_fen: int = Field(default=500_000, gt=0)
    """What one redemption may take at most."""
    redemption_codes_per_minute: int = Field(default=10, ge=1)
    """How many codes one customer may ask for within a minute."""
    redemption_fee_per_mille: int = Field(default=20, ge=0, le=1000)
    """The platform's share of what is spent in the shop, in thousandths."""

    def redemption_terms(self) -> RedemptionTerms:
        """Return the terms under which codes are made, with their key."""
        secret = self.index_key.get_secret_value().encode()
        seed = hmac.new(secret, b"redemption codes", hashlib.sha256).digest()
        return RedemptionTerms(
            key=Ed25519PrivateKey.from_private_bytes(seed),
            valid_for=timedelta(minutes=self.redemption_minutes),
            offline_for=timedelta(hours=self.redemption_offline_hours),
            offline_limit_fen=self.redemption_offline_limit_fen,
            ceiling_fen=self.redemption_ceiling_fen,
            codes_per_minute=self.redemption_codes_per_minute,
            fee_per_mille=self.redemption_fee_per_mille,
        )

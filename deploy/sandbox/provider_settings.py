"""
Where a provider simulator takes its accounts from: arguments, the keys directory, or defaults.

A credential is first an argument of the command line, then an entry of ``secrets.json`` in
``--keys``, then a default that opens nothing but a simulator; the tests use those.
"""

from typing import Final

from deploy.sandbox import keys
from deploy.sandbox.kit import Options

DEFAULTS: Final = {
    "wechat_appid": "wx0000000000000001",
    "wechat_app_secret": "sandbox-wechat-secret",
    "wechat_push_token": "sandbox-wechat-token",
    "esign_app_id": "sandbox-esign-app",
    "esign_app_secret": "sandbox-esign-secret",
    "faceid_secret_id": "sandbox-faceid-id",
    "faceid_secret_key": "sandbox-faceid-key",
    "aliyun_access_key_id": "sandbox-sms-key",
    "aliyun_access_key_secret": "sandbox-sms-secret",
    "jst_app_key": "sandbox-jst-app",
    "jst_app_secret": "sandbox-jst-secret",
    "jst_access_token": "sandbox-jst-token",
    "kuaidi100_key": "sandbox-kd-key",
    "kuaidi100_customer": "sandbox-kd-customer",
    "payout_app_id": "sandbox-payout-app",
    "payout_app_secret": "sandbox-payout-secret",
    "factor_app_id": "sandbox-factor-app",
    "factor_app_secret": "sandbox-factor-secret",
}
"""Credentials of a simulator started without a keys directory."""


def credential(options: Options, name: str) -> str:
    """
    Return the credential *name*, one of ``DEFAULTS``.

    Raises:
        KeyError: There is a keys directory, and it does not hold *name*.
    """
    if name in options.extra:
        return options.extra[name]
    if options.keys is not None:
        return keys.secret(options.keys, name)
    return DEFAULTS[name]


def text(options: Options, name: str, default: str = "") -> str:
    """Return the argument *name* of a simulator."""
    return options.extra.get(name, default)


def number(options: Options, name: str, default: int) -> int:
    """Return the argument *name* as a whole number."""
    return int(options.extra.get(name, default))

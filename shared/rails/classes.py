"""What a rail's refusal means for the one who asked, as a table by rail, call and code."""

from enum import StrEnum
from typing import Final


class FailureClass(StrEnum):
    """Who has to do what before the same thing may be tried again."""

    UNKNOWN = "unknown"  # query; it may have happened
    RETRY_LATER = "retry_later"  # nobody; time alone may help
    NEEDS_CUSTOMER = "needs_customer"  # the customer, by a payment link or in the wallet
    MANDATE_GONE = "mandate_gone"  # the customer signs again
    OUR_MISTAKE = "our_mistake"  # us; the same request can never succeed
    MERCHANT_ALARM = "merchant_alarm"  # the merchant or operations; stop the merchant's batch
    PLAN_ACTION = "plan_action"  # us: move the plan date, wait for the window, send the notice
    LIMIT = "limit"  # a ceiling of the wallet or template; not today
    NUMBER_USED = "number_used"  # query the old order, then take a new number


class RailCall(StrEnum):
    """Calls whose refusals read differently."""

    CHARGE = "charge"
    REFUND = "refund"


RATE_LIMITED: Final = frozenset(
    {
        "40005",
        "FREQUENCY_LIMITED",
        "RATELIMIT_EXCEED",
        "RATELIMIT_EXCEEDED",
        "HTTP_429",
        "TOO_MANY_REQUESTS",
    }
)
"""Codes that say "too fast": the rail took no order, and the customer refused nothing."""


def classify(rail: str, call: RailCall, code: str) -> FailureClass:
    """
    Return the class of a refusal's *code* on *rail* ("alipay" or "wechatpay").

    A code nobody listed is ``UNKNOWN``: query, raise an alarm, never retry by itself.
    """
    plain = code.removeprefix("ACQ.")
    for table, prefixes in ((_TABLES.get((rail, call), {}), False), (_PREFIXES, True)):
        for listed, found in table.items():
            if plain == listed or (prefixes and plain.startswith(listed)):
                return found
    return FailureClass.UNKNOWN


def _table(classes: dict[FailureClass, str]) -> dict[str, FailureClass]:
    return {code: found for found, codes in classes.items() for code in codes.split()}


_ALIPAY_GATEWAY: Final = {
    FailureClass.OUR_MISTAKE: (
        "40001 40002 isv.missing-signature isv.invalid-signature isv.invalid-timestamp"
        " isv.invalid-parameter isv.missing-app-id isv.invalid-app-id"
    ),
    FailureClass.MERCHANT_ALARM: (
        "20001 40003 40006 isv.insufficient-isv-permissions aop.invalid-auth-token"
        " aop.invalid-app-auth-token aop.app-auth-token-time-out"
    ),
    FailureClass.RETRY_LATER: "40005",
}

_ALIPAY_CHARGE: Final = {
    FailureClass.RETRY_LATER: (
        "BUYER_BALANCE_NOT_ENOUGH BUYER_BANKCARD_BALANCE_NOT_ENOUGH PAYMENT_FAIL"
    ),
    FailureClass.LIMIT: (
        "BUYER_PAYMENT_AMOUNT_DAY_LIMIT_ERROR BUYER_PAYMENT_AMOUNT_MONTH_LIMIT_ERROR"
        " BEYOND_PER_RECEIPT_DAY_RESTRICTION BEYOND_PAY_RESTRICTION"
    ),
    FailureClass.PLAN_ACTION: "CYCLE_PAY_DATE_NOT_MATCH",
    FailureClass.NUMBER_USED: "TRADE_HAS_CLOSE",
    FailureClass.UNKNOWN: "SYSTEM_ERROR TRADE_HAS_SUCCESS",
    FailureClass.NEEDS_CUSTOMER: (
        "NO_PAYMENT_INSTRUMENTS_AVAILABLE ERROR_BALANCE_PAYMENT_DISABLE MOBILE_PAYMENT_SWITCH_OFF"
        " NOT_CERTIFIED_USER ERROR_BUYER_CERTIFY_LEVEL_LIMIT BUYER_ENABLE_STATUS_FORBID"
        " PAYMENT_REQUEST_HAS_RISK USER_LOGONID_DUP ZM_AUTH_AMOUNT_EXCEED ZM_AUTH_RULE_LIMIT"
        " ZM_CREDIT_AUTH_FAIL"
    ),
    FailureClass.MANDATE_GONE: (
        "AGREEMENT_NOT_EXIST AGREEMENT_INVALID AGREEMENT_STATUS_NOT_NORMAL AGREEMENT_ERROR"
        " CYCLE_PAY_TOTAL_FEE_EXCEED CYCLE_PAY_TOTAL_TIMES_EXCEED USER_AGREEMENT_NOT_EXIST"
        " AGREEMENT_HAS_UNSIGNED"
    ),
    FailureClass.OUR_MISTAKE: (
        "CYCLE_PAY_SINGLE_FEE_EXCEED TOTAL_FEE_EXCEED CONTEXT_INCONSISTENT INVALID_PARAMETER"
        " EXIST_FORBIDDEN_WORD PARTNER_ERROR BUYER_SELLER_EQUAL BUYER_NOT_EXIST"
        " MERCHANT_UNSUPPORT_ADVANCE BUYER_UNSUPPORT_ADVANCE ORDER_UNSUPPORT_ADVANCE"
    ),
    FailureClass.MERCHANT_ALARM: (
        "ACCESS_FORBIDDEN MERCHANT_AGREEMENT_NOT_EXIST MERCHANT_AGREEMENT_INVALID"
        " MERCHANT_AGREEMENT_IS_NOT_EXIST SELLER_BEEN_BLOCKED SELLER_NOT_EXIST"
        " MERCHANT_STATUS_NOT_NORMAL RESTRICTED_MERCHANT_INDUSTRY PRODUCT_AMOUNT_LIMIT_ERROR"
        " RISK_MERCHANT_IP_NOT_EXIST"
    ),
}
"""Source: Alipay's error table (see docs/sources.md); the classes are our own judgement."""

_ALIPAY_REFUND: Final = {
    FailureClass.UNKNOWN: "SYSTEM_ERROR",
    FailureClass.RETRY_LATER: "SELLER_BALANCE_NOT_ENOUGH REFUND_CHARGE_ERROR",
    FailureClass.OUR_MISTAKE: (
        "REFUND_AMT_NOT_EQUAL_TOTAL REFUND_FEE_ERROR DISCORDANT_REPEAT_REQUEST"
        " ALLOC_AMOUNT_VALIDATE_ERROR INVALID_PARAMETER"
    ),
    FailureClass.MERCHANT_ALARM: (
        "TRADE_NOT_ALLOW_REFUND NOT_ALLOW_PARTIAL_REFUND REASON_TRADE_STATUS_INVALID"
        " TRADE_HAS_FINISHED TRADE_NOT_EXIST"
    ),
    FailureClass.NEEDS_CUSTOMER: "BUYER_ERROR CUSTOMER_VALIDATE_ERROR",
}

_WECHAT_BOTH: Final = {
    FailureClass.OUR_MISTAKE: (
        "SIGNERROR SIGN_ERROR LACK_PARAMS PARAM_ERROR XML_FORMAT_ERROR INVALID_REQUEST"
    ),
    FailureClass.MERCHANT_ALARM: (
        "APPID_NOT_EXIST MCHID_NOT_EXIST MCH_NOT_EXISTS APPID_MCHID_NOT_MATCH NOAUTH NO_AUTH"
    ),
    FailureClass.RETRY_LATER: ("FREQUENCY_LIMITED RATELIMIT_EXCEED RATELIMIT_EXCEEDED HTTP_429"),
    FailureClass.UNKNOWN: "SYSTEMERROR SYSTEM_ERROR BIZERR_NEED_RETRY RETURN_FAIL",
}

_WECHAT_CHARGE: Final = {
    FailureClass.RETRY_LATER: "NOTENOUGH BANKERROR",
    FailureClass.NEEDS_CUSTOMER: "PAY_FAIL USER_ACCOUNT_ABNORMAL ACCOUNTERROR",
    FailureClass.LIMIT: "RULELIMIT RULE_LIMIT",
    FailureClass.MANDATE_GONE: "CONTRACT_NOT_EXIST CONTRACTERROR",
    FailureClass.NUMBER_USED: "OUT_TRADE_NO_USED ORDERCLOSED",
    FailureClass.UNKNOWN: "ACCEPT USERPAYING NOTPAY ORDERPAID",
}

_WECHAT_REFUND: Final = {
    FailureClass.RETRY_LATER: "NOT_ENOUGH NOTENOUGH",
    FailureClass.NEEDS_CUSTOMER: "USER_ACCOUNT_ABNORMAL",
    FailureClass.MERCHANT_ALARM: "RESOURCE_NOT_EXISTS TRADE_OVERDUE INVALID_TRANSACTIONID",
}

_CARD_CHARGE: Final = {
    FailureClass.RETRY_LATER: "INSUFFICIENT_FUNDS BANK_BUSY TOO_MANY_REQUESTS",
    FailureClass.LIMIT: "DAILY_LIMIT_EXCEEDED AMOUNT_ABOVE_BANK_LIMIT",
    FailureClass.NEEDS_CUSTOMER: "CARD_EXPIRED CARD_LOST CARD_FROZEN CARD_CLOSED RISK_REFUSED",
    FailureClass.MANDATE_GONE: "CONTRACT_NOT_FOUND CONTRACT_ENDED",
    FailureClass.PLAN_ACTION: "OUTSIDE_HOURS",
    FailureClass.NUMBER_USED: "ORDER_NO_USED",
    FailureClass.OUR_MISTAKE: "PARAM_ERROR MALFORMED SIGN_ERROR SIGN_EXPIRED AMOUNT_ABOVE_CONTRACT",
    FailureClass.MERCHANT_ALARM: "MERCHANT_NOT_FOUND MERCHANT_CLOSED NO_PERMISSION",
    FailureClass.UNKNOWN: "SYSTEM_ERROR BANK_TIMEOUT",
}
"""Of our own profile of a card aggregator; to be fitted to its contract."""

_CARD_REFUND: Final = {
    FailureClass.RETRY_LATER: "MERCHANT_BALANCE_SHORT BANK_BUSY TOO_MANY_REQUESTS",
    FailureClass.NEEDS_CUSTOMER: "CARD_CLOSED",
    FailureClass.OUR_MISTAKE: "PARAM_ERROR MALFORMED REFUND_NO_USED REFUND_TOO_MUCH",
    FailureClass.MERCHANT_ALARM: "ORDER_NOT_FOUND ORDER_NOT_PAID REFUND_TOO_LATE",
    FailureClass.UNKNOWN: "SYSTEM_ERROR BANK_TIMEOUT",
}

_TABLES: Final = {
    ("alipay", RailCall.CHARGE): _table(_ALIPAY_GATEWAY) | _table(_ALIPAY_CHARGE),
    ("alipay", RailCall.REFUND): _table(_ALIPAY_GATEWAY) | _table(_ALIPAY_REFUND),
    ("wechatpay", RailCall.CHARGE): _table(_WECHAT_BOTH) | _table(_WECHAT_CHARGE),
    ("wechatpay", RailCall.REFUND): _table(_WECHAT_BOTH) | _table(_WECHAT_REFUND),
    ("bankcard", RailCall.CHARGE): _table(_CARD_CHARGE),
    ("bankcard", RailCall.REFUND): _table(_CARD_REFUND),
}

_PREFIXES: Final = {"MERCHANT_PERM_RECEIPT": FailureClass.MERCHANT_ALARM}
"""Codes known by their beginning only: the merchant's receipt quotas."""

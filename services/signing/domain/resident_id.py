"""The resident identity number of mainland China, and the age it tells."""

import re
import unicodedata
from datetime import date
from typing import Final

from stdnum.cn import ric

from services.signing.domain.errors import IdNumberInvalid, PhoneInvalid, TooYoung

ADULT_YEARS: Final = 18
"""Full capacity to contract (Civil Code, articles 17 and 18)."""

OLDEST_YEAR: Final = 1900

_FORM: Final = re.compile(r"[1-9][0-9]{16}[0-9X]")
_MOBILE: Final = re.compile(r"1[3-9][0-9]{9}")


def normalise(number: str) -> str:
    """Return *number* in half-width characters, without blanks, with a capital X."""
    return "".join(unicodedata.normalize("NFKC", number).split()).upper()


def normalise_mobile(phone: str) -> str:
    """
    Return a mainland mobile number as its eleven digits.

    Raises:
        PhoneInvalid: It is not one.
    """
    digits = re.sub(r"[\s-]", "", unicodedata.normalize("NFKC", phone)).removeprefix("+86")
    if not _MOBILE.fullmatch(digits):
        raise PhoneInvalid("Not a mobile number of mainland China.")
    return digits


def born_on(number: str, *, today: date) -> date:
    """
    Return the date of birth in a normalised *number*; *today* is a date in China.

    An address code that nobody uses any more is fine: people keep their old numbers.

    Raises:
        IdNumberInvalid: Wrong form, date or check digit (GB 11643-1999), or born before
            1900 or after *today*.
    """
    if not _FORM.fullmatch(number) or ric.calc_check_digit(number) != number[-1]:
        raise IdNumberInvalid("Not a valid resident identity number.")
    try:
        born = date(int(number[6:10]), int(number[10:12]), int(number[12:14]))
    except ValueError as error:
        raise IdNumberInvalid("Not a valid resident identity number.") from error
    if not born.year >= OLDEST_YEAR or born > today:
        raise IdNumberInvalid("Not a valid resident identity number.")
    return born


def age_on(born: date, today: date) -> int:
    """Return the complete years; who is born on 29 February ages on 1 March otherwise."""
    return today.year - born.year - ((today.month, today.day) < (born.month, born.day))


def require_adult(number: str, *, today: date) -> None:
    """
    Refuse minors: a customer is an adult from the 18th birthday on, by the date in China.

    Raises:
        IdNumberInvalid: It is not a valid number.
        TooYoung: Not yet 18 on *today*.
    """
    if age_on(born_on(number, today=today), today) < ADULT_YEARS:
        raise TooYoung("The customer is not yet 18.", adult_years=ADULT_YEARS)

"""The ways this platform says no; each kind has one HTTP status and one fate in a queue."""

from typing import ClassVar


class Problem(Exception):
    """
    A refusal with a stable code, one sentence, and facts.

    Subclasses set ``code``, which clients may depend on.  Facts are shown to the
    caller: ids, amounts and dates, never personal data.
    """

    status: ClassVar[int] = 500
    code: ClassVar[str] = "internal"

    def __init__(self, detail: str, **facts: object) -> None:
        """Say no in one sentence, *detail*, with *facts* beside it."""
        super().__init__(detail)
        self.detail = detail
        self.facts = facts

    def __str__(self) -> str:
        """Return the sentence with its facts, for logs."""
        facts = " ".join(f"{key}={value}" for key, value in self.facts.items())
        return f"{self.code}: {self.detail} {facts}".rstrip()


class Malformed(Problem):
    """The request does not fit its form."""

    status = 400
    code = "malformed"


class Unauthentic(Problem):
    """The caller did not prove who they are."""

    status = 401
    code = "unauthentic"


class Forbidden(Problem):
    """The caller is known, and may not do this."""

    status = 403
    code = "forbidden"


class NotFound(Problem):
    """Not here, or not yet; also what belongs to another tenant."""

    status = 404
    code = "not-found"


class Conflict(Problem):
    """Here, in a state that forbids it."""

    status = 409
    code = "conflict"


class TooLarge(Problem):
    """More bytes than this endpoint takes."""

    status = 413
    code = "too-large"


class Rejected(Problem):
    """It can never succeed as it stands."""

    status = 422
    code = "rejected"


class TooMany(Problem):
    """More calls than this caller may make."""

    status = 429
    code = "too-many-requests"


class TryLater(Problem):
    """Someone we need did not answer; the same request may succeed later."""

    status = 503
    code = "try-later"

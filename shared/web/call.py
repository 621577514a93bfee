"""One request as a use case sees it: who calls, with what, under which key."""

from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from shared.clock import Clock
from shared.db import Database
from shared.errors import Forbidden
from shared.ids import derived_id, new_id


class HasDatabase(Protocol):
    """What the kit itself needs of a service's dependencies."""

    @property
    def db(self) -> Database:
        """The service's database: keys and stored answers live beside its own tables."""
        ...

    @property
    def clock(self) -> Clock:
        """The time of the business."""
        ...


D_co = TypeVar("D_co", bound=HasDatabase, covariant=True)


class TenantNeeded(Forbidden):
    """This endpoint acts for one tenant, and the key belongs to none."""

    code = "tenant-needed"


class TenantForeign(Forbidden):
    """The key belongs to another tenant."""

    code = "tenant-foreign"


class ScopeMissing(Forbidden):
    """The key does not have the scope that this endpoint asks for."""

    code = "scope-missing"


@dataclass(frozen=True, slots=True)
class Caller:
    """
    Whose key it is, and for whom it acts; ``*`` is every scope.

    ``tenant_id`` is None for the operator unless it named a tenant; ``is_operator`` stays.
    """

    tenant_id: UUID | None
    key_id: str
    scopes: frozenset[str]
    is_operator: bool = False

    def require(self, scope: str) -> None:
        """Raise ScopeMissing unless the key may do *scope*."""
        if scope not in self.scopes and "*" not in self.scopes:
            raise ScopeMissing("The key lacks a scope.", scope=scope)


ANYBODY = Caller(tenant_id=None, key_id="", scopes=frozenset())
"""The caller of an endpoint that asks for no key."""


@dataclass(frozen=True, slots=True)
class Call(Generic[D_co]):
    """A request that passed the door; ``request_id`` is in every log line about it."""

    deps: D_co
    caller: Caller
    request_id: str
    cause: tuple[str, ...] | None = field(default=None, repr=False)

    @property
    def tenant_id(self) -> UUID:
        """
        The tenant this call acts for.

        Raises:
            TenantNeeded: The operator's key came without a ``Tenant-Id`` header.
        """
        if self.caller.tenant_id is None:
            raise TenantNeeded("Name the tenant in the Tenant-Id header.")
        return self.caller.tenant_id

    def require_tenant(self, tenant_id: UUID) -> None:
        """
        Let the operator pass, and a tenant only where it names itself.

        Raises:
            TenantForeign: The key belongs to another tenant than *tenant_id*.
        """
        if self.caller.tenant_id not in {None, tenant_id}:
            raise TenantForeign("The key belongs to another tenant.")

    def new_id(self, label: str) -> UUID:
        """
        Return the id of the thing called *label* that this call creates.

        With an Idempotency-Key it follows from caller, route, key, body and label, so
        that a request executed again after a crash names the same rows; use one label
        per row.  Without a key it is new each time.
        """
        return new_id() if self.cause is None else derived_id("call", *self.cause, label)

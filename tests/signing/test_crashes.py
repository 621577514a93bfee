"""Killed between a commit and a call, or between a call and its commit: the end is the same."""

from dataclasses import replace

import pytest

from services.signing.domain.errors import ProviderSilent
from tests.support.signing_builders import World

KILLED = RuntimeError("killed here")


class Death(BaseException):
    """Stops a job as a kill would: no use case can catch it."""


class Dies:
    """Stands before a gateway and dies once at a method: before it is called, or after."""

    def __init__(self, real, method, *, after, death=KILLED):
        self._death = death
        self._real = real
        self._method = method
        self._after = after
        self.died = False

    def __getattr__(self, name):
        found = getattr(self._real, name)
        if name != self._method or self.died:
            return found

        async def die(*args, **how):
            self.died = True
            if self._after:
                await found(*args, **how)
            raise self._death

        return die


async def through(shop: World, application_id: str) -> None:
    """Take whatever step is next until the agreement stands."""
    path = f"/v1/applications/{application_id}"
    for _ in range(12):
        standing = await shop.ok("GET", path)
        match standing["next_step"]:
            case "consents":
                await shop.consent(application_id)
            case "identity":
                await shop.identify(application_id)
            case "credit":
                await shop.ok("POST", f"{path}/credit")
            case "preview":
                await shop.ok("POST", f"{path}/preview")
            case "signature":
                preview = await shop.ok("POST", f"{path}/preview")
                await shop.sign(application_id, preview)
            case "mandate":
                await shop.grant(application_id, await shop.invited(application_id))
            case _:
                return


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(
    ("gateway", "method"),
    [
        ("faceid", "match_name"),
        ("faceid", "start"),
        ("faceid", "result"),
        ("esign", "upload"),
        ("esign", "create"),
        ("esign", "sign_url"),
        ("esign", "detail"),
        ("esign", "download"),
    ],
)
async def test_a_signing_survives_a_death_at_every_call(shop, gateway, method, after):
    application_id = await shop.applied()
    dies = Dies(getattr(shop.deps, gateway), method, after=after)
    object.__setattr__(shop.deps, gateway, dies)

    for _ in range(2):
        try:
            await through(shop, application_id)
        except (AssertionError, RuntimeError):
            # A job claims for half a minute; the next one finds it then.
            await shop.pass_time(seconds=31)

    assert dies.died
    standing = await shop.ok("GET", f"/v1/applications/{application_id}")
    assert standing["state"] == "completed"
    assert await shop.said() == [
        "customer.registered.v1",
        "pet.registered.v1",
        "agreement.signed.v1",
        "mandate.granted.v1",
    ]


@pytest.mark.parametrize("after", [False, True])
async def test_closing_a_mandate_survives_a_death(shop, after):
    agreement = await shop.agreement()
    dies = Dies(shop.deps.alipay_mandates, "end", after=after, death=Death())
    rails = dict(shop.deps.rails)
    rails["alipay"] = dies
    dying = replace(shop.deps, rails=rails)
    await shop.ok("POST", f"/v1/agreements/{agreement['agreement_id']}/cancellation")
    living, shop.deps = shop.deps, dying

    with pytest.raises(Death):
        await shop.settle()
    shop.deps = living
    await shop.pass_time(minutes=2)

    assert await shop.mandate_state(agreement["agreement_id"]) == "closed"
    assert (await shop.said()).count("mandate.closed.v1") == 1


async def test_a_silent_score_is_asked_again_as_the_same_question(shop):
    application_id = await shop.applied()
    await shop.consent(application_id)
    await shop.identify(application_id)
    steps = [{"on": "score", "do": "http_500", "times": 1}]
    await shop.sandbox("alipay", "PUT", "/_sandbox/faults/*", {"steps": steps})
    path = f"/v1/applications/{application_id}/credit"

    silent = await shop.call("POST", path)
    assert (silent.status, silent.body["code"]) == (503, ProviderSilent.code)
    assert (await shop.ok("POST", path))["next_step"] == "preview"

    async with shop.db.connection() as conn:
        assert await conn.fetchval("SELECT count(*) FROM credit_assessments") == 1

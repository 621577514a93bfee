"""The tracking aggregator over real HTTP: parcels move by business time."""

import hashlib
import json

import pytest

from deploy.sandbox.kuaidi100 import Kuaidi100
from tests.sandbox.harness import Simulator, hook, running

NUMBER = "78000000000001"
OK = {"result": True, "returnCode": "200", "message": "成功"}


async def subscribe(simulator: Simulator, callback_url="http://127.0.0.1:9/none", **more):
    param = {
        "company": "yuantong",
        "number": NUMBER,
        "key": "sandbox-kd-key",
        "parameters": {"callbackurl": callback_url, "salt": "SALT", "resultv2": "4"},
    } | more
    form = {"schema": "json", "param": json.dumps(param)}
    async with simulator.http.post(simulator.url("/poll"), data=form) as answer:
        return await answer.json() if answer.status == 200 else {"status": answer.status}


async def query(simulator: Simulator, *, key="sandbox-kd-key"):
    param = json.dumps({"com": "yuantong", "num": NUMBER})
    customer = "sandbox-kd-customer"
    sign = hashlib.md5(f"{param}{key}{customer}".encode()).hexdigest().upper()
    form = {"customer": customer, "sign": sign, "param": param}
    async with simulator.http.post(simulator.url("/poll/query.do"), data=form) as answer:
        return await answer.json()


def heard(push):
    expected = hashlib.md5(f"{push.form['param']}SALT".encode()).hexdigest().upper()
    param = json.loads(push.form["param"])
    return param, push.form.get("sign") == expected


def states(us):
    return [(param["status"], param["lastResult"]["state"]) for param, _ in map(heard, us.pushes)]


async def test_a_parcel_is_collected_carried_delivered_and_signed_for():
    async with hook(OK) as us, running(Kuaidi100) as simulator:
        assert (await subscribe(simulator, us.url))["returnCode"] == "200"
        for hours, count in ((6, 1), (18, 2), (20, 3), (4, 4)):
            await simulator.advance(hours=hours)
            assert len(us.pushes) == count

        assert states(us) == [
            ("polling", "1"),
            ("polling", "0"),
            ("polling", "5"),
            ("shutdown", "3"),
        ]
        last, signed = heard(us.pushes[-1])
        assert signed
        nodes = last["lastResult"]["data"]
        assert [node["statusCode"] for node in nodes] == ["301", "5", "1002", "103"]
        assert nodes[0]["ftime"] == "2026-03-04 10:00:00"


@pytest.mark.parametrize(
    ("fate", "expected", "message"),
    [
        ("no_record", ("abort", ""), "3天查询无记录"),
        ("lost", ("abort", "0"), "60天无变化"),
        ("refused", ("shutdown", "4"), ""),
        ("locker", ("shutdown", "3"), ""),
        ("damaged", ("shutdown", "3"), ""),
    ],
)
async def test_other_fates(fate, expected, message):
    async with hook(OK) as us, running(Kuaidi100) as simulator:
        await simulator.fault(NUMBER, "track", f"decline:{fate}")
        await subscribe(simulator, us.url)
        await simulator.advance(days=90)

        assert states(us)[-1] == expected
        assert heard(us.pushes[-1])[0]["message"] == message


async def test_a_fate_may_change_on_the_way():
    async with hook(OK) as us, running(Kuaidi100) as simulator:
        await subscribe(simulator, us.url)
        await simulator.advance(hours=30)
        await simulator.put(f"/_sandbox/parcels/{NUMBER}", {"fate": "lost"})
        await simulator.advance(days=70)

        assert states(us) == [("polling", "1"), ("polling", "0"), ("abort", "0")]


async def test_a_running_subscription_is_not_taken_twice():
    async with running(Kuaidi100) as simulator:
        first, second = await subscribe(simulator), await subscribe(simulator)

        assert (first["returnCode"], second["returnCode"]) == ("200", "501")


async def test_one_number_is_taken_four_times_a_month():
    async with hook(OK) as us, running(Kuaidi100) as simulator:
        codes = []
        for _ in range(5):
            await simulator.put(f"/_sandbox/parcels/{NUMBER}", {"fate": "no_record"})
            codes.append((await subscribe(simulator, us.url))["returnCode"])
            await simulator.advance(days=4)

        assert codes == ["200"] * 4 + ["501"]


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"key": "other"}, "600"),
        ({"number": "12345"}, "700"),
        ({"company": "nobody"}, "700"),
        ({"company": "shunfeng"}, "700"),
        ({"parameters": {"salt": "x"}}, "700"),
    ],
)
async def test_subscriptions_that_break_a_rule(more, code):
    async with running(Kuaidi100) as simulator:
        answer = await subscribe(simulator, **more)

        assert (answer["result"], answer["returnCode"]) == (False, code)


async def test_without_a_salt_a_push_is_not_signed():
    async with hook(OK) as us, running(Kuaidi100) as simulator:
        await subscribe(simulator, us.url, parameters={"callbackurl": us.url})
        await simulator.advance(hours=6)

        assert "sign" not in us.pushes[0].form


async def test_a_push_nobody_takes_comes_three_more_times_half_an_hour_apart():
    answer = {"result": False, "returnCode": "500", "message": "失败"}
    async with hook(answer) as us, running(Kuaidi100) as simulator:
        await subscribe(simulator, us.url)
        await simulator.advance(hours=6, minutes=29)
        first = len(us.pushes)
        await simulator.advance(hours=10)

        assert (first, len(us.pushes)) == (1, 4)


async def test_a_badly_signed_push_and_its_right_successor():
    async with hook({"result": False}) as us, running(Kuaidi100) as simulator:
        await simulator.fault(NUMBER, "notify", "bad_signature")
        await subscribe(simulator, us.url)
        await simulator.advance(hours=6, minutes=30)

        assert [heard(push)[1] for push in us.pushes] == [False, True]


async def test_duplicated_and_reordered_pushes():
    async with hook(OK) as us, running(Kuaidi100) as simulator:
        steps = [{"on": "notify", "do": "duplicate"}, {"on": "notify", "do": "reorder:1440"}]
        await simulator.put(f"/_sandbox/faults/{NUMBER}", {"steps": steps})
        await subscribe(simulator, us.url)
        await simulator.advance(hours=49)

        assert [state for _, state in states(us)] == ["1", "1", "5", "0", "3"]


async def test_the_query_answers_what_was_pushed():
    async with hook(OK) as us, running(Kuaidi100) as simulator:
        await subscribe(simulator, us.url)
        nothing = await query(simulator)
        await simulator.advance(hours=24)
        found = await query(simulator)
        forged = await query(simulator, key="other")

        assert nothing["result"] is False
        assert (found["state"], len(found["data"])) == ("0", 2)
        assert forged["returnCode"] == "503"


async def test_a_refusing_or_failing_aggregator():
    async with running(Kuaidi100) as simulator:
        steps = [{"on": "subscribe", "do": "decline:701"}, {"on": "subscribe", "do": "http_500"}]
        await simulator.put(f"/_sandbox/faults/{NUMBER}", {"steps": steps})
        answers = [await subscribe(simulator) for _ in range(3)]

        assert answers[0]["returnCode"] == "701"
        assert answers[1] == {"status": 500}
        assert answers[2]["returnCode"] == "200"


async def test_an_unknown_fate_is_a_400():
    async with running(Kuaidi100) as simulator:
        path = simulator.url(f"/_sandbox/parcels/{NUMBER}")
        async with simulator.http.put(path, json={"fate": "eaten"}) as answer:
            assert answer.status == 400

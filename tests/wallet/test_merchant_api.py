"""A merchant's money over HTTP: who may what, statements as sheets, refusals with their codes."""

import csv
import io
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import date
from typing import Any
from uuid import UUID

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from openpyxl import load_workbook

from services.wallet.contract.states import TransferKind
from services.wallet.domain.errors import ExportTooLarge
from services.wallet.domain.sheet import FIGURE_NAMES, KIND_NAMES, harmless
from services.wallet.domain.statement import Figures
from services.wallet.routes import api
from services.wallet.usecases.export_statement import find_statement, require_size
from shared.api_keys import issue_key
from shared.db import Database
from shared.ids import derived_id, new_id
from tests.support.merchant_builders import ShopForTests, a_reconciled_day
from tests.support.wallet_builders import MERCHANT, NOON

FOREIGN = derived_id("merchant", "foreign")
UNKNOWN = UUID(int=404)
TERMS = f"/v1/merchants/{MERCHANT}/terms"
FROM = {"from_day": "2027-03-01"}
ACCOUNT = {"account_ref": "acct_shop", "bank": "ICBC", "tail": "1234"}
SCOPES = ["wallet:read", "wallet:operate", "wallet:advance"]


@dataclass
class Desk:
    """The operator's, a merchant's and a foreign merchant's view."""

    client: TestClient[web.Request, web.Application]
    shop: ShopForTests
    keys: dict[str, str]

    async def call(
        self, method: str, path: str, body: Any = None, *, who: str = "shop", once: str = ""
    ) -> tuple[int, Any]:
        headers = {"Authorization": f"Bearer {self.keys[who]}"}
        if method == "POST":
            headers["Idempotency-Key"] = once or new_id().hex
        answer = await self.client.request(method, path, json=body, headers=headers)
        return answer.status, await answer.json()

    async def sheet(self, statement_id: object, how: str) -> tuple[int, bytes]:
        headers = {"Authorization": f"Bearer {self.keys['shop']}"}
        path = f"/v1/statements/{statement_id}/export?format={how}"
        answer = await self.client.get(path, headers=headers)
        return answer.status, await answer.read()


@pytest.fixture
async def desk(wallet_db: Database) -> AsyncIterator[Desk]:
    shop = ShopForTests(wallet_db)
    tenants = {"shop": MERCHANT, "foreign": FOREIGN, "operator": None}
    async with wallet_db.transaction() as conn:
        keys = {
            who: await issue_key(conn, tenant_id=tenant, scopes=SCOPES, name=who, now=NOON)
            for who, tenant in tenants.items()
        }
        keys["narrow"] = await issue_key(
            conn, tenant_id=MERCHANT, scopes=["wallet:read"], name="narrow", now=NOON
        )
    app = web.Application()
    api.add_to(app, shop.deps, clock=shop.clock)
    async with TestClient(TestServer(app)) as client:
        yield Desk(client, shop, keys)


async def stated(desk: Desk) -> dict[str, Any]:
    await desk.shop.sell(1, 2)
    await desk.shop.hear(a_reconciled_day(39800))
    await desk.shop.night()
    _, page = await desk.call("GET", "/v1/statements")
    newest: dict[str, Any] = page["items"][0]
    return newest


class TestTerms:
    async def test_the_operator_agrees_terms_and_the_merchant_reads_them(self, desk):
        body = FROM | {"fee_per_mille": 30, "rail_fee_borne_by": "merchant"}
        status, _ = await desk.call("PUT", TERMS, body, who="operator")
        assert status == 200
        status, told = await desk.call("GET", "/v1/merchant/terms")
        assert status == 200
        (item,) = told["items"]
        assert (item["from_day"], item["terms"]["fee_per_mille"]) == ("2027-03-01", 30)
        assert item["terms"]["guarantee_monthly_per_mille"] == 300

    @pytest.mark.parametrize(
        ("path", "body", "status", "code"),
        [
            (TERMS, {"from_day": "2027-02-28"}, 422, "terms-in-past"),
            (TERMS, {"from_day": "tomorrow"}, 400, None),
            (TERMS, {"fee_per_mille": 1001}, 400, None),
            (TERMS, {"fee_per_mille": "20"}, 400, None),
            (TERMS, {"guarantee_monthly_per_mille": 299}, 400, None),
            (TERMS, {"advance_per_mille": 501}, 400, None),
            (TERMS, {"stranger": 1}, 400, None),
        ],
    )
    async def test_terms_that_cannot_be_are_refused(self, desk, path, body, status, code):
        got, told = await desk.call("PUT", path, FROM | body, who="operator")
        assert got == status
        assert code is None or told["code"] == code

    async def test_a_merchant_may_not_agree_with_itself(self, desk):
        for method, path, body in (
            ("PUT", TERMS, FROM),
            ("PUT", f"/v1/merchants/{MERCHANT}/payout-account", ACCOUNT),
            (
                "POST",
                f"/v1/merchants/{MERCHANT}/guarantee/deposits",
                {"amount_fen": 1, "reference": "B"},
            ),
        ):
            status, told = await desk.call(method, path, body)
            assert (status, told["code"]) == (403, "operator-needed")
        status, told = await desk.call("GET", "/v1/merchant/terms", who="foreign")
        assert (status, told["items"]) == (200, [])
        status, told = await desk.call("POST", "/v1/advances", {"amount_fen": 1}, who="narrow")
        assert (status, told["code"]) == (403, "scope-missing")


class TestAccount:
    async def test_only_a_token_and_the_last_digits_are_kept(self, desk):
        path = f"/v1/merchants/{MERCHANT}/payout-account"
        status, told = await desk.call("PUT", path, ACCOUNT, who="operator")
        assert (status, told["account_tail"]) == (200, "1234")
        assert "acct_shop" not in str(told)

    @pytest.mark.parametrize(
        "changes", [{"account_ref": "6222020200112233445"}, {"tail": "12"}, {"bank": ""}]
    )
    async def test_an_account_number_is_no_token(self, desk, changes):
        path = f"/v1/merchants/{MERCHANT}/payout-account"
        status, _ = await desk.call("PUT", path, ACCOUNT | changes, who="operator")
        assert status == 400


class TestDeposits:
    async def test_a_repeated_key_books_once_and_too_much_is_not_freed(self, desk):
        path = f"/v1/merchants/{MERCHANT}/guarantee"
        body = {"amount_fen": 5000, "reference": "BANK1"}
        for _ in range(2):
            status, told = await desk.call(
                "POST", f"{path}/deposits", body, who="operator", once="k1"
            )
            assert (status, told["guarantee_fen"]) == (201, 5000)
        status, told = await desk.call(
            "POST", f"{path}/deposits", body | {"amount_fen": 1}, who="operator", once="k1"
        )
        assert (status, told["code"]) == (422, "idempotency-key-reused")
        more = {"amount_fen": 5001, "reason": "end"}
        status, told = await desk.call("POST", f"{path}/freed", more, who="operator")
        assert (status, told["code"]) == (409, "guarantee-withdrawal")
        status, told = await desk.call("POST", f"{path}/used", more, who="operator")
        assert (status, told["code"]) == (409, "guarantee-unneeded")
        _, history = await desk.call("GET", "/v1/merchant/money-history")
        moves = [item["move"] for item in history["items"]]
        assert sorted(moves) == [
            "guarantee_kept",
            "refused: guarantee-unneeded",
            "refused: guarantee-withdrawal",
        ]
        assert await desk.shop.balance("merchant:guarantee") == 5000


class TestStatements:
    async def test_they_are_listed_shown_and_read_line_by_line(self, desk):
        statement = await stated(desk)
        path = f"/v1/statements/{statement['statement_id']}"
        status, shown = await desk.call("GET", path)
        assert (status, shown) == (200, statement)
        seen: list[str] = []
        cursor = ""
        while True:
            _, page = await desk.call("GET", f"{path}/lines?limit=3{cursor}")
            seen += [f"{line['cause_id']} {line['kind']}" for line in page["items"]]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert len(seen) == len(set(seen)) == statement["transfers"]

    async def test_foreign_and_unknown_statements_are_not_found(self, desk):
        statement = await stated(desk)
        for ending in ("", "/lines", "/export"):
            path = f"/v1/statements/{statement['statement_id']}{ending}"
            assert (await desk.call("GET", path, who="foreign"))[0] == 404
            status, told = await desk.call("GET", f"/v1/statements/{UNKNOWN}{ending}")
            assert (status, told["code"]) == (404, "statement-unknown")
        assert (await desk.call("GET", "/v1/statements?period=year"))[0] == 400

    async def test_the_csv_opens_in_excel_with_chinese_headings_and_every_line(self, desk):
        statement = await stated(desk)
        status, raw = await desk.sheet(statement["statement_id"], "csv")
        assert status == 200
        assert raw.startswith(b"\xef\xbb\xbf")
        rows = list(csv.reader(io.StringIO(raw.decode("utf-8-sig"))))
        named = {row[0]: row[1] for row in rows if len(row) == 2}
        assert named["本期收款"] == "398.00"
        assert named["期末应付(元)"] == "114.00"
        assert named["校验码"] == statement["digest"]
        lines = [row for row in rows if len(row) == 8]
        assert lines[0][1] == "类型"
        assert len(lines) - 1 == statement["transfers"]

    async def test_the_workbook_holds_the_same_rows(self, desk):
        statement = await stated(desk)
        _, raw_csv = await desk.sheet(statement["statement_id"], "csv")
        status, raw = await desk.sheet(statement["statement_id"], "xlsx")
        assert status == 200
        sheet = load_workbook(io.BytesIO(raw)).active
        rows = [tuple(cell for cell in row if cell is not None) for row in sheet.values]
        told = [
            tuple(cell for cell in row if cell)
            for row in csv.reader(io.StringIO(raw_csv.decode("utf-8-sig")))
        ]
        assert [tuple(cell for cell in row if cell) for row in rows] == told

    async def test_too_many_lines_are_refused_before_they_are_read(self, desk):
        statement = await stated(desk)
        found = await find_statement(desk.shop.deps, MERCHANT, UUID(statement["statement_id"]))
        with pytest.raises(ExportTooLarge):
            require_size(found, found.transfers - 1)

    async def test_every_kind_and_figure_has_a_name_and_no_cell_computes(self):
        assert set(KIND_NAMES) == set(TransferKind)
        assert set(FIGURE_NAMES) == set(Figures.__dataclass_fields__)
        assert harmless("=1+1") == "'=1+1"


class TestPayoutsAndAdvances:
    async def test_payouts_are_listed_and_shown_to_their_merchant_only(self, desk):
        await desk.shop.know_account()
        await desk.shop.agree(payout_minimum_fen=1, guarantee_insured_fen=10**9)
        await stated(desk)
        await desk.shop.morning()
        status, page = await desk.call("GET", "/v1/payouts?limit=1")
        assert (status, len(page["items"])) == (200, 1)
        path = f"/v1/payouts/{page['items'][0]['payout_id']}"
        assert (await desk.call("GET", path))[0] == 200
        assert (await desk.call("GET", path, who="foreign"))[0] == 404
        assert (await desk.call("GET", f"/v1/payouts/{UNKNOWN}"))[1]["code"] == "payout-unknown"
        _, money = await desk.call("GET", "/v1/merchant/money")
        assert (money["payable_fen"], money["account_tail"]) == (0, "1234")

    async def test_an_advance_is_quoted_drawn_and_shown(self, desk):
        await desk.shop.sell(1)
        status, told = await desk.call("POST", "/v1/advances", {"amount_fen": 2281})
        assert (status, told["code"], told["limit_fen"]) == (422, "advance-not-covered", 2280)
        status, told = await desk.call("POST", "/v1/advances", {"amount_fen": 2280}, once="a1")
        assert (status, told["state"], told["covered_fen"]) == (201, "quoted", 5700)
        again = await desk.call("POST", "/v1/advances", {"amount_fen": 2280}, once="a1")
        assert again == (201, told)
        path = f"/v1/advances/{told['advance_id']}"
        assert (await desk.call("POST", f"{path}/draw", who="foreign"))[0] == 404
        assert (await desk.call("POST", f"{path}/draw"))[1]["state"] == "drawing"
        await desk.shop.run_due()
        status, told = await desk.call("GET", path)
        assert (status, told["state"], told["outstanding_fen"]) == (200, "drawn", 2280)
        assert (await desk.call("GET", path, who="foreign"))[0] == 404
        assert len((await desk.call("GET", "/v1/advances"))[1]["items"]) == 1

    @pytest.mark.parametrize(
        "body", [{}, {"amount_fen": 0}, {"amount_fen": -1}, {"amount_fen": "1"}]
    )
    async def test_amounts_that_are_none_are_refused(self, desk, body):
        assert (await desk.call("POST", "/v1/advances", body))[0] == 400


async def test_a_quiet_merchant_has_money_to_show_too(desk):
    desk.shop.set(date(2027, 3, 2), 12)
    status, money = await desk.call("GET", "/v1/merchant/money", who="foreign")
    assert (status, money["payable_fen"], money["guarantee_short"]) == (200, 0, False)

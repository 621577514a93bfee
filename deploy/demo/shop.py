"""What the demo's merchants are and sell: merchants, goods, plans, all as data."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID

from shared.ids import derived_id

Doc = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Merchant:
    """A shop; an individual business may not use WeChat's withholding."""

    key: str
    legal_name: str
    display_name: str
    legal_kind: str
    licence_no: str
    phone: str
    city: str

    @property
    def merchant_id(self) -> UUID:
        """Return its id, the same in every demo."""
        return derived_id("demo", "merchant", self.key)

    def as_body(self) -> Doc:
        """Return how it submits itself."""
        return {
            "merchant_id": str(self.merchant_id),
            "legal_name": self.legal_name,
            "display_name": self.display_name,
            "legal_kind": self.legal_kind,
            "licence_no": self.licence_no,
            "service_phone": self.phone,
            "payees": [
                {"rail": "alipay", "payee_no": f"2088{self.licence_no[-12:]}"},
                {"rail": "wechatpay", "payee_no": f"16{self.licence_no[-8:]}"},
            ],
        }


@dataclass(frozen=True, slots=True)
class Good:
    """One SKU of a merchant; *substitute* may be sent instead if the customer agreed."""

    merchant: str
    sku: str
    name: str
    cost_fen: int
    substitute: str = ""


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan; *bundles* by growth stage, each a list of SKUs."""

    key: str
    merchant: str
    name: str
    species: str
    periods: int
    monthly_fen: int
    bundle_fen: int = 0
    bundles: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def as_body(self) -> Doc:
        """Return its first version as the merchant drafts it."""
        names = {good.sku: good for good in GOODS}
        return {
            "name": self.name,
            "species": self.species,
            "periods": self.periods,
            "monthly_fen": self.monthly_fen,
            "auto_ship": bool(self.bundles),
            "bundle_fen": self.bundle_fen,
            "bundles": [
                {
                    "stage": stage,
                    "items": [
                        {
                            "sku": sku,
                            "quantity": 1,
                            "name": names[sku].name,
                            "substitutes": [one for one in (names[sku].substitute,) if one],
                        }
                        for sku in skus
                    ],
                }
                for stage, skus in self.bundles.items()
            ],
            "price_card": self.price_card(),
        }

    def price_card(self) -> list[Doc]:
        """Return what each item costs, in the shop as in the plan: its share of the parcel."""
        goods = {good.sku: good for good in GOODS}
        lines: dict[str, Doc] = {}
        for skus in self.bundles.values():
            parcel_fen = sum(goods[sku].cost_fen for sku in skus)
            for sku in skus:
                fen = goods[sku].cost_fen * self.bundle_fen // parcel_fen
                line = {"name": goods[sku].name, "list_price_fen": fen, "deal_price_fen": fen}
                lines.setdefault(sku, line)
        return list(lines.values())


MERCHANTS: Final = (
    Merchant(
        "miao",
        "杭州喵呜宠物用品有限公司",
        "喵呜宠物",
        "company",
        "91330106MA2CX00018",
        "400-800-1001",
        "杭州市",
    ),
    Merchant(
        "wang",
        "上海汪星人宠物服务有限公司",
        "汪星人宠物",
        "company",
        "91310104MA1FR00027",
        "400-800-1002",
        "上海市",
    ),
    Merchant(
        "geti",
        "西湖区毛球宠物店",
        "毛球宠物店",
        "individual_business",
        "92330106MA2DX00036",
        "0571-88001003",
        "杭州市",
    ),
)

GOODS: Final = (
    Good("miao", "KITTEN-2KG", "幼猫粮 2kg", 9800),
    Good("miao", "CAT-2KG", "成猫粮 2kg", 8800),
    Good("miao", "LITTER-6L", "豆腐猫砂 6L", 2600),
    Good("miao", "SENS-DUCK-2KG", "敏感肠胃鸭肉猫粮 2kg", 9600, substitute="SENS-FISH-2KG"),
    Good("miao", "SENS-FISH-2KG", "敏感肠胃鱼肉猫粮 2kg", 9200),
    Good("wang", "PUPPY-5KG", "幼犬粮 5kg", 13800),
    Good("wang", "DOG-5KG", "成犬粮 5kg", 12800),
    Good("wang", "DENTAL-7", "洁齿棒 7 支", 1900),
    Good("wang", "OLD-DOG-5KG", "老年犬粮 5kg", 14200),
)

PLANS: Final = (
    Plan(
        "kitten18",
        "miao",
        "幼猫成长月付",
        "cat",
        18,
        26800,
        26800,
        {"growing": ("KITTEN-2KG", "LITTER-6L"), "adult": ("CAT-2KG", "LITTER-6L")},
    ),
    Plan(
        "cat12",
        "miao",
        "成猫安心月付",
        "cat",
        12,
        16800,
        14800,
        {"adult": ("CAT-2KG", "LITTER-6L")},
    ),
    Plan(
        "sens12",
        "miao",
        "敏感肠胃月付",
        "cat",
        12,
        19900,
        16900,
        {"adult": ("SENS-DUCK-2KG",)},
    ),
    Plan("wallet6", "miao", "宠物钱包月存", "cat", 6, 9900),
    Plan(
        "dog12",
        "wang",
        "成犬月付",
        "dog",
        12,
        29800,
        26800,
        {"growing": ("PUPPY-5KG", "DENTAL-7"), "adult": ("DOG-5KG", "DENTAL-7")},
    ),
    Plan("dog6", "wang", "成犬半年付", "dog", 6, 19800, 18800, {"adult": ("DOG-5KG",)}),
    Plan("old12", "wang", "老年犬月付", "dog", 12, 25800, 23800, {"senior": ("OLD-DOG-5KG",)}),
)


def merchant(key: str) -> Merchant:
    """Return the merchant called *key*."""
    return next(one for one in MERCHANTS if one.key == key)


def plan(key: str) -> Plan:
    """Return the plan called *key*."""
    return next(one for one in PLANS if one.key == key)

"""The table ``templates``: what was ever said, version by version."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import TypeAdapter

from services.notify.contract.states import Channel
from services.notify.domain.errors import TemplateChanged
from services.notify.domain.template import Template
from shared.db import Connection

_WORDING: Final = TypeAdapter(Template)


async def add_all(conn: Connection, templates: Sequence[Template], *, now: datetime) -> None:
    """
    Write versions that do not stand yet; repeats safely.

    Raises:
        TemplateChanged: A version that stands has another text, page, fields or parameters.
    """
    for template in templates:
        wording = _WORDING.dump_python(template, mode="json")
        await conn.execute(
            """
            INSERT INTO templates (key, channel, version, wording, added_at)
            VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING
            """,
            template.key,
            template.channel,
            template.version,
            wording,
            now,
        )
        stands = await conn.fetchval(
            "SELECT wording FROM templates WHERE key = $1 AND channel = $2 AND version = $3",
            template.key,
            template.channel,
            template.version,
        )
        if {**stands, "codes": None} != {**wording, "codes": None}:
            raise TemplateChanged(
                "A new text needs a new version.", key=template.key, channel=template.channel
            )


async def approved(conn: Connection) -> Mapping[tuple[str, Channel], Template]:
    """Return the newest approved version of every template."""
    rows = await conn.fetch(
        """
        SELECT DISTINCT ON (key, channel) wording FROM templates
         WHERE state = 'approved' ORDER BY key, channel, version DESC
        """
    )
    found = [_WORDING.validate_python(row["wording"]) for row in rows]
    return {(template.key, template.channel): template for template in found}

"""What a check found, and the one statement shape that all checks share."""

from dataclasses import dataclass
from typing import Any, Final

from deploy.audit.books import Books
from shared.db import Connection

SHOWN: Final = 20
"""How many differing ids a finding lists."""


@dataclass(frozen=True, slots=True)
class Finding:
    """The outcome of one check; ``ids`` are the first of those that differ."""

    check: str
    ok: bool
    detail: str
    ids: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return what reports show of it."""
        return {"check": self.check, "ok": self.ok, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Scene:
    """Everything a check may look at: all schemas at one moment, and the outside's books."""

    conn: Connection
    books: Books


async def compare(scene: Scene, check: str, statement: str, *args: object) -> Finding:
    """
    Return what *statement* says: rows of ``id`` and ``what``, null where nothing is wrong.

    The server counts and lists; only what is shown travels.
    """
    row = await scene.conn.fetchrow(
        f"""
        SELECT count(*) AS seen, count(what) AS wrong,
               (array_agg(id ORDER BY id) FILTER (WHERE what IS NOT NULL))[:{SHOWN}] AS ids,
               (array_agg(id || ' ' || what ORDER BY id)
                   FILTER (WHERE what IS NOT NULL))[:{SHOWN}] AS lines
          FROM ({statement}) AS compared
        """,  # noqa: S608 - statements are constants of the checks
        *args,
    )
    assert row is not None
    if not row["wrong"]:
        return Finding(check, ok=True, detail=f"{row['seen']} agree")
    detail = f"{row['wrong']} of {row['seen']} differ: {'; '.join(row['lines'])}"
    return Finding(check, ok=False, detail=detail, ids=tuple(row["ids"]))

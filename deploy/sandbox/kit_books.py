"""The books of one simulator: what the bank, the provider or the warehouse would know."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import orjson

Doc = dict[str, Any]
"""One entry of the books: plain JSON values only."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries (
    kind TEXT NOT NULL, key TEXT NOT NULL, doc BLOB NOT NULL, PRIMARY KEY (kind, key)
) WITHOUT ROWID
"""


class Books:
    """
    Entries by kind and key, held in memory and written through to one SQLite file.

    The frame commits before it answers a request and after each timed action, without fsync: what
    was answered survives the end of the process, though not of the machine.  Kinds that start
    with ``_`` are the simulator's own bookkeeping and are not shown to auditors.
    """

    def __init__(self, file: Path | None = None) -> None:
        """Open *file* and read everything in it; ``None`` keeps the books in memory only."""
        self._kinds: dict[str, dict[str, Doc]] = {}
        self._file = None if file is None else _open(file)
        if self._file is not None:
            for kind, key, doc in self._file.execute("SELECT kind, key, doc FROM entries"):
                self._kinds.setdefault(kind, {})[key] = orjson.loads(doc)

    def put(self, kind: str, key: str, doc: Doc) -> Doc:
        """Write *doc* under its key, replacing what stood there; return it."""
        self._kinds.setdefault(kind, {})[key] = doc
        self._write(
            "INSERT OR REPLACE INTO entries (kind, key, doc) VALUES (?, ?, ?)",
            (kind, key, orjson.dumps(doc) if self._file is not None else b""),
        )
        return doc

    def change(self, kind: str, key: str, **fields: object) -> Doc:
        """Overwrite some *fields* of a standing entry; return the entry."""
        return self.put(kind, key, self._kinds[kind][key] | fields)

    def get(self, kind: str, key: str) -> Doc | None:
        """Return one entry, or ``None``."""
        return self._kinds.get(kind, {}).get(key)

    def drop(self, kind: str, key: str) -> None:
        """Forget one entry; forgetting it twice is fine."""
        if self._kinds.get(kind, {}).pop(key, None) is not None:
            self._write("DELETE FROM entries WHERE kind = ? AND key = ?", (kind, key))

    def all(self, kind: str) -> Iterable[Doc]:
        """Return the entries of one kind, in the order they first came in this process."""
        return self._kinds.get(kind, {}).values()

    def items(self, kind: str) -> list[tuple[str, Doc]]:
        """Return keys and entries of one kind."""
        return list(self._kinds.get(kind, {}).items())

    def count(self, kind: str) -> int:
        """Return how many entries of one kind there are."""
        return len(self._kinds.get(kind, {}))

    def public(self) -> dict[str, list[Doc]]:
        """Return every entry an auditor may see, by kind."""
        return {
            kind: list(entries.values())
            for kind, entries in self._kinds.items()
            if not kind.startswith("_")
        }

    def commit(self) -> None:
        """Make what was written durable; costs nothing when nothing was."""
        if self._file is not None and self._file.in_transaction:
            self._file.execute("COMMIT")

    def _write(self, statement: str, values: tuple[object, ...]) -> None:
        if self._file is None:
            return
        if not self._file.in_transaction:
            self._file.execute("BEGIN")
        self._file.execute(statement, values)

    def close(self) -> None:
        """Commit and close the file; the books stay readable."""
        self.commit()
        if self._file is not None:
            self._file.close()
            self._file = None


def _open(file: Path) -> sqlite3.Connection:
    file.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(file, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    connection.execute(_SCHEMA)
    return connection

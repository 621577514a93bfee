"""A bundle is written file by file: what it takes to make one does not grow with their number."""

import tracemalloc
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from shared.evidence_bundle import File, sign, verify, write

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
SIZE = 2 * 1024 * 1024
FILES = 12


@dataclass(frozen=True)
class Lazy:
    """A file that is made when it is read."""

    name: str
    records: int = 1

    @property
    def content(self) -> bytes:
        return self.name.encode()[:1] * SIZE


def test_no_more_than_one_file_is_in_memory_at_a_time(tmp_path: Path):
    files = [Lazy(f"{number:02}.bin") for number in range(FILES)]
    with (tmp_path / "a.zip").open("wb") as out:
        tracemalloc.start()
        try:
            write({"agreement_no": "AG1"}, files, KEY, out)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()

    assert peak < 3 * SIZE
    checked = verify((tmp_path / "a.zip").read_bytes(), KEY.public_key())
    assert len(checked.files) == FILES


def test_files_made_when_read_give_the_same_bytes_as_files_in_memory():
    lazy = [Lazy("b.bin"), Lazy("z.bin")]
    ready = [File(one.name, one.content, 1) for one in reversed(lazy)]

    assert sign({}, lazy, KEY) == sign({}, ready, KEY)

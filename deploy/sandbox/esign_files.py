"""Bytes of contracts at the e-contract provider, and the papers that it makes of them."""

import re
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Final

from deploy.sandbox.kit import Doc

_TEXT_SIZE: Final = 9
_TRAILER: Final = re.compile(rb"startxref\s+\d+\s+%%EOF")


class Blobs:
    """Bytes by their sha-256, in a directory that survives a restart, or in memory."""

    def __init__(self, directory: Path | None) -> None:
        """Keep the bytes in *directory*; ``None`` keeps them in memory only."""
        self._directory = directory
        self._memory: dict[str, bytes] = {}
        if directory is not None:
            directory.mkdir(parents=True, exist_ok=True)

    def put(self, content: bytes) -> str:
        """Keep *content*; return its sha-256 in hex."""
        digest = sha256(content).hexdigest()
        if self._directory is None:
            self._memory[digest] = content
        else:
            (self._directory / digest).write_bytes(content)
        return digest

    def get(self, digest: str) -> bytes:
        """
        Return the bytes kept under *digest*.

        Raises:
            KeyError: There are none.
        """
        if self._directory is None:
            return self._memory[digest]
        file = self._directory / digest
        if not file.exists():
            raise KeyError(digest)
        return file.read_bytes()


def signed(original: bytes, flow: Doc) -> bytes:
    """
    Return *original* with a marker of each signature behind it.

    The marker is comments and the original's own trailer once more, so that the file
    still opens; every byte of the original is kept at its place.
    """
    lines = [
        f"% sandbox-esign flow={flow['flow_id']} signer={signer['psn_id']}"
        f" at={signer['signed_at']} original-sha256={sha256(original).hexdigest()}"
        for signer in flow["signers"]
        if signer["signed_at"] is not None
    ]
    trailers = _TRAILER.findall(original)
    ending = [trailers[-1].decode()] if trailers else []
    return original + "\n".join(["", *lines, *ending, ""]).encode()


def evidence_report(flow: Doc, documents: list[Doc]) -> bytes:
    """Return a one-page PDF that says who signed what, when and how, without personal data."""
    from fpdf import FPDF  # heavy, and wanted once per contract

    pdf = FPDF()
    pdf.set_creation_date(datetime.fromisoformat(flow["finished_at"]))
    pdf.add_page()
    pdf.set_font("Courier", size=_TEXT_SIZE)
    lines = [
        "Sandbox e-sign: evidence report",
        f"flow {flow['flow_id']}",
        f"finished at {flow['finished_at']}",
    ]
    for document in documents:
        lines += [
            f"file {document['file_id']}",
            f"  uploaded sha-256 {document['sha256']}",
            f"  signed   sha-256 {document['signed_sha256']}",
        ]
    for signer in flow["signers"]:
        lines += [
            f"signer {signer['psn_id']} signed at {signer['signed_at']}",
            f"  willingness video {signer['video_ref']} device {signer['device']}",
        ]
    for line in lines:
        safe = line.encode("ascii", "replace").decode()
        pdf.multi_cell(0, 5, safe, new_x="LMARGIN", new_y="NEXT")
    return bytes(pdf.output())

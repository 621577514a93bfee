"""Text as the publication rules read it: simplified, half width, without what hides a word."""

import tomllib
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import resources
from typing import Final

ENDS: Final = frozenset("。;\n")
"""What ends a sentence; no pattern looks across it."""

_NOISE: Final = frozenset("\"'“”‘’「」『』《》〈〉<>【】[]()·•・*_~|^`…-—–")
_HIDDEN: Final = frozenset({"Cf", "Cc", "Mn", "Me", "Zs", "Zl", "Zp", "So"})


class CharactersInvalid(ValueError):
    """The table of characters is not pairs of one traditional and one simplified character."""


@dataclass(frozen=True, slots=True)
class Sentence:
    """One folded sentence; ``origins`` has the place of each character in the text as written."""

    text: str
    origins: tuple[int, ...]

    def span(self, start: int, end: int) -> tuple[int, int]:
        """Return where the folded characters from *start* to *end* stand as written."""
        return self.origins[start], self.origins[end - 1] + 1


def read_characters(document: str) -> Mapping[str, str]:
    """
    Return the simplified character of each traditional one.

    Raises:
        CharactersInvalid: Something else stands there, or a character twice.
    """
    table = tomllib.loads(document)
    pairs = str(table.get("pairs", "")).split()
    if set(table) != {"pairs"} or any(len(pair) != len("簡简") for pair in pairs):
        raise CharactersInvalid("The table is one text of pairs.")
    characters = {pair[0]: pair[1] for pair in pairs}
    if len(characters) != len(pairs) or set(characters) & set(characters.values()):
        raise CharactersInvalid("A character stands twice, or leads to one that leads on.")
    return characters


SIMPLIFIED: Final = read_characters(
    (resources.files(__package__) / "rule_tables" / "characters.toml").read_text(encoding="utf-8")
)
"""Traditional characters and their simplified forms, as far as the rules need them."""


def sentences(text: str) -> Iterator[Sentence]:
    """
    Return the sentences of *text*, folded.

    Full width becomes half width, traditional becomes simplified; spaces, marks that nobody
    sees, quotes, brackets, dashes and pictures are left out.  Commas stay: what stands on
    either side of one is not one word.
    """
    letters: list[str] = []
    origins: list[int] = []
    for place, character in enumerate(f"{text}\n"):
        for letter in _folded(character):
            if letter not in ENDS:
                letters.append(letter)
                origins.append(place)
            elif letters:
                yield Sentence("".join(letters), tuple(origins))
                letters, origins = [], []


def _folded(character: str) -> Iterator[str]:
    if character in "\n\r\u2028\u2029":
        yield "\n"
        return
    for letter in unicodedata.normalize("NFKC", SIMPLIFIED.get(character, character)):
        if letter not in _NOISE and unicodedata.category(letter) not in _HIDDEN:
            yield SIMPLIFIED.get(letter, letter).lower()

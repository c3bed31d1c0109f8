"""Specimen codes: what a reader's scanner takes for one, and the codes that Doorstep's own labels carry.

A label's code is `S-` and ten characters in two groups, then a check character, such as S-7KQ2M-94XTB-M: of 31
characters that are not mistaken for one another. Weights 1 to 10 modulo 31, a prime: any one character that is wrong
and any two that changed places are noticed.
"""

import re
import secrets
from collections.abc import Callable

ALPHABET = "123456789ABCDEFGHJKMNPQRSTVWXYZ"
SHORTEST, LONGEST = 4, 32
_GROUP = 5
_OWN = re.compile(rf"S-([{ALPHABET}]{{{_GROUP}}})-([{ALPHABET}]{{{_GROUP}}})-([{ALPHABET}])")
_LIKE_OWN = re.compile(rf"S-[0-9A-Z]{{{_GROUP}}}-[0-9A-Z]{{{_GROUP}}}-[0-9A-Z]")
_BADGE = re.compile(r"OP[A-Z0-9]{2,14}")
_CASSETTE = re.compile(r"\]|\(01\)|01[0-9]{14}")


class NotASpecimen(ValueError):
    """A code that cannot be a specimen's: `code` is stable, the text tells a person what to do."""

    def __init__(self, code: str, sentence: str) -> None:
        super().__init__(sentence)
        self.code = code


def usable(text: str) -> str:
    """The code as a reader writes it. Raises NotASpecimen."""
    code = text.strip()
    if not code:
        raise NotASpecimen("specimen-missing", "Scan or type the specimen code from the label.")
    if _CASSETTE.match(code) or "\x1d" in code:
        raise NotASpecimen("specimen-is-a-cassette", "This is a cassette's code. Scan the specimen's label.")
    if _BADGE.fullmatch(code):
        raise NotASpecimen("specimen-is-a-badge", "This is an operator's badge. Scan the specimen's label.")
    if not all(" " <= character <= "~" for character in code):
        raise NotASpecimen("specimen-characters", "The code has a character that no label has. Scan or type it again.")
    if not SHORTEST <= len(code) <= LONGEST:
        raise NotASpecimen("specimen-length", f"A specimen code has {SHORTEST} to {LONGEST} characters.")
    return _own(code)


def new_code(choice: Callable[[str], str] = secrets.choice) -> str:
    """A new random code for a label; of 10^14, so that nobody need ask whether it is taken."""
    random = "".join(choice(ALPHABET) for _ in range(2 * _GROUP))
    return f"S-{random[:_GROUP]}-{random[_GROUP:]}-{check_character(random)}"


def check_character(random: str) -> str:
    """The character that belongs behind those ten."""
    return ALPHABET[sum(at * ALPHABET.index(one) for at, one in enumerate(random, 1)) % len(ALPHABET)]


def _own(code: str) -> str:
    """A code of our own labels in capitals once its check character agrees; any other as it is."""
    upper = code.upper()
    if not _LIKE_OWN.fullmatch(upper):
        return code
    found = _OWN.fullmatch(upper)
    if found is None or check_character(found[1] + found[2]) != found[3]:
        raise NotASpecimen("specimen-mistyped", "One or more characters of the code are wrong. Scan or type it again.")
    return upper

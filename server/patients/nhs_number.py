"""NHS numbers: ten digits, the last a check of the others (NHS Data Dictionary, NHS NUMBER: modulus 11)."""

from server.problems import Problem

SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"


class NHSNumberRefused(Problem):
    """Not ten digits, or the check digit does not fit: most often one was typed wrong."""

    status = 422
    code = "nhs-number-refused"
    title = "That is not an NHS number"


def check_digit(nine: str) -> int | None:
    """The digit that belongs behind those nine; None where none does, and the number is never issued."""
    total = sum(int(digit) * weight for digit, weight in zip(nine, range(10, 1, -1), strict=True))
    digit = (11 - total % 11) % 11
    return None if digit == 10 else digit


def normalised(text: str) -> str:
    """The ten digits of `text`, which may hold spaces and hyphens. Raises `NHSNumberRefused`."""
    digits = "".join(text.split()).replace("-", "")
    if len(digits) != 10 or not (digits.isascii() and digits.isdecimal()):
        raise NHSNumberRefused("An NHS number has 10 digits, such as 999 000 0018. Check it and type it again.")
    if check_digit(digits[:9]) != int(digits[9]) or len(set(digits)) == 1:
        raise NHSNumberRefused("One or more digits of this NHS number are wrong. Check it and type it again.")
    return digits


def shown(digits: str) -> str:
    """As people read it: `999 000 0018`."""
    return f"{digits[:3]} {digits[3:6]} {digits[6:]}"

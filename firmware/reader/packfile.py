"""An assay pack as people write it, in TOML, and the packs that come with this release.

This runs where packs are made: in the image's build, on the server and in tests, always under CPython. The board
has neither TOML nor this module; it gets the bytes. A file's keys are the names of `reader.assays.FIELDS`, with what
people write better otherwise:

    kind            "strip" or "amplification"
    controls        a table each: gtin, level, expected, the last a list with "positive", "negative" or, for a
                    quantitative assay, [lowest, highest] in the assay's unit, for each analyte
    low, high, grey, decision   in the assay's unit, for low_milli and so on; at most three decimals
    calibrations    a table each: lot, a_ppm, b, c (in the assay's unit), d_ppm; at most three decimals
"""

import functools
import hashlib
import tomllib
import zlib
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

from reader import assays, cbor, packrules
from reader.assays import AmplificationAssay, PackError, StripAssay

BUILT_IN = Path(__file__).resolve().parent.parent / "packs"
FILE_MAX = 64 * 1024

_KINDS = {"strip": assays.STRIP, "amplification": assays.AMPLIFICATION}
_EXPECTED = {"positive": 1, "negative": 2}
_IN_UNITS = {"low": "low_milli", "high": "high_milli", "grey": "grey_milli", "decision": "decision_milli"}
_KEYS = {name: key for key, name in enumerate(assays.FIELDS.split(), 1)}


def compile(toml: str) -> bytes:
    """The pack that a TOML text means. PackError names the field that may not stand."""
    try:
        table = tomllib.loads(toml, parse_float=Decimal)
    except tomllib.TOMLDecodeError as error:
        raise PackError("pack", f"not TOML: {error}") from error
    return pack_of(table)


def compile_file(path: Path) -> bytes:
    """The pack of a TOML file. PackError, OSError."""
    with path.open("rb") as file:
        data = file.read(FILE_MAX + 1)
    if len(data) > FILE_MAX:
        raise PackError("pack", f"a file of more than {FILE_MAX} bytes")
    try:
        return compile(data.decode())
    except UnicodeDecodeError as error:
        raise PackError("pack", "not text in UTF-8") from error


def pack_of(table: dict[str, Any]) -> bytes:
    """The pack that a table of such a file means."""
    fields: dict[int, Any] = {}
    for name, value in table.items():
        if name in _IN_UNITS:
            fields[_KEYS[_IN_UNITS[name]]] = _milli(name, value)
        elif name not in _KEYS or name.endswith("_milli"):
            raise PackError(name, "no field of a pack")
        else:
            fields[_KEYS[name]] = _WRITTEN.get(name, _as_it_is)(name, value)
    try:
        pack: bytes = cbor.encode(fields)  # pyright: ignore[reportUnknownMemberType]
    except cbor.CborError as error:
        raise PackError("pack", f"a value that no pack holds ({error.code})") from error
    packrules.check(pack)
    return pack


def table_of(toml: str) -> dict[str, Any]:
    """The table of a TOML text, to make another version of; PackError."""
    compile(toml)
    return tomllib.loads(toml, parse_float=Decimal)


def digest(pack: bytes) -> str:
    """What tells one definition from another under the same id and version: the SHA-256 in hexadecimal."""
    return hashlib.sha256(pack).hexdigest()


@functools.cache
def built_in() -> dict[tuple[str, int], bytes]:
    """The packs of this release by id and version."""
    found: dict[tuple[str, int], bytes] = {}
    for path in sorted(BUILT_IN.glob("*.toml")):
        pack = compile_file(path)
        assay = assays.decode(pack)
        if found.setdefault((assay.id, assay.version), pack) is not pack:
            raise PackError("version", f"{path.name} has an id and version that another file has")
    if not found:
        raise FileNotFoundError(f"This release has no assay packs in {BUILT_IN}. Install it again.")
    return found


@functools.cache
def every() -> "tuple[StripAssay | AmplificationAssay, ...]":
    """The assays of this release."""
    return tuple(assays.decode(pack) for pack in built_in().values())


def find(assay_id: str, version: int | None = None) -> "StripAssay | AmplificationAssay | None":
    """This release's assay of that id and version (the newest without one), or None."""
    found = [one for one in every() if one.id == assay_id and version in (None, one.version)]
    return max(found, key=lambda one: one.version, default=None)


def strip_assay(assay_id: str) -> StripAssay:
    """This release's newest strip of that id; KeyError."""
    found = find(assay_id)
    if not isinstance(found, StripAssay):
        raise KeyError(assay_id)
    return found


def amplification_assay(assay_id: str) -> AmplificationAssay:
    """This release's newest amplification of that id; KeyError."""
    found = find(assay_id)
    if not isinstance(found, AmplificationAssay):
        raise KeyError(assay_id)
    return found


def files() -> dict[str, bytes]:
    """What goes into the firmware's image, by file name: `ID.pack` each, and `index`, which says which holds a GTIN.

    A pack has its CRC-32 before it, as `reader.durable` reads it. A line of the index is a GTIN and an id; cassettes'
    and control materials' are both there.
    """
    newest: dict[str, bytes] = {}
    for (assay_id, _), pack in sorted(built_in().items()):
        newest[assay_id] = pack
    lines: list[str] = []
    for assay_id, pack in newest.items():
        assay = assays.decode(pack)
        lines.extend(f"{gtin} {assay_id}\n" for gtin in (*assay.gtins, *(one[0] for one in assay.controls)))
    numbers = [line[:14] for line in lines]
    if len(set(numbers)) != len(numbers):
        raise PackError("gtins", "two assays of this release carry the same GTIN")
    found = {f"{assay_id}.pack": _with_crc(pack) for assay_id, pack in newest.items()}
    found["index"] = _with_crc("".join(sorted(lines)).encode())
    return found


def _with_crc(data: bytes) -> bytes:
    return zlib.crc32(data).to_bytes(4, "big") + data


def _as_it_is(name: str, value: Any) -> Any:
    if isinstance(value, Decimal):
        raise PackError(name, "not a whole number")
    return value


def _kind(name: str, value: Any) -> int:
    if not isinstance(value, str) or value not in _KINDS:
        raise PackError(name, 'neither "strip" nor "amplification"')
    return _KINDS[value]


def _milli(name: str, value: Any) -> int:
    """Thousandths of a written number, which must be exact."""
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        raise PackError(name, "not a number")
    if not abs(value) < 1_000_000:
        raise PackError(name, "a number far out of any range")
    thousandths = Decimal(value) * 1000
    if thousandths != int(thousandths):
        raise PackError(name, "more than three decimals")
    return int(thousandths)


def _rows(name: str, value: Any, *keys: str) -> list[list[Any]]:
    """The values of each table of a list, in the order of `keys`, which each must have and nothing else."""
    if not isinstance(value, list):
        raise PackError(name, "not a list of tables")
    rows: list[list[Any]] = []
    for row in cast(list[Any], value):
        if not isinstance(row, dict) or set(cast(dict[str, Any], row)) != set(keys):
            raise PackError(name, f"each is a table of {', '.join(keys)}")
        rows.append([cast(Any, row[key]) for key in keys])
    return rows


def _controls(name: str, value: Any) -> list[list[Any]]:
    return [
        [gtin, level, [_one_expected(name, one) for one in _listed(expected)]]
        for gtin, level, expected in _rows(name, value, "gtin", "level", "expected")
    ]


def _listed(value: Any) -> list[Any]:
    return cast(list[Any], value) if isinstance(value, list) else [value]


def _one_expected(name: str, value: Any) -> int | list[int]:
    if isinstance(value, str) and value in _EXPECTED:
        return _EXPECTED[value]
    if isinstance(value, list):
        return [_milli(name, limit) for limit in _listed(value)]
    raise PackError(name, 'expected is "positive", "negative" or a range for each analyte')


def _calibrations(name: str, value: Any) -> list[list[Any]]:
    return [
        [lot, _as_it_is(name, a), _milli(name, b), _milli(name, c), _as_it_is(name, d)]
        for lot, a, b, c, d in _rows(name, value, "lot", "a_ppm", "b", "c", "d_ppm")
    ]


_WRITTEN = {"kind": _kind, "controls": _controls, "calibrations": _calibrations}

"""Write the worked examples of docs/protocol.md, with cbor2, cwt and cryptography: `python tests/vectors/make.py`.

The reader's own codec takes no part in it, so that where both agree, two implementations do. In the JSON a byte string
is {"h": hex}, a map {"m": [[key, value], ...]}, a tag {"t": number, "v": value}; the rest is JSON as it is. All keys
and nonces are examples.
"""

import hashlib
import hmac
import json
from pathlib import Path
from typing import Any

import cbor2
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cwt import COSE, COSEKey
from pyhpke import AEADId, CipherSuite, KDFId, KEMId

HERE = Path(__file__).parent
KEY = bytes(range(32))
READER = bytes.fromhex("d0025791ead00001")
OTHER_READER = bytes.fromhex("d0025791ead00002")
HUB = bytes.fromhex("4ab0000000000001")
EPOCH = bytes.fromhex("e90c000000000001")
BOOT = bytes.fromhex("b007000000000001")
EXPIRY = 1_790_000_000
NOW_MS = 1_780_000_000_000
HUB_NONCE = bytes(range(0x10, 0x20))
READER_NONCE = bytes(range(0x20, 0x30))
RANDOM9 = bytes(range(0xA0, 0xA9))


# The server's key pair for registrations and the ephemeral one, each derived from its bytes (RFC 9180 section 7.1.3).
HPKE = CipherSuite.new(KEMId.DHKEM_X25519_HKDF_SHA256, KDFId.HKDF_SHA256, AEADId.AES256_GCM)
REGISTRAR = HPKE.kem.derive_key_pair(bytes(range(0x40, 0x60)))
EPHEMERAL = HPKE.kem.derive_key_pair(bytes(range(0x60, 0x80)))
REGISTRATION = bytes(range(0x80, 0x90))
NOTE = b"0.2.0\n"
MANIFEST = (
    b"doorstep-image 1\nmodel Doorstep R1\nversion 0.2.0\nrelease 2\nfrom 1\n"
    + f"file reader/note.txt {len(NOTE)} {hashlib.sha256(NOTE).hexdigest()}\n".encode()
)
IMAGE = MANIFEST + NOTE
IMAGE_ID = hashlib.sha256(MANIFEST).digest()[:16]


def derive(info: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=READER, info=info).derive(KEY)


def first16(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()[:16]


def proof(key: bytes, *parts: bytes) -> bytes:
    return hmac.digest(key, b"".join(parts), "sha256")


RECORD_KEY = derive(b"doorstep/1 record")
DOWN_KEY = derive(b"doorstep/1 down")
TICKET = derive(b"doorstep/1 ticket" + HUB + EXPIRY.to_bytes(8, "big"))
TRANSCRIPT = READER + HUB + EXPIRY.to_bytes(8, "big") + HUB_NONCE + READER_NONCE
READER_PROOF = proof(TICKET, b"doorstep/1 reader", TRANSCRIPT)[:16]
HUB_PROOF = proof(TICKET, b"doorstep/1 hub", TRANSCRIPT)[:16]
SESSION = proof(TICKET, b"doorstep/1 session", TRANSCRIPT)
CLOCK_PROOF = proof(SESSION, b"doorstep/1 clock", NOW_MS.to_bytes(8, "big"), (250).to_bytes(4, "big"))[:16]
GENESIS = first16(READER)


def delta(samples: list[int]) -> bytes:
    out = b""
    before = 0
    for sample in samples:
        step = sample - before
        before = sample
        zigzag = (step << 1) ^ (step >> 63)
        while zigzag >= 0x80:
            out += bytes([zigzag & 0x7F | 0x80])
            zigzag >>= 7
        out += bytes([zigzag])
    return out


def seal(key: bytes, header: dict[int, Any], plaintext: bytes, nonce: bytes) -> bytes:
    cose_key = COSEKey.from_symmetric_key(alg="AES-CCM-16-128-256", key=key, kid=READER)
    return COSE.new().encode(plaintext, cose_key, protected=header, unprotected={5: nonce})


def seal_record(
    number: int, previous: bytes, plaintext: bytes, reader: bytes = READER, nonce: bytes | None = None
) -> bytes:
    header = {1: 31, 4: reader, -70001: number, -70002: previous, -70003: 0}
    return seal(RECORD_KEY, header, plaintext, nonce or number.to_bytes(4, "big") + RANDOM9)


def seal_down(
    number: int, plaintext: bytes, generation: int = 0, reader: bytes = READER, nonce: bytes | None = None
) -> bytes:
    header = {1: 31, 4: reader, -70001: number, -70003: generation}
    return seal(DOWN_KEY, header, plaintext, nonce or number.to_bytes(4, "big") + RANDOM9)


STRIP = [
    200 + (at * 7) % 11 - (900 if 44 <= at < 52 else 0) - (400 if 84 <= at < 92 else 0) + 3000 for at in range(128)
]
CURVE = [
    [1000 + at + (4000 if at > 60 else 0) for at in range(120)],
    [900 + (3000 if at > 70 else 0) for at in range(120)],
]
HEAT = [6500 + (at % 5) - 2 for at in range(120)]

STRIP_RESULT = {
    1: "SPC-000123", 2: "sars2-ag", 3: 1, 4: "L2407", 5: "000042", 6: "nurse-7", 7: 1, 8: 0, 9: "strip-1",
    10: [["SARS-CoV-2", 1, 0, 48_211, "ppm", 1_204]],
    11: {1: 1, 2: 125, 3: 128, 4: delta(STRIP), 5: 3900, 6: 12},
    12: [61_000, 961_000, 962_350], 13: [2310, None, None], 14: 3987, 15: 0, 16: "02000000000015", 17: "270630",
    18: None,
}  # fmt: skip
CURVE_RESULT = {
    1: "SPC-000124", 2: "sars2-lamp", 3: 2, 4: None, 5: None, 6: None, 7: 5, 8: 255, 9: "amp-1",
    10: [["SARS-CoV-2", 5, 255, None, None, None]],
    11: {1: 2, 2: 15_000, 3: 120, 4: [delta(CURVE[0]), delta(CURVE[1])], 7: delta(HEAT), 8: 240_000},
    12: [61_000, None, None], 13: [-150, 6450, 6552], 14: None, 15: 4, 16: None, 17: None, 18: "cal-9",
}  # fmt: skip
CRP_RESULT = STRIP_RESULT | {2: "crp", 4: "CRP001", 16: "02000000000077"}
QC_RESULT = STRIP_RESULT | {1: "QC positive", 19: ["02000000000916", "positive", 1, "C2401"]}
UNSET = [BOOT, 4_200, None, 0, None]
CLOCKED = [BOOT, 962_400, NOW_MS, 2, 250]
EVENTS: dict[str, tuple[int, Any, list[int]]] = {
    "boot": (1, "power-on", []),
    "fault": (2, "receipt", [14, 3]),
    "clock set": (3, None, [NOW_MS, 2]),
    "low battery": (4, None, [3402]),
    "downlink applied": (5, None, [1, 2]),
    "record damaged": (6, None, [17]),
    "key changed": (7, None, [1]),
}
RECORDS = {
    "result, strip": {1: 1, 2: CLOCKED, 3: "0.1.0", 4: STRIP_RESULT},
    "result, curve": {1: 1, 2: UNSET, 3: "0.1.0", 4: CURVE_RESULT},
    "result, concentration": {
        1: 1,
        2: CLOCKED,
        3: "0.1.0",
        4: CRP_RESULT | {7: 1, 10: [["CRP", 1, 0, 42_350, "mg/L", 1_020]]},
    },
    "result, below the reportable range": {
        1: 1,
        2: CLOCKED,
        3: "0.1.0",
        4: CRP_RESULT | {7: 2, 10: [["CRP", 2, 0, 5_000, "mg/L", None, 1]]},
    },
    "result, above the reportable range": {
        1: 1,
        2: CLOCKED,
        3: "0.1.0",
        4: CRP_RESULT | {7: 1, 10: [["CRP", 1, 0, 150_000, "mg/L", None, 2]]},
    },
    "result, error with no trace": {1: 1, 2: UNSET, 3: "0.1.0", 4: STRIP_RESULT | {7: 5, 8: 1, 10: [], 11: None}},
    "quality control": {1: 3, 2: CLOCKED, 3: "0.1.0", 4: QC_RESULT},
    **{f"event, {name}": {1: 2, 2: UNSET, 3: "0.1.0", 4: {1: a, 2: b, 3: c}} for name, (a, b, c) in EVENTS.items()},
}
PLAIN = {name: cbor2.dumps(value) for name, value in RECORDS.items()}
FIRST = seal_record(1, GENESIS, PLAIN["event, boot"])
SECOND = seal_record(2, first16(FIRST), PLAIN["result, strip"])
THIRD = seal_record(3, first16(SECOND), PLAIN["result, curve"])
DOWNS = {
    "receipt": (3, {1: 1, 2: 3, 3: first16(THIRD), 4: EPOCH}),
    "clock-floor": (1, {1: 2, 2: NOW_MS}),
    "settings": (2, {1: 3, 2: {1: "Clinique d'Éza", 2: "fr"}}),
    "assay-pack": (3, {1: 4, 2: cbor2.dumps({1: "sars2-ag", 2: 2})}),
    "new-key": (4, {1: 5, 2: 1, 3: bytes(range(32, 64))}),
    "operators": (5, {1: 6, 2: [["OPKIT1", 20_800], ["OPKIT2", None]]}),
    "recalls": (6, {1: 7, 2: [["02000000000015", "L2407"], ["02000000000022", None]]}),
    "update": (7, {1: 8, 2: [2, 1, len(MANIFEST), len(IMAGE)], 3: hashlib.sha256(MANIFEST).digest(), 4: "0.2.0"}),
    "no-update": (8, {1: 8, 2: None}),
}
STATE = {
    1: READER, 2: 1, 3: 4, 4: 0, 5: first16(THIRD), 6: BOOT, 7: 970_000, 8: NOW_MS, 9: 2, 10: 87, 11: "0.1.0",
    12: 0, 13: 0, 14: 2900, 15: 0, 16: "Éza 1",
}  # fmt: skip
CONTROL = {
    "hello": [1, 1, HUB, EXPIRY, 0, HUB_NONCE],
    "challenge": [2, READER_NONCE, READER_PROOF],
    "prove": [3, HUB_PROOF],
    "state-reply": [4, STATE],
    "status-request": [5],
    "report": [6, 1, 64],
    "credit": [7, 32],
    "clock": [8, NOW_MS, 250, CLOCK_PROOF],
    "identify": [9],
    "done": [10, 8],
    "taken": [11, 0, 3, 3],
    "image-request": [16, IMAGE_ID],
    "wanted": [17, 0, 5120, 262144],
    "error": [15, 5, 6],
}
SIGHTING = {
    1: READER,
    2: BOOT,
    3: 970_000,
    4: NOW_MS,
    5: 250,
    6: 1,
    7: 4,
    8: 0,
    9: 0,
    10: 87,
    11: 0,
    12: "0.1.0",
    13: 0,
}
REGISTERED: dict[int, Any] = {
    1: REGISTRATION, 2: HUB, 3: NOW_MS, 4: "S-7KQ2M-94XTB-M", 5: "Zoë", 6: "O'Neill", 7: "1980-03-07", 8: "9990000018",
    9: "07700 900123", 10: "", 11: "1 Lane End\nVillage", 12: "ZZ9 7QX", 13: "Welsh", 14: "Text only",
    15: ["CLINIC-17"], 16: ["A test, and that its result is told", NOW_MS, "A Nurse"],
}  # fmt: skip


def seal_registration(plaintext: bytes, registration_id: bytes = REGISTRATION) -> bytes:
    info = b"doorstep/1 registration" + HUB + registration_id
    enc, context = HPKE.create_sender_context(REGISTRAR.public_key, info, eks=EPHEMERAL)
    key_id = hashlib.sha256(REGISTRAR.public_key.to_public_bytes()).digest()[:8]
    return cbor2.dumps([key_id, HUB, registration_id, enc + context.seal(plaintext)])


SEALED_REGISTRATION = seal_registration(cbor2.dumps(REGISTERED))
SEALED_RECEIPT = seal_down(3, cbor2.dumps(DOWNS["receipt"][1]))
OTHERS: dict[str, tuple[str, Any]] = {
    # As those of the release, made by hand here: another encoder than `reader.packfile`.
    "pack, a strip that measures": (
        "quantitative-pack",
        {
            1: 1,
            2: "crp",
            3: 4,
            4: "C-reactive protein",
            5: "CRP",
            6: False,
            7: ["02000000000077"],
            8: ["CRP"],
            9: 1500,
            10: 3000,
            11: 168,
            12: 50,
            13: True,
            14: True,
            15: ["low"],
            16: [["02000000001135", "low", [[7000, 13000]]]],
            17: [6000],
            18: 11000,
            19: 800,
            20: 700,
            21: [5000],
            22: [10000],
            23: 15686,
            24: 31372,
            25: 0,
            26: 0,
            27: 300,
            28: 300,
            29: 420,
            30: "mg/L",
            31: 5000,
            32: 150000,
            33: 18000,
            34: 20000,
            35: [["CRP001", 2000, 1150, 38000, 520000]],
        },
    ),
    "pack, an amplification": (
        "amplification-pack",
        {
            1: 2,
            2: "mtb-lamp",
            3: 1,
            4: "M. tuberculosis DNA (LAMP)",
            5: "TB DNA",
            6: True,
            7: ["02000000000091"],
            8: ["M. tuberculosis"],
            9: 1000,
            10: 4000,
            11: 0,
            12: 0,
            13: False,
            14: False,
            15: [],
            16: [["02000000001173", "negative", [2]]],
            36: 6700,
            37: 100,
            38: 30,
            39: 300,
            40: 3600,
            41: 10,
            42: 3000,
        },
    ),
    "up, end": ("end", [12, 4]),
    "up, damaged": ("damaged", [13, 17]),
    "status": ("status", [1, READER, 4, 0, 87, 1]),
    "ticket": ("ticket", {"hub": HUB, "expiry": EXPIRY, "reader": READER, "secret": TICKET, "generation": 0}),
    "hub, header": ("hub-header", [0, {1: 1, 2: NOW_MS, 3: EPOCH, 4: "hub 0.1.0", 5: [[READER, EXPIRY]]}]),
    "hub, header of a hub that knows no epoch": ("hub-header", [0, {1: 1, 2: NOW_MS, 3: None, 4: "hub 0.1.0", 5: []}]),
    "hub, record": ("record-item", [1, FIRST]),
    "hub, sighting": ("sighting", [2, SIGHTING]),
    "hub, registration": ("registration-item", [8, SEALED_REGISTRATION]),
    "registration, sealed": ("sealed-registration", cbor2.loads(SEALED_REGISTRATION)),
    "registration, what it opens to": ("registration-plain", REGISTERED),
    "server, header that names the key for registrations": (
        "server-header",
        [0, {1: 1, 2: NOW_MS, 3: EPOCH, 6: REGISTRAR.public_key.to_public_bytes()}],
    ),
    "server, registration held": ("registration-answer", [8, REGISTRATION, 1, None]),
    "server, registration that cannot be read": ("registration-answer", [8, None, 4, "malformed"]),
    "server, header": ("server-header", [0, {1: 1, 2: NOW_MS, 3: EPOCH}]),
    "server, header that says that readers await an image": ("server-header", [0, {1: 1, 2: NOW_MS, 3: EPOCH, 7: 2}]),
    "server, image": (
        "image-item",
        [9, READER, IMAGE_ID, len(IMAGE), hashlib.sha256(IMAGE).digest()],
    ),
    "down, piece": ("piece", [18, 0, IMAGE]),
    "server, held": ("answer", [1, 0, READER, 1, 1, None]),
    "server, quarantined": ("answer", [1, 1, None, None, 4, "malformed"]),
    "server, receipt": ("receipt-item", [2, READER, 3, SEALED_RECEIPT]),
    "server, ticket": ("ticket-item", [3, READER, EXPIRY, 0, TICKET]),
    "server, command": ("down-item", [4, READER, 1, seal_down(1, cbor2.dumps(DOWNS["clock-floor"][1]))]),
}


def sort_keys(value: Any) -> Any:
    """Order maps by the bytes of the encoded key (RFC 8949 section 4.2.1); cbor2 would by length first."""
    if isinstance(value, dict):
        return {key: sort_keys(value[key]) for key in sorted(value, key=cbor2.dumps)}
    return [sort_keys(item) for item in value] if isinstance(value, list) else value


def shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"h": value.hex()}
    if isinstance(value, dict):
        return {"m": [[shown(key), shown(item)] for key, item in value.items()]}
    if isinstance(value, list):
        return [shown(item) for item in value]
    return {"t": value.tag, "v": shown(value.value)} if isinstance(value, cbor2.CBORTag) else value


def message(name: str, rule: str, value: Any) -> dict[str, Any]:
    value = sort_keys(value)
    return {"name": name, "rule": rule, "value": shown(value), "hex": cbor2.dumps(value).hex()}


def messages() -> list[dict[str, Any]]:
    found = [
        message(name, {1: "result-record", 2: "event-record", 3: "qc-record"}[value[1]], value)
        for name, value in RECORDS.items()
    ]
    found += [message(f"down, {rule}", rule, value) for rule, (_, value) in DOWNS.items()]
    found += [message(f"control, {rule}", rule, value) for rule, value in CONTROL.items()]
    return found + [message(name, rule, value) for name, (rule, value) in OTHERS.items()]


def sealed() -> list[dict[str, Any]]:
    records = (
        ("event, boot", 1, GENESIS, FIRST),
        ("result, strip", 2, first16(FIRST), SECOND),
        ("result, curve", 3, first16(SECOND), THIRD),
    )
    found = [
        {
            "name": f"record, {name}", "rule": "sealed-record", "number": number, "generation": 0,
            "previous": previous.hex(), "random": RANDOM9.hex(), "plaintext": PLAIN[name].hex(),
            "hex": data.hex(), "chain": first16(data).hex(),
        }
        for name, number, previous, data in records
    ]  # fmt: skip
    for name, (number, value) in DOWNS.items():
        plaintext = cbor2.dumps(sort_keys(value))
        found.append(
            {
                "name": f"down, {name}", "rule": "sealed-down", "number": number, "generation": 0,
                "previous": None, "random": RANDOM9.hex(), "plaintext": plaintext.hex(),
                "hex": seal_down(number, plaintext).hex(), "chain": None,
            }
        )  # fmt: skip
    return found


def derivations() -> dict[str, Any]:
    return {
        "key": KEY.hex(), "reader": READER.hex(), "hub": HUB.hex(), "expiry": EXPIRY, "hub nonce": HUB_NONCE.hex(),
        "reader nonce": READER_NONCE.hex(), "record key": RECORD_KEY.hex(), "down key": DOWN_KEY.hex(),
        "ticket secret": TICKET.hex(),
        "reader proof": READER_PROOF.hex(), "hub proof": HUB_PROOF.hex(), "session key": SESSION.hex(),
        "clock unix ms": NOW_MS, "clock uncertainty ms": 250,
        "clock proof": CLOCK_PROOF.hex(), "genesis": GENESIS.hex(),
    }  # fmt: skip


def registrations() -> dict[str, Any]:
    """One whole registration, and what must not open: as it is named, and what was wrongly sealed."""
    plain = cbor2.dumps(REGISTERED)
    envelope = cbor2.loads(SEALED_REGISTRATION)
    flipped = envelope[3][:-1] + bytes([envelope[3][-1] ^ 1])
    refused = {
        "altered": ([*envelope[:3], flipped], "does-not-open"),
        "moved to another id": ([*envelope[:2], bytes(16), envelope[3]], "does-not-open"),
        "moved to another hub": ([envelope[0], bytes(8), *envelope[2:]], "does-not-open"),
        "an id inside that is not the envelope's": (
            cbor2.loads(seal_registration(cbor2.dumps(REGISTERED | {1: bytes(16)}))),
            "does-not-open",
        ),
        "a birth date that is none": (
            cbor2.loads(seal_registration(cbor2.dumps(REGISTERED | {7: "1980-02-30"}))),
            "not-understood",
        ),
        "a key too few": (
            cbor2.loads(seal_registration(cbor2.dumps({key: REGISTERED[key] for key in range(1, 16)}))),
            "not-understood",
        ),
        "too short an encapsulated key": ([*envelope[:3], envelope[3][:31]], "does-not-open"),
        "three parts": (envelope[:3], "malformed"),
    }
    return {
        "private key": REGISTRAR.private_key.to_private_bytes().hex(),
        "public key": REGISTRAR.public_key.to_public_bytes().hex(),
        "hub": HUB.hex(), "registration": REGISTRATION.hex(), "plaintext": plain.hex(),
        "hex": SEALED_REGISTRATION.hex(),
        "refused": [
            {"name": name, "hex": cbor2.dumps(value).hex(), "code": code} for name, (value, code) in refused.items()
        ],
    }  # fmt: skip


def traces() -> list[dict[str, Any]]:
    samples = {
        "empty": [],
        "one": [0],
        "sign": [-1, 1, -1],
        "seven bits": [63, -1, 127, 62],
        "extremes": [-(2**31), 2**31 - 1, -(2**31)],
        "strip": STRIP,
        "curve": CURVE[0],
    }
    return [{"name": name, "samples": values, "hex": delta(values).hex()} for name, values in samples.items()]


def cut(data: bytes, mtu: int, counter: int) -> list[str]:
    size = min(244, mtu - 3) - 2
    pieces = [data[at : at + size] for at in range(0, len(data), size)]
    found = []
    for at, piece in enumerate(pieces):
        first = 0x80 if at == 0 else 0
        last = 0x40 if at == len(pieces) - 1 else 0
        found.append((bytes([first | last | (counter + at) % 64, len(piece)]) + piece).hex())
    return found


def segments() -> list[dict[str, Any]]:
    cases = (
        ("one segment", cbor2.dumps([5]), 23, 0),
        ("MTU 23", SECOND, 23, 0),
        ("MTU 247", SECOND, 247, 60),
        ("MTU 517", SECOND, 517, 0),
    )
    return [
        {"name": name, "message": data.hex(), "mtu": mtu, "counter": counter, "segments": cut(data, mtu, counter)}
        for name, data, mtu, counter in cases
    ]


def refused() -> dict[str, Any]:
    """What must not be taken, and the code it is refused with."""
    flipped = bytearray(SECOND)
    flipped[-1] ^= 1
    other_header = {1: 31, 4: READER, -70001: 2, -70002: first16(FIRST), -70003: 0}
    replaced = cbor2.CBORTag(16, [cbor2.dumps(other_header | {-70001: 3}), *cbor2.loads(SECOND).value[1:]])
    wrong_algorithm = cbor2.CBORTag(16, [cbor2.dumps(other_header | {1: 1}), *cbor2.loads(SECOND).value[1:]])
    extra = cbor2.CBORTag(16, [cbor2.loads(FIRST).value[0], {4: b"x", 5: bytes(13)}, cbor2.loads(FIRST).value[2]])
    no_tag = cbor2.loads(FIRST).value
    plain = PLAIN["event, boot"]
    return {
        "cbor": [
            ["empty", "", "truncated"],
            ["head cut short", "19ff", "truncated"],
            ["byte string cut short", "43aabb", "truncated"],
            ["array cut short", "8301", "truncated"],
            ["array of four thousand million", "9affffffff", "truncated"],
            ["byte string of 2^64 - 1", "5bffffffffffffffff", "truncated"],
            ["two items", "0101", "trailing"],
            ["nine levels", "81" * 9 + "00", "too-deep"],
            ["513 items in an array", "990200" + "00" * 512, "too-many"],
            ["number not in its shortest form", "1817", "not-shortest"],
            ["number not in its shortest form, 16 bits", "1900ff", "not-shortest"],
            ["number not in its shortest form, 64 bits", "1b00000000ffffffff", "not-shortest"],
            ["length not in its shortest form", "5801aa", "not-shortest"],
            ["indefinite array", "9f01ff", "indefinite"],
            ["indefinite text", "7f6161ff", "indefinite"],
            ["break alone", "ff", "indefinite"],
            ["keys out of order", "a202000100", "key-order"],
            ["a key twice", "a201000100", "key-order"],
            ["a negative key before a positive one", "a220000100", "key-order"],
            ["overlong UTF-8", "62c080", "bad-text"],
            ["surrogate in UTF-8", "63eda080", "bad-text"],
            ["UTF-8 cut short", "61c3", "bad-text"],
            ["float", "f93c00", "unsupported"],
            ["undefined", "f7", "unsupported"],
            ["simple value 32", "f820", "unsupported"],
            ["map with an array as key", "a18000", "unsupported"],
            ["reserved head", "1c", "unsupported"],
        ],
        "sealed-record": [
            ["tag altered", flipped.hex(), "does-not-open"],
            ["nonce without its number", seal_record(2, GENESIS, plain, nonce=bytes(13)).hex(), "nonce-mismatch"],
            ["header altered", cbor2.dumps(replaced).hex(), "nonce-mismatch"],
            ["another algorithm", cbor2.dumps(wrong_algorithm).hex(), "wrong-algorithm"],
            ["another reader's", seal_record(2, GENESIS, plain, reader=OTHER_READER).hex(), "foreign-reader"],
            ["no tag 16", cbor2.dumps(no_tag).hex(), "malformed"],
            ["more in the unprotected header", cbor2.dumps(extra).hex(), "malformed"],
            ["downlink header", seal_down(2, plain).hex(), "malformed"],
            ["not CBOR", "ff", "malformed"],
            ["cut short", FIRST[:-1].hex(), "malformed"],
            ["bytes after it", (FIRST + b"\0").hex(), "malformed"],
        ],
        "sealed-down": [
            ["record key and header", FIRST.hex(), "malformed"],
            ["unknown generation", seal_down(1, plain, generation=9).hex(), "unknown-generation"],
            ["another reader's", seal_down(1, plain, reader=OTHER_READER).hex(), "foreign-reader"],
            ["nonce without its number", seal_down(1, plain, nonce=bytes(13)).hex(), "nonce-mismatch"],
        ],
        "delta": [
            ["too few", delta([1, 2]).hex(), 3],
            ["too many", delta([1, 2, 3]).hex(), 2],
            ["cut inside a step", delta([1, 300]).hex()[:-2], 2],
            ["a step without end", "8080808080808000", 2],
            ["a step longer than it needs", "8000", 1],
            ["beyond 32 bits", delta([2**31]).hex(), 1],
        ],
        "segments": [
            ["nothing", [""], [2]],
            ["header cut short", ["c0"], [2]],
            ["payload cut short", ["c005aabb"], [2]],
            ["no payload", ["c000"], [2]],
            ["payload of 243", ["c0f3" + "00" * 243], [2]],
            ["counter skipped, then goes on from there", ["c101aa", "c201bb"], [4, "bb"]],
            ["counter repeated", ["c001aa", "c001bb"], ["aa", 4]],
            ["middle without a first", ["0001aa"], [4]],
            ["first inside a message", ["8001aa", "8101bb"], [4]],
            ["beyond the bound of 256", ["80f2" + "00" * 242, "01f2" + "00" * 242, "c201bb"], [3, "bb"]],
            ["two in one value", ["c001aac101bb"], ["aa", "bb"]],
            ["a good one, then one cut short", ["c001aac105bb"], ["aa", 2]],
        ],
    }


def main() -> None:
    for name, content in (
        ("messages", messages()), ("sealed", sealed()), ("derivations", derivations()), ("traces", traces()),
        ("segments", segments()), ("refused", refused()), ("registrations", registrations()),
    ):  # fmt: skip
        (HERE / f"{name}.json").write_text(json.dumps(content, indent=1, ensure_ascii=True) + "\n")


if __name__ == "__main__":
    main()

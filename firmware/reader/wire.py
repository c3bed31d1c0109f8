"""The single home of every number on the wire: UUIDs, opcodes, map keys and enum values of protocol version 1.

docs/protocol.md is the specification; this module is its vocabulary. It holds no logic and imports nothing that CPython
lacks, so that the reader, the hub and the server share one list. Lengths are bytes, times are milliseconds.
"""

try:
    from micropython import const  # pyright: ignore[reportAssignmentType]
except ImportError:  # CPython: the hub and the server

    def const(value):
        return value


VERSION = const(1)

# GATT. Random 128-bit UUIDs: one on the Bluetooth base would read as a short one.
SERVICE_UUID = "8f3c1d52-6b0e-4f6a-9a57-2d41c7e8b610"
STATUS_UUID = "8f3c1d53-6b0e-4f6a-9a57-2d41c7e8b610"
CONTROL_UUID = "8f3c1d54-6b0e-4f6a-9a57-2d41c7e8b610"
UP_UUID = "8f3c1d55-6b0e-4f6a-9a57-2d41c7e8b610"
DOWN_UUID = "8f3c1d56-6b0e-4f6a-9a57-2d41c7e8b610"

# Advertising: manufacturer data in the scan response, big-endian version, reader id, next, released, flags.
ADVERT_COMPANY = const(0xFFFF)
ADVERT_FORMAT = ">B8sIIB"

FLAG_CLOCK_UNSET = const(1)
FLAG_TEST_RUNNING = const(2)
FLAG_LOW_BATTERY = const(4)
FLAG_FAULT = const(8)
FLAG_STORAGE_FULL = const(16)
FLAG_CONTROL_CLEAR = const(32)  # neither of the two: not known
FLAG_CONTROL_DUE = const(64)

# Lengths.
READER_ID_BYTES = const(8)
HUB_ID_BYTES = const(8)
EPOCH_BYTES = const(8)
BOOT_ID_BYTES = const(8)
KEY_BYTES = const(32)
HASH_BYTES = const(16)
AUTH_NONCE_BYTES = const(16)
PROOF_BYTES = const(16)
REGISTRATION_ID_BYTES = const(16)
IMAGE_ID_BYTES = const(16)  # first bytes of SHA-256 of its manifest
REGISTRATION_KEY_BYTES = const(32)  # X25519, public
REGISTRATION_KEY_ID_BYTES = const(8)
CIPHER_NONCE_BYTES = const(13)
TAG_BYTES = const(16)

# Bounds. A decoder refuses what is beyond them before it allocates.
RECORD_MAX = const(4096)
DOWN_MAX = const(4096)
REGISTRATION_MAX = const(8192)
CONTROL_MAX = const(256)
PIECE_MAX = const(1024)  # of an image in one message
IMAGE_MAX = const(2097152)
MANIFEST_MAX = const(16384)
CBOR_DEPTH_MAX = const(8)
CBOR_ITEMS_MAX = const(512)
SEGMENT_HEADER = const(2)
SEGMENT_PAYLOAD_MAX = const(242)
CREDITS_MAX = const(4096)
ERRORS_BEFORE_DROP = const(8)
ADMISSION_MS = const(20000)

# Segment header: byte 0 flags and rolling counter, byte 1 payload length.
SEGMENT_FIRST = const(0x80)
SEGMENT_LAST = const(0x40)
SEGMENT_COUNTER = const(0x3F)

# Control and up messages: a CBOR array whose first element is the opcode.
OP_DOWN = const(0x80)  # stands for a message on `down` where an error names an op
OP_HELLO = const(1)  # hub:    [1, version, hub id, expiry, generation, hub nonce]
OP_CHALLENGE = const(2)  # reader: [2, reader nonce, reader proof]
OP_PROVE = const(3)  # hub:    [3, hub proof]
OP_STATE = const(4)  # reader: [4, {state}]
OP_STATUS = const(5)  # hub:    [5]
OP_REPORT = const(6)  # hub:    [6, from number, credits]
OP_CREDIT = const(7)  # hub:    [7, credits]
OP_CLOCK = const(8)  # hub:    [8, unix ms, uncertainty ms, proof]
OP_IDENTIFY = const(9)  # hub:    [9]
OP_DONE = const(10)  # reader: [10, op]
OP_TAKEN = const(11)  # reader: [11, code, number, released]
OP_END = const(12)  # reader, on up: [12, next]
OP_DAMAGED = const(13)  # reader, on up: [13, number], in place of a record its storage finds damaged
OP_ERROR = const(15)  # reader: [15, code, op]
OP_IMAGE = const(16)  # hub:    [16, image id]
OP_WANTED = const(17)  # reader: [17, code, offset, size]
OP_PIECE = const(18)  # hub, on down: [18, offset, bytes]

# Error codes of the link.
ERR_NONE = const(0)
ERR_UNKNOWN_OP = const(1)
ERR_MALFORMED = const(2)
ERR_OVERSIZED = const(3)
ERR_OUT_OF_ORDER = const(4)
ERR_NOT_ADMITTED = const(5)
ERR_TICKET_REFUSED = const(6)
ERR_TICKET_EXPIRED = const(7)
ERR_GONE = const(8)
ERR_AHEAD = const(9)
ERR_BUSY = const(10)
ERR_VERSION = const(11)
ERR_SEAL_REFUSED = const(12)
ERR_REPLAYED = const(13)
ERR_CHAIN_MISMATCH = const(14)
ERR_UNSUPPORTED = const(15)
ERR_TOO_MANY_ERRORS = const(16)
ERR_STORAGE = const(17)
ERR_IMAGE = const(18)  # not the image that the reader awaits
ERR_BATTERY = const(19)

# State map of OP_STATE.
STATE_READER_ID = const(1)
STATE_FIRST = const(2)
STATE_NEXT = const(3)
STATE_RELEASED = const(4)
STATE_CHAIN = const(5)
STATE_BOOT_ID = const(6)
STATE_UPTIME_MS = const(7)
STATE_WALL_MS = const(8)
STATE_CLOCK_SOURCE = const(9)
STATE_BATTERY = const(10)
STATE_FIRMWARE = const(11)
STATE_DOWN = const(12)
STATE_GENERATION = const(13)
STATE_FREE = const(14)
STATE_FLAGS = const(15)
STATE_NAME = const(16)

# COSE headers (RFC 9052 section 3.1); the private ones are below -65536 (IANA COSE Header Parameters).
COSE_ENCRYPT0_TAG = const(16)
COSE_ALG = const(1)
COSE_KID = const(4)
COSE_IV = const(5)
COSE_AES_CCM_16_128_256 = const(31)
HDR_NUMBER = const(-70001)
HDR_PREVIOUS = const(-70002)
HDR_GENERATION = const(-70003)

# HKDF-SHA256 (RFC 5869): salt is the reader id, input the reader's key, info one of these.
INFO_RECORD = b"doorstep/1 record"
INFO_DOWN = b"doorstep/1 down"
INFO_TICKET = b"doorstep/1 ticket"  # then hub id (8) and expiry (8, big-endian)
LABEL_READER_PROOF = b"doorstep/1 reader"
LABEL_HUB_PROOF = b"doorstep/1 hub"
LABEL_SESSION = b"doorstep/1 session"
LABEL_CLOCK = b"doorstep/1 clock"

# Record plaintext.
REC_KIND = const(1)
REC_TIME = const(2)  # [boot id, uptime ms, wall unix ms / null, source, uncertainty ms / null]
REC_FIRMWARE = const(3)
REC_BODY = const(4)

KIND_RESULT = const(1)
KIND_EVENT = const(2)
KIND_QC = const(3)  # a quality-control test: a result's body and RES_QC

CLOCK_UNSET = const(0)
CLOCK_RTC = const(1)
CLOCK_HUB = const(2)
CLOCK_SERVER = const(3)

RES_SPECIMEN = const(1)
RES_ASSAY = const(2)
RES_ASSAY_VERSION = const(3)
RES_LOT = const(4)
RES_SERIAL = const(5)
RES_OPERATOR = const(6)
RES_OUTCOME = const(7)
RES_REASON = const(8)
RES_ALGORITHM = const(9)
RES_ANALYTES = const(10)  # [* [name, outcome, reason, value x 1000 / null, unit / null, standard error x 1000 / null]]
RES_TRACE = const(11)
RES_TIMES = const(12)  # [started, due, read], uptime ms
RES_TEMPERATURES = const(13)  # [ambient, lowest, highest], hundredths of a degree Celsius, each / null
RES_BATTERY_MV = const(14)
RES_CHECKS = const(15)
RES_GTIN = const(16)
RES_EXPIRY = const(17)
RES_CALIBRATION = const(18)
RES_QC = const(19)  # [material GTIN, level, verdict, material lot / null]; in KIND_QC only

QC_PASSED = const(1)
QC_FAILED = const(2)

OUTCOME_POSITIVE = const(1)
OUTCOME_NEGATIVE = const(2)
OUTCOME_INDETERMINATE = const(3)
OUTCOME_INVALID = const(4)
OUTCOME_ERROR = const(5)

TRACE_KIND = const(1)
TRACE_STEP = const(2)  # strip: micrometres a pixel; curve: ms a sample
TRACE_COUNT = const(3)
TRACE_SAMPLES = const(4)  # strip: one byte string; curve: one a well, sample then internal control
TRACE_WHITE = const(5)  # strip: level, or one byte string of levels
TRACE_DARK = const(6)
TRACE_TEMPERATURES = const(7)  # curve: hundredths of a degree Celsius, one byte string
TRACE_START = const(8)  # curve: ms from the start of heating to the first sample
TRACE_STRIP = const(1)
TRACE_CURVE = const(2)

EVT_CODE = const(1)
EVT_DETAIL = const(2)
EVT_NUMBERS = const(3)
EVENT_BOOT = const(1)
EVENT_FAULT = const(2)
EVENT_CLOCK_SET = const(3)
EVENT_LOW_BATTERY = const(4)
EVENT_DOWN_APPLIED = const(5)
EVENT_RECORD_DAMAGED = const(6)
EVENT_KEY_CHANGED = const(7)
EVENT_UPDATE = const(8)  # [release, stage], and the version or why

UPDATE_AWAITED = const(1)
UPDATE_WHOLE = const(2)
UPDATE_STARTED = const(3)  # on trial, self-test passed
UPDATE_CONFIRMED = const(4)
UPDATE_WENT_BACK = const(5)
UPDATE_REFUSED = const(6)
UPDATE_DROPPED = const(7)

# Downlink plaintext.
DOWN_TYPE = const(1)
DOWN_RECEIPT = const(1)  # {1: 1, 2: number, 3: chain hash at number, 4: epoch}
DOWN_CLOCK_FLOOR = const(2)  # {1: 2, 2: unix ms}
DOWN_SETTINGS = const(3)  # {1: 3, 2: {setting: value}}
DOWN_ASSAY = const(4)  # {1: 4, 2: pack}
DOWN_KEY = const(5)  # {1: 5, 2: generation, 3: key}
DOWN_OPERATORS = const(6)  # {1: 6, 2: [* [badge, last day since 1970 / null]]}
DOWN_RECALLS = const(7)  # {1: 7, 2: [* [GTIN, lot / null]]}
DOWN_UPDATE = const(8)  # {1: 8, 2: [release, from, manifest bytes, image bytes], 3: its hash, 4: version}, or 2: null
DOWN_A = const(2)
DOWN_B = const(3)
DOWN_C = const(4)
SETTING_NAME = const(1)
SETTING_LANGUAGE = const(2)
LIST_MAX = const(128)  # rows of an operator or a recall list

# Exchange between hub and server: a CBOR sequence each way, every item an array whose first element is its type.
EXCHANGE_PATH = "/hub/v1/exchange"
EXCHANGE_MEDIA_TYPE = "application/cbor-seq"
IMAGES_PATH = "/hub/v1/images"
ITEM_HEADER = const(0)  # hub: [0, {header}]; server: [0, {header}]
ITEM_RECORD = const(1)  # hub: [1, sealed record]
ITEM_SIGHTING = const(2)  # hub: [2, {sighting}]
ITEM_REGISTRATION = const(8)  # hub: [8, sealed]; server: [8, registration id, disposition, problem code / null]
ITEM_ANSWER = const(1)  # server: [1, index, reader id / null, number / null, disposition, problem code / null]
ITEM_RECEIPT = const(2)  # server: [2, reader id, number, sealed receipt]
ITEM_TICKET = const(3)  # server: [3, reader id, expiry unix s, generation, secret]
ITEM_DOWN = const(4)  # server: [4, reader id, number, sealed message]
ITEM_IMAGE = const(9)  # server, at IMAGES_PATH: [9, reader id, image id, bytes, SHA-256 of the image]

HEAD_VERSION = const(1)
HEAD_NOW_MS = const(2)
HEAD_EPOCH = const(3)
HEAD_SOFTWARE = const(4)
HEAD_TICKETS = const(5)  # hub: [* [reader id, expiry unix s]]
HEAD_REGISTRATION_KEY = const(6)  # server, where it takes registrations
HEAD_IMAGES = const(7)  # server, where readers that this hub may carry await images: how many readers

SIGHT_READER_ID = const(1)
SIGHT_BOOT_ID = const(2)
SIGHT_UPTIME_MS = const(3)
SIGHT_HUB_MS = const(4)
SIGHT_UNCERTAINTY_MS = const(5)
SIGHT_FIRST = const(6)
SIGHT_NEXT = const(7)
SIGHT_RELEASED = const(8)
SIGHT_DOWN = const(9)
SIGHT_BATTERY = const(10)
SIGHT_FLAGS = const(11)
SIGHT_FIRMWARE = const(12)
SIGHT_GENERATION = const(13)

HELD = const(1)
DUPLICATE = const(2)
CONFLICT = const(3)
QUARANTINED = const(4)

# Registration: HPKE (RFC 9180) from hub to server; info is this, hub id (8) and registration id (16).
INFO_REGISTRATION = b"doorstep/1 registration"
REG_ID = const(1)
REG_HUB = const(2)
REG_MADE_MS = const(3)
REG_SPECIMEN = const(4)
REG_GIVEN = const(5)
REG_FAMILY = const(6)
REG_BIRTH = const(7)  # "YYYY-MM-DD" / null
REG_NHS_NUMBER = const(8)  # ten digits / null
REG_PHONE = const(9)
REG_EMAIL = const(10)
REG_ADDRESS = const(11)
REG_POSTCODE = const(12)
REG_LANGUAGE = const(13)
REG_SAFE_CONTACT = const(14)
REG_LOCAL = const(15)  # [* identifier]
REG_CONSENT = const(16)  # [what was asked, unix ms, by whom]

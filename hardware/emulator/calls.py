"""The messages between a reader's process and the bench: operation numbers, their framing and the greeting.

The stand-ins in micropython/ name the same numbers as constants of their own (a shared table would live on the
reader's heap); a test holds the two together. Layouts: a message is u16 length, u8 operation, u64 virtual microseconds,
payload; an answer is u16 length, u16 errno (0: success), payload; an event is u16 length, u8 kind, payload. All
little-endian.
"""

import struct
from collections.abc import Awaitable
from enum import IntEnum

MESSAGE = struct.Struct("<HBQ")
ANSWER = struct.Struct("<HH")
EVENT = struct.Struct("<HB")
GREETING = struct.Struct(
    "<49sIIB6sqB"
)  # levels, speed in thousandths (0: in step), flash blocks, reset cause, MAC, wall clock, wake


Answer = bytes | Awaitable[bytes | None] | None


class Operation(IntEnum):
    """What a reader's process asks or says; from 128 on nothing is answered."""

    HELLO = 1
    I2C = 2
    ADC = 3
    FLASH_PROG = 5
    FLASH_ERASE = 6
    FLASH_SYNC = 7
    RESET = 8
    DEEPSLEEP = 9
    ACTIVE = 10
    REGISTER = 11
    READ = 12
    WRITE = 13
    NOTIFY = 14
    INDICATE = 15
    SET_BUFFER = 16
    ADVERTISE = 17
    DISCONNECT = 18
    TEMPERATURE = 20
    CONFIG = 21
    PIN = 128
    PWM = 129
    UART_TX = 130
    NEOPIXEL = 131
    IRQ_DONE = 132
    MEMORY = 133
    WATCHDOG = 134
    PIN_MODE = 135
    UART_SETUP = 136
    WALL = 137
    WAKE_PIN = 138
    SEEN = 139
    FREQ = 140
    STANDSTILL = 141


class Event(IntEnum):
    """What the bench pushes into a reader's process."""

    SPEED = 1
    PIN = 2
    UART = 3
    BLE = 4
    MEMORY = 5
    SEE = 6
    GO_ON = 7


class ResetCause(IntEnum):
    """`machine.reset_cause()` of the ESP32."""

    PWRON = 1
    HARD = 2
    WATCHDOG = 3
    DEEPSLEEP = 4
    SOFT = 5

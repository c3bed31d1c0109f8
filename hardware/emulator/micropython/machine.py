"""`machine` of the ESP32-S3 over the bench: what the reader needs of it; it lives on the reader's heap.

On the board it is in ROM. The rest of it is in `_machine`, which is loaded when something of it is first named.
"""

import _bench
from micropython import RingIO, const

_I2C = const(2)
_ADC = const(3)
_RESET = const(8)
_PIN = const(128)
_PWM = const(129)
_UART_TX = const(130)
_WATCHDOG = const(134)
_PIN_MODE = const(135)
_UART_SETUP = const(136)
_FREQ = const(140)
_EVENT_PIN = const(2)
_EVENT_UART = const(3)

PWRON_RESET = const(1)
HARD_RESET = const(2)
WDT_RESET = const(3)
DEEPSLEEP_RESET = const(4)
SOFT_RESET = const(5)

irqs = {}  # GPIO -> (handler, trigger, Pin)
uarts = {}
_woken = False


def __getattr__(name):
    import _machine

    return getattr(_machine, name)


class Part:
    """What every class here has: its rarer methods, as functions of `_machine` named class_method."""

    def __getattr__(self, name):
        import _machine

        method = getattr(_machine, type(self).__name__ + "_" + name)
        return lambda *arguments, **options: method(self, *arguments, **options)


class Pin(Part):
    IN = const(1)
    OUT = const(3)
    PULL_UP = const(2)
    IRQ_RISING = const(1)
    IRQ_FALLING = const(2)

    def __init__(self, id, mode=-1, pull=0, value=None):
        if not 0 <= id <= 48 or 22 <= id <= 25:
            raise ValueError("invalid pin")
        self.id = id
        if value is not None:
            self.value(value)
        if mode != -1:
            _bench.send(_PIN_MODE, "BBB", id, mode, pull or 0)

    def value(self, level=None):
        id = self.id
        if level is None:
            _bench.look()
            return _bench.levels[id]
        _bench.levels[id] = level = 1 if level else 0
        # A pixel clock has this 256 times a frame: no tuple of arguments for the collector.
        at = _bench.room(2)
        _bench.out[at] = id
        _bench.out[at + 1] = level
        _bench.post(_PIN, 2)

    __call__ = value

    def irq(self, handler, trigger=3):
        irqs[self.id] = (handler, trigger, self)


def _on_pin(data, n):
    global _woken
    pin, level = data[0], data[1]
    if _bench.levels[pin] != level:
        _bench.levels[pin] = level
        irq = irqs.get(pin)
        if irq:
            _woken = True
            if irq[0] and irq[1] & (1 if level else 2):
                irq[0](irq[2])


class ADC(Part):
    ATTN_11DB = const(3)

    def __init__(self, pin, atten=0):
        self.id = pin.id
        self.atten = atten

    def get(self):
        """Convert into `code`: 12 bits, then the calibrated microvolts; about 40 us on this chip."""
        at = _bench.room(2)
        _bench.out[at] = self.id
        _bench.out[at + 1] = self.atten
        _bench.call(_ADC, 2, None, code)
        _bench.charge(40)

    def read_u16(self):
        self.get()
        raw = code[0] | code[1] << 8
        return raw << 4 | raw >> 8

    def read_uv(self):
        self.get()
        return _bench.struct.unpack_from("<I", code, 2)[0]


code = bytearray(6)


class PWM(Part):
    def __init__(self, pin, freq=5000, duty_u16=32768):
        self.id = pin.id
        self.hz = freq
        self.duty = duty_u16
        self.send()

    def send(self):
        if not 0 <= self.duty <= 65535 or not 1 <= self.hz <= 40000000:
            raise ValueError("frequency from 1Hz to 40MHz, duty_u16 from 0 to 65535")
        _bench.send(_PWM, "<BIH", self.id, self.hz, self.duty)

    def freq(self, hz):
        self.hz = hz
        self.send()

    def duty_u16(self, duty):
        self.duty = duty
        self.send()


class I2C(Part):
    def __init__(self, id=0, scl=None, sda=None, freq=400000):
        self.hz = freq

    def do(self, addr, count, into, head=b"", body=b""):
        """One transaction: write head and body if there are any, then read `count` bytes. 9 clocks a byte."""
        answer = _bench.ask(_I2C, "<BH%ds" % len(head), addr, count, head, data=body, into=into)
        _bench.charge((len(head) + len(body) + count + 2) * 9000000 // self.hz)
        return answer

    def writeto(self, addr, buf):
        self.do(addr, 0, None, b"", buf)
        return len(buf)

    def readfrom_into(self, addr, buf):
        self.do(addr, len(buf), buf)

    def writeto_mem(self, addr, memaddr, buf):
        self.do(addr, 0, None, bytes((memaddr,)), buf)

    def readfrom_mem_into(self, addr, memaddr, buf):
        self.do(addr, len(buf), buf, bytes((memaddr,)))


class UART(Part):
    def __init__(self, id, baudrate=115200, tx=None, rx=None, rxbuf=256):
        self.id = id
        self.ring = RingIO(rxbuf + 1)
        self.size = rxbuf
        uarts[id] = self
        _bench.send(_UART_SETUP, "<BI", id, baudrate)

    def any(self):
        _bench.tick()
        return self.ring.any()

    def readinto(self, buf):
        return self.ring.readinto(buf) if self.any() else None

    def write(self, buf):
        _bench.send(_UART_TX, "B%ds" % len(buf), self.id, buf)


def _on_uart(data, n):
    uart = uarts.get(data[0])
    if uart:
        free = uart.size - uart.ring.any()  # what does not fit is lost, as in the driver's buffer
        uart.ring.write(data[1 : 1 + min(free, n - 1)])


_bench.handlers[_EVENT_PIN] = _on_pin
_bench.handlers[_EVENT_UART] = _on_uart


class WDT:
    def __init__(self, id=0, timeout=5000):
        self.timeout = timeout
        self.feed()

    def feed(self):
        _bench.alarms["wdt"] = [_bench.now() + self.timeout * 1000, 0, lambda: end(_RESET, WDT_RESET)]
        _bench.send(_WATCHDOG, "<I", self.timeout)


def end(operation, cause, ms=0):
    """Tell the bench how this run ends, and end it."""
    _bench.ask(operation, "<BI", cause, ms)
    _bench.sys.exit(0)


def reset():
    end(_RESET, HARD_RESET)


def lightsleep(time_ms=-1):
    global _woken
    _woken = False
    until = _bench.now() + time_ms * 1000
    while not _woken:
        left = until - _bench.now() if time_ms >= 0 else -1
        if time_ms >= 0 and left <= 0:
            return
        _bench.wait(left)


def freq(hz):
    if hz not in (20000000, 40000000, 80000000, 160000000, 240000000):
        raise ValueError("frequency must be 20MHz, 40MHz, 80Mhz, 160MHz or 240MHz")
    _bench.send(_FREQ, "<I", hz)


def reset_cause():
    return _bench.hello[57]

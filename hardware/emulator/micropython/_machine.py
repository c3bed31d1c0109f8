"""The rest of `machine`: what the reader does without, loaded when it is first named (see `machine`)."""

import time

import _bench
import machine
from micropython import const

_DEEPSLEEP = const(9)
_RESET = const(8)
_UART_SETUP = const(136)
_WALL = const(137)

PIN_WAKE = const(2)
EXT0_WAKE = const(2)
EXT1_WAKE = const(3)
TIMER_WAKE = const(4)


def Pin_on(pin):
    pin.value(1)


def Pin_off(pin):
    pin.value(0)


def ADC_read(adc):
    adc.get()
    return machine.code[0] | machine.code[1] << 8


def PWM_init(pwm, freq=None, duty_u16=None, duty=None):
    if freq is not None:
        pwm.hz = freq
    if duty is not None:
        duty_u16 = duty << 6
    if duty_u16 is not None:
        pwm.duty = duty_u16
    pwm.send()


def PWM_deinit(pwm):
    pwm.duty_u16(0)


def I2C_scan(i2c):
    found = []
    for addr in range(8, 0x78):
        try:
            i2c.do(addr, 0, None)
            found.append(addr)
        except OSError:
            pass
    return found


def I2C_readfrom(i2c, addr, nbytes):
    return i2c.do(addr, nbytes, None)


def I2C_readfrom_mem(i2c, addr, memaddr, nbytes):
    return i2c.do(addr, nbytes, None, bytes((memaddr,)))


def UART_init(uart, baudrate=115200):
    _bench.send(_UART_SETUP, "<BI", uart.id, baudrate)


def UART_deinit(uart):
    machine.uarts.pop(uart.id, None)


def UART_read(uart, n=-1):
    if not uart.any():
        return None
    return uart.ring.read() if n < 0 else uart.ring.read(n)


class Timer:
    ONE_SHOT = const(0)
    PERIODIC = const(1)

    def __init__(self, id, mode=1, period=-1, callback=None):
        self.id = id
        us = period * 1000
        if callback:
            _bench.alarms["t", id] = [_bench.now() + us, us if mode else 0, lambda: callback(self)]

    def deinit(self):
        _bench.alarms.pop(("t", self.id), None)


class RTC:
    def datetime(self, parts=None):
        if parts is None:
            us = time.time_ns() // 1000
            t = time.gmtime(us // 1000000)
            return (t[0], t[1], t[2], t[6], t[3], t[4], t[5], us % 1000000)
        seconds = time.mktime((parts[0], parts[1], parts[2], parts[4], parts[5], parts[6]))
        time.set_wall(seconds * 1000000 + parts[7])
        _bench.send(_WALL, "<q", time.wall)


def soft_reset():
    machine.end(_RESET, machine.SOFT_RESET)


def deepsleep(time_ms=0):
    machine.end(_DEEPSLEEP, machine.DEEPSLEEP_RESET, time_ms)


def wake_reason():
    return _bench.hello[72]


def unique_id():
    return bytes(_bench.hello[58:64])

"""Does what it is told over the scanner's line, and says on the console what the hardware answered."""

import time

import machine
from machine import ADC, I2C, PWM, RTC, UART, WDT, Pin, Timer
from neopixel import NeoPixel

import board

i2c = I2C(0, scl=Pin(board.I2C_SCL), sda=Pin(board.I2C_SDA), freq=400000)
uart = UART(board.SCANNER_UART, board.SCANNER_BAUD, tx=board.SCANNER_TX, rx=board.SCANNER_RX)
button = Pin(board.BUTTON_A, Pin.IN, Pin.PULL_UP)


def command_scan():
    print("scan", i2c.scan())


def command_nobody():
    try:
        i2c.writeto(0x11, b"x")
    except OSError as error:
        print("nobody", error.errno)


def command_mux(channel):
    i2c.writeto(board.I2C_MUX, bytes((1 << int(channel),)))
    print("mux", board.I2C_SPECTRAL in i2c.scan())


def command_gauge():
    cell = i2c.readfrom_mem(board.I2C_GAUGE, 2, 2)
    charge = i2c.readfrom_mem(board.I2C_GAUGE, 4, 2)
    print("gauge", (cell[0] << 8 | cell[1]) * 78125 // 1000000, charge[0])


def command_rtc():
    print("rtc", i2c.readfrom_mem(board.I2C_RTC, 2, 7).hex())


def command_setrtc(digits):
    i2c.writeto_mem(board.I2C_RTC, 2, bytes([int(digits[i : i + 2], 16) for i in range(0, len(digits), 2)]))


def command_array(integration_ms):
    led = PWM(Pin(board.STRIP_LED), freq=20000, duty_u16=65535)
    si, clk = Pin(board.ARRAY_SI, Pin.OUT, value=0), Pin(board.ARRAY_CLK, Pin.OUT, value=0)
    adc = ADC(Pin(board.ARRAY_AO), atten=ADC.ATTN_11DB)

    def flush():
        si.value(1)
        clk.value(1)
        si.value(0)
        for _ in range(128):
            clk.value(0)
            clk.value(1)
        clk.value(0)

    def read():
        values = []
        si.value(1)
        clk.value(1)
        si.value(0)
        for _ in range(128):
            values.append(adc.read_uv() // 1000)
            clk.value(0)
            clk.value(1)
        clk.value(0)
        return values

    flush()
    time.sleep_ms(int(integration_ms))
    values = read()
    led.duty_u16(0)
    print("array", values)


def command_ntc():
    print("ntc", ADC(Pin(board.NTC), atten=ADC.ATTN_11DB).read_u16())


def command_heat(duty):
    PWM(Pin(board.HEATER), freq=1000, duty_u16=int(duty))


def command_glow(integration):
    PWM(Pin(board.WELL_LED), freq=20000, duty_u16=65535)
    i2c.writeto(board.I2C_MUX, b"\x01")
    at = board.I2C_SPECTRAL
    i2c.writeto_mem(at, 0x80, b"\x01")
    i2c.writeto_mem(at, 0xAF, b"\x10")
    i2c.writeto_mem(at, 0x00, b"\x30\x01\x00\x00\x00\x42\x00\x00\x50\x00\x00\x00\x20\x04\x00\x30\x01\x50\x00\x06")
    i2c.writeto_mem(at, 0x80, b"\x11")
    i2c.writeto_mem(at, 0x81, bytes((int(integration),)))
    i2c.writeto_mem(at, 0x80, b"\x03")
    waited = 0
    while not i2c.readfrom_mem(at, 0xA3, 1)[0] & 0x40:
        time.sleep_ms(5)
        waited += 5
    data = i2c.readfrom_mem(at, 0x94, 13)
    print("glow", waited, [data[i] | data[i + 1] << 8 for i in range(1, 13, 2)])


def command_clock():
    print("clock", time.time(), time.localtime()[:6], len(time.localtime()))


def command_setclock():
    RTC().datetime((2026, 3, 4, 2, 5, 6, 7, 0))
    print("set", RTC().datetime()[:7], time.time())


def command_sleep(ms):
    before = time.ticks_us()
    time.sleep_ms(int(ms))
    print("slept", time.ticks_diff(time.ticks_us(), before))


def command_timer():
    ticks = []
    timer = Timer(0, mode=Timer.PERIODIC, period=100, callback=lambda t: ticks.append(time.ticks_ms()))
    time.sleep_ms(1050)
    timer.deinit()
    print("timer", len(ticks))


def command_button():
    edges = []
    button.irq(lambda pin: edges.append(pin.value()), Pin.IRQ_FALLING | Pin.IRQ_RISING)
    print("button")
    while len(edges) < 2:
        time.sleep_ms(10)
    print("edges", edges)


def command_live():
    lid = Pin(board.LID, Pin.IN)
    adc = ADC(Pin(board.NTC))
    seen = []
    for _ in range(40):
        lid.value()
        adc.read_u16()  # the test turns the lid before this is answered
        seen.append(lid.value())
    print("live", seen)


def command_lights():
    led = NeoPixel(Pin(board.STATUS_LED), 1)
    led[0] = (1, 2, 3)
    led.write()
    PWM(Pin(board.BUZZER), freq=2000, duty_u16=32768)
    time.sleep_ms(5)
    print("lights")


def command_watchdog():
    WDT(timeout=1000)
    print("watching")
    while True:
        time.sleep_ms(100)


def command_reset():
    machine.reset()


def command_deepsleep(ms):
    machine.deepsleep(int(ms))


def command_write(name):
    with open(name, "w") as file:
        file.write("kept")
    print("written")


def command_read(name):
    with open(name) as file:
        print("read", file.read())


def command_boom():
    raise ValueError("boom")


def command_show(text):
    import framebuf

    buffer = bytearray(1024)
    picture = framebuf.FrameBuffer(buffer, 128, 64, framebuf.MONO_VLSB)
    for i, line in enumerate(text.split("|")):
        picture.text(line, 0, 8 * i)
    i2c.writeto(board.I2C_OLED, b"\x00\xae\x20\x00\x21\x00\x7f\x22\x00\x07\x8d\x14\xa1\xc8\xa6\xaf")
    i2c.writeto(board.I2C_OLED, b"\x40" + buffer)


print("ready", machine.reset_cause(), machine.unique_id().hex())
line = b""
while True:
    data = uart.read()
    if data is None:
        time.sleep_ms(10)
        continue
    line += data
    while b"\r\n" in line:
        at = line.index(b"\r\n")
        words, line = line[:at].decode().split(" "), line[at + 2 :]
        globals()["command_" + words[0]](*words[1:])

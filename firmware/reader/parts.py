"""Puts the board together: every driver on its pins, in one object that the rest of the firmware is given."""

import board
from machine import ADC, I2C, PWM, UART, Pin
from neopixel import NeoPixel

from reader.buttons import Buttons
from reader.drivers.as7341 import AS7341
from reader.drivers.buzzer import Buzzer
from reader.drivers.lamp import HZ, Lamp
from reader.drivers.max17048 import MAX17048
from reader.drivers.ntc import NTC
from reader.drivers.pcf8563 import PCF8563
from reader.drivers.scanner import Scanner
from reader.drivers.ssd1306 import SSD1306
from reader.drivers.tca9548a import TCA9548A
from reader.drivers.tsl1401 import TSL1401
from reader.heater import Heater
from reader.power import Battery
from reader.screen import Screen

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HEATER_HZ = 1000
_STRIP_LAMP_DUTY = 49152  # with the pulse of striptest, white is at 85 % of the converter's range
_WELL_LAMP_DUTY = 65535


class Parts:
    """Drivers only; nothing is measured or moved until asked, and heater and lamps are off."""

    def __init__(self):
        self.ntc = NTC(ADC(Pin(board.NTC), atten=ADC.ATTN_11DB))
        self.cutout = Pin(board.HEATER_CUTOUT, Pin.IN)
        self.heater = Heater(PWM(Pin(board.HEATER), freq=_HEATER_HZ, duty_u16=0), self.ntc, self.cutout)
        i2c = I2C(0, scl=Pin(board.I2C_SCL), sda=Pin(board.I2C_SDA), freq=400000)
        self.screen = Screen(SSD1306(i2c, board.I2C_OLED), NeoPixel(Pin(board.STATUS_LED), 1))
        self.mux = TCA9548A(i2c, board.I2C_MUX)
        self.spectral = AS7341(i2c, board.I2C_SPECTRAL)
        self.gauge = MAX17048(i2c, board.I2C_GAUGE)
        self.battery = Battery(self.gauge)
        self.chip = PCF8563(i2c, board.I2C_RTC)
        self.clock: "Any" = None  # set by the app, which knows the boot id
        self.buttons = Buttons(*[Pin(n, Pin.IN, Pin.PULL_UP) for n in _SWITCHES])
        self.array = TSL1401(
            ADC(Pin(board.ARRAY_AO), atten=ADC.ATTN_11DB), Pin(board.ARRAY_SI, Pin.OUT), Pin(board.ARRAY_CLK, Pin.OUT)
        )
        self.strip_lamp = Lamp(PWM(Pin(board.STRIP_LED), freq=HZ, duty_u16=0), _STRIP_LAMP_DUTY)
        self.well_lamp = Lamp(PWM(Pin(board.WELL_LED), freq=HZ, duty_u16=0), _WELL_LAMP_DUTY)
        self.buzzer = Buzzer(PWM(Pin(board.BUZZER), freq=2700, duty_u16=0))
        self.scanner = Scanner(
            UART(board.SCANNER_UART, board.SCANNER_BAUD, tx=board.SCANNER_TX, rx=board.SCANNER_RX, rxbuf=256)
        )

    def dark(self):
        """Heater and lamps off, whatever is under way."""
        self.heater.stop()
        self.strip_lamp.off()
        self.well_lamp.off()


_SWITCHES = (board.BUTTON_A, board.BUTTON_B, board.LID, board.STRIP_PRESENT)

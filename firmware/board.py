"""The board's pin map and bus addresses: ESP32-S3-WROOM-1 (N16R8).

One place for every number that the circuit decides; drivers take theirs from here. GPIO 26 to 37 belong to the module's
flash and octal PSRAM, 0, 3, 45 and 46 are straps, 19 and 20 are USB, so none of them appears (ESP32-S3-WROOM-1
datasheet v1.4, table 3). Analogue inputs are on ADC1, which works while the radio is on.

Made from the circuit in hardware/board by `python -m circuit generate`: change it there.
"""

from micropython import const

# Linear array, TSL1401 class: 128 pixels, clocked out one a CLK after SI (TAOS TSL1401 datasheet, figure 1).
ARRAY_AO = const(4)  # ADC1_CH3
ARRAY_SI = const(6)
ARRAY_CLK = const(7)
STRIP_LED = const(15)  # green, PWM

# Amplification block.
NTC = const(5)  # ADC1_CH4: divider, 10 kohm 1 % to 3.3 V above, 10 kohm B3950 NTC to ground below
WELL_LED = const(16)  # blue, both wells, PWM
HEATER = const(17)  # MOSFET gate, PWM; low is off
HEATER_CUTOUT = const(47)  # input, high when the hardware thermal cut-out has opened

# People.
BUTTON_A = const(13)  # left button: active low, pull-up
BUTTON_B = const(14)  # right button: active low, pull-up
LID = const(21)  # low when the lid is closed, pull-up
STRIP_PRESENT = const(48)  # low when a cassette is in the tray, pull-up
BUZZER = const(18)  # PWM
STATUS_LED = const(38)  # one WS2812

# I2C bus 0, 400 kHz.
I2C_SDA = const(8)
I2C_SCL = const(9)
I2C_OLED = const(0x3C)  # SSD1306, 128 x 64
I2C_MUX = const(0x70)  # TCA9548A
I2C_GAUGE = const(0x36)  # MAX17048
I2C_RTC = const(0x51)  # PCF8563
I2C_SPECTRAL = const(0x39)  # AS7341, one on each of two multiplexer channels
MUX_SAMPLE = const(0)  # multiplexer channel of the sample well
MUX_CONTROL = const(1)  # multiplexer channel of the internal-control well

# Scanner, GM65 class, UART 1 at 9600 baud, 8N1; each code ends with CR LF.
SCANNER_UART = const(1)
SCANNER_TX = const(11)
SCANNER_RX = const(12)
SCANNER_BAUD = const(9600)

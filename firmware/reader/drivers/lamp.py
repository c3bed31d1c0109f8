"""LED on a PWM pin: a level while it is lit, and surely off after."""

from micropython import const

HZ = const(20000)  # far above the sensors' integration rates


class Lamp:
    """Use as a context manager: lit inside, off outside, whatever happened."""

    def __init__(self, pwm, duty_u16):
        self._pwm = pwm
        self._duty = duty_u16
        pwm.duty_u16(0)

    def on(self):
        self._pwm.duty_u16(self._duty)

    def off(self):
        self._pwm.duty_u16(0)

    def __enter__(self):
        self.on()
        return self

    def __exit__(self, kind, error, trace):
        self.off()

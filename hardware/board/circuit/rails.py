"""The rails by name, and between what voltages each stands in use."""

GND = "GND"
VBUS_IN = "VBUS_IN"  # at the socket, before the fuse
VBUS = "VBUS"
CELL_PLUS = "CELL+"  # before the fuse
CELL_MINUS = "CELL-"  # before the protection's switch
BAT = "BAT"
VSYS = "VSYS"
V3 = "3V3"
V1 = "1V8"
V5 = "5V"
VCLOCK = "VCLOCK"
VCOIN = "VCOIN"
VLED = "VLED"
GUARD_VCC = "GUARD_VCC"  # the protection's own, through 100 ohm
HEAT_FEED = "HEAT_FEED"  # 5 V after the thermal cut-out

# Lowest and highest volts against GND. VSYS: the cell while there is no USB, 4.4 V by the charger while there is.
VOLTS: dict[str, tuple[float, float]] = {
    VBUS_IN: (4.75, 5.5),
    VBUS: (4.65, 5.5),
    CELL_PLUS: (2.5, 4.35),
    GUARD_VCC: (2.5, 4.35),
    BAT: (2.5, 4.35),
    VSYS: (2.5, 4.5),
    V3: (3.2, 3.4),
    V1: (1.76, 1.84),
    V5: (4.8, 5.1),
    VCLOCK: (2.3, 3.3),
    VCOIN: (2.5, 3.3),
    VLED: (4.0, 4.6),
    HEAT_FEED: (4.8, 5.1),
}

"""Every dimension of the reader's enclosure, in millimetres, and what follows from them. No geometry library is needed.

x runs from the loading bay on the left to the antenna on the right, y from the front to the back, z up; the origin is
the outer corner of the base at the front left. Sizes of bought parts are nominal; where a drawing was read it is named.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Screws:
    """Screws of one kind in one place: what they go through, and how deep the hole is that holds them, mm."""

    what: str
    size: str
    count: int
    length: float
    through: float
    hole: float

    @property
    def hold(self) -> float:
        """How much of the screw is in its hole."""
        return self.length - self.through


@dataclass(frozen=True)
class Dimensions:
    """The enclosure. Change a value here and nowhere else; `make test-hardware` says whether it still goes together."""

    # The box: a low bay on the left under the lid, the head with everything else on the right.
    width: float = 140.0
    depth: float = 104.0
    head_height: float = 58.0
    lid_height: float = 36.0
    bay_width: float = 34.0
    wall: float = 2.4
    floor: float = 3.0
    gap: float = 0.4  # between parts that move or are laid together
    fit: float = 0.3  # about a part that is pushed in by hand
    rim: float = 2.0  # thickness of the wall that stands inside the lid's
    rim_height: float = 4.0  # how far it overlaps the lid: the light trap
    skirt: float = 5.0  # how far the lid's back reaches below its top

    # Printing (0.4 mm nozzle).
    least_wall: float = 1.2
    widest_bridge: float = 13.5  # mm of ceiling that a printer lays in the air
    thread_2_5: float = 2.1  # hole that an M2.5 screw cuts its thread in
    through_2_5: float = 2.8
    insert_3: float = 4.0  # hole for a heat-set M3 insert
    through_3: float = 3.4
    screw_shell: float = 8.0  # lengths, heads countersunk where they go through the floor
    screw_strip: float = 20.0
    screw_wells: float = 8.0
    screw_board: float = 6.0

    # The cassette: 70 x 20 mm; its window is read from the sample end (drawing of the usual housing, to be measured).
    cassette_length: float = 70.0
    cassette_width: float = 20.0
    cassette_height: float = 5.0
    cassette_left: float = 8.0
    cassette_middle: float = 27.0  # y of its axis
    window_middle: float = 40.0  # from the sample end to the middle of the read window
    window_length: float = 16.0
    window_width: float = 4.0
    membrane_below_top: float = 1.5
    membrane_tolerance: float = 0.3  # how far a cassette's membrane may lie above or below its place
    sample_port: float = 14.0  # from the sample end to the middle of the sample port
    tray_floor: float = 7.4  # z that the cassette lies on
    tray_side: float = 2.7
    tray_left: float = 12.0
    tray_end: float = 2.0

    # Strip optics (ams TSL1401CL v1-00: 128 pixels, 63.5 um apart and 55.5 um high).
    array_pixels: int = 128
    pixel_pitch: float = 0.0635
    pixel_height: float = 0.0555
    lens_focal: float = 8.0
    lens_aperture: float = 2.0  # f/4
    membrane_to_lens: float = 23.75
    lens_to_array: float = 12.06
    lens_barrel: float = 12.0  # M12 x 0.5
    lens_length: float = 9.0
    array_width: float = 9.4
    array_depth: float = 3.0
    array_height: float = 1.0
    array_board: float = 18.0  # square
    board_thickness: float = 1.6
    tower_half: float = 11.0
    lamp_diameter: float = 3.0
    lamp_length: float = 5.3
    lamp_reach: float = 14.0  # from the middle of the window to the strip lamp's tip, at 45 degrees

    # Tubes: 0.2 ml PCR tubes, two wells one behind the other.
    well_x: float = 20.0
    well_front: float = 62.0
    well_pitch: float = 20.0
    tube_rim_diameter: float = 6.1
    tube_tip_diameter: float = 2.6
    tube_straight: float = 6.0
    tube_length: float = 17.0
    tube_cap_diameter: float = 8.0
    tube_cap_height: float = 3.5
    tube_slack: float = 0.1  # about a tube in its bore
    tube_tip: float = 11.0  # z of the tube's tip
    block_x: float = 11.0
    block_y: float = 30.0
    block_z: float = 12.0
    block_bottom: float = 9.8
    carrier_wall: float = 2.0
    carrier_left: float = 5.4  # the wall that holds the blue LEDs
    carrier_roof: float = 2.0
    insulation: float = 1.0  # still air around the block
    aperture: float = 2.4  # light path into and out of a tube
    sensor_board: float = 9.6  # the AS7341's board is square
    sensor_board_thickness: float = 1.0
    sensor_x: float = 3.1  # AS7341: 3.1 x 2.0 x 1.0 (ams DS000504, package drawing)
    sensor_y: float = 2.0
    sensor_height: float = 1.0
    heater_thickness: float = 1.2  # polyimide film and its pressure pad
    heater_y: float = 26.0
    heater_z: float = 10.0
    excitation_z: float = 15.5  # height of the blue LEDs
    cutout_x: float = 7.0  # KSD9700: 17 x 7 x 3.5, on end
    cutout_y: float = 3.5
    cutout_z: float = 17.0

    # Electronics.
    board_x: float = 82.0
    board_y: float = 17.0
    board_width: float = 48.0
    board_depth: float = 63.0
    tab_x: float = 114.0  # its tab to the USB opening, past the cell
    tab_depth: float = 21.0
    board_z: float = 7.0
    module_length: float = 25.5  # ESP32-S3-WROOM-1 datasheet, physical dimensions: 18 x 25.5 x 3.1
    module_width: float = 18.0
    module_height: float = 3.1
    module_antenna: float = 6.0  # its end without ground
    module_middle: float = 58.0  # y
    antenna_clear: float = 15.0  # to metal on either side and ahead (Espressif's hardware design guidelines)
    usb_x: float = 122.0
    usb_width: float = 9.0
    usb_height: float = 3.2
    usb_depth: float = 7.4
    plug_width: float = 13.0  # opening for the plug's overmould
    plug_height: float = 7.5
    buzzer_x: float = 92.0
    buzzer_y: float = 26.0
    buzzer_side: float = 12.0  # Murata PKLCS1212E: 12 x 12 x 3
    buzzer_height: float = 3.0
    cell_x: float = 43.5
    cell_y: float = 91.5  # axis
    cell_diameter: float = 18.6  # an 18650 cell in its sleeve
    cell_length: float = 68.0  # with its protection or end caps
    cell_pad: float = 0.5

    # What a person sees and touches.
    panel_x: float = 74.0
    panel_y: float = 31.0
    panel_width: float = 54.0
    panel_depth: float = 60.0
    panel_below_roof: float = 7.0
    screen_y: float = 72.0
    screen_board: float = 27.5  # 0.96 inch module, square
    screen_window_x: float = 24.0
    screen_window_y: float = 13.0
    pane: float = 1.0
    pane_lip: float = 1.5
    button_y: float = 43.0
    button_apart: float = 26.0
    button_diameter: float = 10.0
    button_proud: float = 1.5
    button_flange: float = 1.2
    switch_side: float = 6.0
    switch_height: float = 3.5
    scanner_x: float = 106.0
    scanner_z: float = 31.0
    scanner_width: float = 21.4  # GM65-S user manual V1.3: 21.4 x 13.5 x 11.8
    scanner_depth: float = 13.5
    scanner_height: float = 11.8
    scanner_window_x: float = 18.0
    scanner_window_z: float = 10.0

    # The lid's hinge, magnets and switch.
    hinge_out: float = 4.0  # axis behind the back
    hinge_radius: float = 3.5
    pin: float = 2.0
    lid_opens: float = 100.0  # degrees
    magnet: float = 5.0
    magnet_thickness: float = 2.0
    lid_switch_x: float = 22.0
    lid_switch_length: float = 12.8  # subminiature snap-action switch: 12.8 x 5.8 x 6.5, its lever above
    lid_switch_depth: float = 5.8
    lid_switch_height: float = 6.5
    lid_switch_lever: float = 1.2  # height of the pressed lever

    @property
    def inside(self) -> float:
        """From the lid's outer face to the inner face of the rim."""
        return self.wall + self.gap + self.rim

    @property
    def lid_ceiling(self) -> float:
        """Height of the lid's underside."""
        return self.lid_height - self.wall

    @property
    def roof(self) -> float:
        """Height of the underside of the head's roof."""
        return self.head_height - self.wall

    @property
    def hinge_y(self) -> float:
        """Axis of the lid."""
        return self.depth + self.hinge_out

    @property
    def hinge_z(self) -> float:
        """Axis of the lid: level with the skirt's edge, so that no point of the lid moves towards the back wall."""
        return self.lid_ceiling - self.skirt

    @property
    def optical_x(self) -> float:
        """Where the array's axis meets the window's middle."""
        return self.cassette_left + self.window_middle

    @property
    def cassette_right(self) -> float:
        """The end that goes in first."""
        return self.cassette_left + self.cassette_length

    @property
    def cassette_top(self) -> float:
        """Height of the cassette's upper face."""
        return self.tray_floor + self.cassette_height

    @property
    def tray_top(self) -> float:
        """Height of the tray's sides, which the tower stands on."""
        return self.cassette_top + 2 * self.fit

    @property
    def membrane_z(self) -> float:
        """Height of the membrane."""
        return self.cassette_top - self.membrane_below_top

    @property
    def lens_z(self) -> float:
        """Height of the lens's principal plane."""
        return self.membrane_z + self.membrane_to_lens

    @property
    def array_z(self) -> float:
        """Height of the array's light-sensitive face, which looks down."""
        return self.lens_z + self.lens_to_array

    @property
    def wells(self) -> tuple[float, float]:
        """y of the sample's well and of the internal control's."""
        return (self.well_front, self.well_front + self.well_pitch)

    @property
    def block_middle(self) -> float:
        """y of the block's middle."""
        return self.well_front + self.well_pitch / 2

    @property
    def block_top(self) -> float:
        """Height of the block's upper face, under the carrier's roof."""
        return self.block_bottom + self.block_z

    @property
    def tray_span(self) -> tuple[float, float]:
        """y of the tray's outer faces, and of the tower's foot."""
        half = self.cassette_width / 2 + self.fit + self.tray_side
        return (self.cassette_middle - half, self.cassette_middle + half)

    @property
    def tray_right(self) -> float:
        """The tray's end: the cassette stops against it."""
        return self.cassette_right + self.fit + self.tray_end

    @property
    def tray_ears(self) -> tuple[tuple[tuple[float, float], tuple[float, float]], ...]:
        """(x, y) limits of the four places where tray and tower are screwed to the base."""
        low, high = self.tray_span
        along = (self.optical_x - 3.5, self.optical_x + 3.5), (self.tray_right - 8.3, self.tray_right - 1.3)
        return tuple((x, y) for x in along for y in ((low - 6.0, low), (high, high + 6.0)))

    @property
    def shell_screws(self) -> tuple[tuple[float, float], ...]:
        """(x, y) of the four M3 screws between base and shell."""
        left, right = self.bay_width + self.wall + 3.0, self.width - self.wall - 3.0
        return tuple((x, y) for x in (left, right) for y in (self.wall + 3.0, self.depth - self.wall - 3.0))

    @property
    def board_screws(self) -> tuple[tuple[float, float], ...]:
        """(x, y) of the main board's four M2.5 screws; the fourth is where the tab begins."""
        x, y, back = self.board_x, self.board_y, self.board_y + self.board_depth
        return ((x + 4, y + 4), (x + self.board_width - 4, y + 4), (x + 4, back - 4), (self.tab_x + 4, back + 4))

    @property
    def panel_screws(self) -> tuple[tuple[float, float], ...]:
        """(x, y) of the panel's four M2.5 screws."""
        x, y = self.panel_x, self.panel_y
        return tuple((u, v) for u in (x + 4, x + self.panel_width - 4) for v in (y + 4, y + self.panel_depth - 4))

    @property
    def panel_middle(self) -> float:
        """x of screen and buttons."""
        return self.panel_x + self.panel_width / 2

    @property
    def buttons(self) -> tuple[tuple[float, float], ...]:
        """(x, y) of button A, left, and button B, right."""
        return tuple((self.panel_middle + side * self.button_apart / 2, self.button_y) for side in (-1, 1))

    @property
    def cavity(self) -> tuple[tuple[float, float], tuple[float, float]]:
        """(x, y) limits of the carrier's inside."""
        x = (
            self.well_x - self.block_x / 2 - self.insulation,
            self.well_x + self.block_x / 2 + self.heater_thickness + 0.4,
        )
        front, back = self.block_middle - self.block_y / 2, self.block_middle + self.block_y / 2
        return x, (front - self.insulation, back + self.cutout_y + 0.6)

    @property
    def carrier_screws(self) -> tuple[tuple[float, float], ...]:
        """(x, y) of the three M2.5 screws that hold the carrier: one in its foot, two in its left wall."""
        x, y = self.cavity
        side = x[0] - self.carrier_left / 2
        return ((self.well_x, y[0] - self.carrier_wall - 2.5), (side, y[0] + 5.0), (side, y[1] - 5.0))

    @property
    def usb_z(self) -> float:
        """Height of the middle of the USB-C receptacle."""
        return self.board_z + self.board_thickness + self.usb_height / 2

    @property
    def panel_top(self) -> float:
        """Height of the upper face of the panel's board."""
        return self.roof - self.panel_below_roof + self.board_thickness

    @property
    def antenna_x(self) -> float:
        """Where the module's antenna begins; it ends at the board's right edge."""
        return self.board_x + self.board_width - self.module_antenna

    @property
    def screws(self) -> tuple[Screws, ...]:
        """Every screw but the two small ones of the array's board and those of the scanner's clamp."""
        ear = self.tray_top - self.floor
        return (
            Screws("shell to base", "M3 countersunk", 4, self.screw_shell, self.floor, 7.0),
            Screws("tray and tower to base", "M2.5 countersunk", 4, self.screw_strip, self.floor + ear, 7.2),
            Screws("wells to base", "M2.5 countersunk", 3, self.screw_wells, self.floor, 7.0),
            Screws("main board", "M2.5", 4, self.screw_board, self.board_thickness, self.board_z - 1.2),
            Screws("panel", "M2.5", 4, self.screw_board, self.board_thickness, self.roof - self.panel_top),
        )

"""The bench a reader is run on without a board: real firmware, in real MicroPython, over emulated parts, flash and air.

    async with Bench() as bench:                      # or Bench(firmware=Path(...), link=LinkModel.ideal(), seed=1)
        reader = await bench.add_reader(speed=60)     # firmware/ is compiled, flashed and started
        await reader.wait_for_text("Ready")           # what a person would see
        reader.scan("SPECIMEN-1")
        await reader.press("A")
        device = await BleakScanner.find_device_by_name("...", backend=bench.scanner)
        async with BleakClient(device, backend=bench.client) as client: ...

A hub in another process opens the air at `bench.radio`: put it into DOORSTEP_RADIO and use `AirScanner` and `AirClient`
of `emulator.backend` as bleak's `backend=`. The flash is mounted at "/", as on the board; the firmware's own files are
read from a compiled image elsewhere, so "/" holds only what the firmware writes. What the firmware prints is in
`reader.console`; an uncaught exception ends its process, and `reader.exit_code` is then 1.
"""

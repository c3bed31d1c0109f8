"""One sentence for the clinician on each reason; apart from `reader.outcome` so that the firmware need not load it."""

# ruff: noqa: E501 - each sentence is one line of the table.

from reader import outcome

SENTENCES = {
    outcome.NONE: "",
    outcome.NO_CONTROL_LINE: "The control line did not appear, so the strip did not run and says nothing about the specimen; repeat with a new cassette.",
    outcome.WEAK_CONTROL_LINE: "The control line was fainter than a sound strip shows, so the test lines cannot be trusted; repeat with a new cassette.",
    outcome.SATURATED: "The sensor was at the end of its range, so line darkness could not be measured; read the cassette again within its window or repeat.",
    outcome.NO_STRIP: "The reader saw an empty tray or a blank surface in place of a strip; no test was read.",
    outcome.STRIP_MOVED: "The lines were not where the cassette puts them, so the strip was not seated or was moved while it was read; repeat.",
    outcome.LIGHT_LEAK: "Outside light reached the sensor while the lamp was off, so line darkness could not be measured; repeat with the lid closed.",
    outcome.BACKGROUND_UNEVEN: "Stain, smear or dust on the membrane was too strong beside a line to measure it; repeat with a new cassette.",
    outcome.GREY_ZONE: "The test line lies between the assay's negative and positive limits; treat as undecided and repeat or confirm by another method.",
    outcome.HIGH_DOSE_HOOK: "A strong test line beside an unusually weak control line suggests more analyte than the strip can bind; repeat with a diluted specimen.",
    outcome.READ_TOO_EARLY: "The strip was read before its incubation had ended, when a positive may not yet show; repeat.",
    outcome.READ_TOO_LATE: "The strip was read after its window had closed, when false lines may appear; repeat.",
    outcome.NOISY_STRIP: "The profile was too noisy to tell a line at the cut-off from none; read again within the window or repeat.",
    outcome.LAMP_FAULT: "The reader's lamp gave too little light to measure the strip; the reader needs service and the test must be repeated on another.",
    outcome.LID_OPENED: "The lid was opened during the test, so the reading cannot be trusted; repeat.",
    outcome.BAD_WHITE_REFERENCE: "The reader's stored white reference was missing or unusable; the reader needs calibration and the test must be repeated on another.",
    outcome.NO_INTERNAL_CONTROL: "Neither the specimen nor the internal control amplified, so inhibition or a failed reaction cannot be told from a negative; repeat.",
    outcome.TEMPERATURE_EXCURSION: "The reaction left its temperature range, so absence or presence of amplification means nothing; repeat.",
    outcome.NOISY_CURVE: "The fluorescence was too noisy to tell amplification from none; repeat.",
    outcome.LATE_RISE: "Amplification began too late in the run to be told from a non-specific product; treat as undecided and repeat.",
    outcome.TOO_FEW_SAMPLES: "The run ended, or lost too many readings, before a curve could be judged; repeat.",
    outcome.DOUBTFUL_CURVE: "The curve rose but not in the shape of amplification; look at the trace, treat as undecided and repeat.",
    outcome.WEAK_RISE: "The rise was between what counts as amplification and what counts as none; treat as undecided and repeat.",
    outcome.POWER_LOST: "The reader lost power before the test was read; nothing can be said of the specimen, repeat.",
    outcome.SENSOR_FAULT: "A sensor of the reader failed during the test; nothing can be said of the specimen, repeat on another reader.",
    outcome.HEATER_FAULT: "The heater failed or was cut out for safety; nothing can be said of the specimen, repeat on another reader.",
    outcome.CANCELLED: "The operator stopped the test before it was read; nothing can be said of the specimen.",
    outcome.ANALYSIS_FAULT: "The reader's analysis stopped on a fault; the raw trace is kept, but nothing can be said of the specimen, repeat.",
    outcome.STORAGE_FAULT: "The reader could not store the test safely; nothing can be said of the specimen, repeat on another reader.",
    outcome.BATTERY_LOW: "The battery ran too low to finish the test; nothing can be said of the specimen, repeat after charging.",
    outcome.AMBIENT_TEMPERATURE: "While the strip incubated the surroundings left the temperature range that the assay allows, where its lines may come too weak or false; repeat within it.",
}  # fmt: skip

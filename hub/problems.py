"""The problems a person can meet at the hub: a stable code, a sentence, and what to do next."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kind:
    """`sentence` may name `{subject}` (a reader, a server) and `{detail}`."""

    code: str
    sentence: str
    next_step: str


@dataclass(frozen=True, slots=True)
class Problem:
    """One problem that stands. Times are Unix ms by the laptop's clock."""

    code: str
    subject: str
    detail: str
    since_ms: int
    last_ms: int
    count: int

    @property
    def sentence(self) -> str:
        return say(self.code, self.subject, self.detail)

    @property
    def next_step(self) -> str:
        return KINDS[self.code].next_step


_ALL = (
    # the laptop
    Kind(
        "not-enrolled",
        "This laptop is not enrolled with a server.",
        "Run: doorstep hub enrol CODE --server ADDRESS --name NAME.",
    ),
    Kind("no-adapter", "This laptop has no Bluetooth radio that can be used.", "Plug in a Bluetooth adapter."),
    Kind("adapter-off", "Bluetooth is switched off.", "Switch Bluetooth on."),
    Kind(
        "no-permission",
        "This laptop does not let Doorstep use Bluetooth.",
        "Allow Bluetooth for this program in the system's settings.",
    ),
    Kind("radio-failed", "Bluetooth stopped working: {detail}", "Switch Bluetooth off and on. Doorstep keeps trying."),
    Kind("clock-wrong", "The laptop's clock is wrong by {detail}.", "Set the date and time."),
    Kind(
        "disk-full",
        "The disk is full. Nothing more is taken from readers until there is room.",
        "Delete files you do not need.",
    ),
    Kind(
        "disk-nearly-full",
        "The disk is nearly full: {detail}",
        "Delete files you do not need. Nothing is taken from readers once it is full.",
    ),
    Kind("store-read-only", "The hub's data folder cannot be written.", "Check the folder's permissions and the disk."),
    Kind(
        "store-damaged",
        "The hub's database was damaged and was moved aside to {detail}.",
        "Keep the laptop near the readers: they offer what they hold again. Give the moved file to an engineer.",
    ),
    Kind(
        "store-version",
        "The hub's database is of another version of Doorstep.",
        "Run: doorstep hub run. If it says that the database is newer, update Doorstep on this laptop.",
    ),
    Kind(
        "no-bluetooth-service",
        "The system's Bluetooth service does not answer: {detail}",
        "Install and start BlueZ, such as by: sudo apt-get install bluez; sudo systemctl enable --now bluetooth",
    ),
    Kind("bluez-too-old", "BlueZ is too old: {detail}", "Update the laptop's system."),
    Kind(
        "key-exposed",
        "Other people of this laptop may read the hub's key.",
        "Run: chmod 600 on the files named, then ask the programme for a new code and enrol again.",
    ),
    Kind("folder-exposed", "Other people of this laptop may look into the hub's data folder.", "Make it private."),
    Kind("hub-stopped", "The hub's service does not run.", "Run: systemctl --user restart doorstep-hub.service"),
    Kind("check-failed", "A check could not be made: {detail}", "Give this line to an engineer."),
    # the server
    Kind(
        "proxy-in-the-way",
        "A proxy stands between this laptop and the server: {detail}",
        "If this network needs none, unset HTTP_PROXY, HTTPS_PROXY and ALL_PROXY, or name the server in NO_PROXY.",
    ),
    Kind(
        "server-unreachable",
        "The server cannot be reached: {detail}",
        "Nothing is lost. Connect to a network when there is one.",
    ),
    Kind(
        "network-in-the-way",
        "Something other than the server answered: {detail}",
        "Open a browser and sign in to this network, or use another one.",
    ),
    Kind(
        "certificate",
        "The server's certificate is not valid: {detail}",
        "Check the laptop's date and time, or use another network.",
    ),
    Kind("server-refused", "The server does not accept this laptop.", "Ask the programme to enrol it again."),
    Kind("server-busy", "The server is busy.", "Nothing to do: Doorstep tries again by itself."),
    Kind(
        "server-failed",
        "The server failed to answer: {detail}",
        "Nothing is lost. If it lasts a day, tell the programme.",
    ),
    Kind("version-too-old", "This hub's version is not spoken by the server.", "Update Doorstep on this laptop."),
    Kind(
        "answer-not-understood",
        "The server's answer was not understood: {detail}",
        "Nothing is lost. Update Doorstep on this laptop, or tell the programme.",
    ),
    Kind(
        "record-refused",
        "The server refused record {detail} of reader {subject}. It is kept here.",
        "Give this code to an engineer: record-refused.",
    ),
    Kind(
        "record-quarantined",
        "The server holds record {detail} of reader {subject} aside for an engineer.",
        "Tell the programme. Nothing is lost.",
    ),
    Kind(
        "record-conflict",
        "Two different records of reader {subject} have the number {detail}. Both are kept.",
        "Stop using this reader and tell the programme.",
    ),
    Kind(
        "registration-quarantined",
        "The server could not read a registration ({detail}). It keeps it for an engineer.",
        "Tell the programme. Until they say that it is put right, keep the person's details on paper.",
    ),
    Kind(
        "registration-refused",
        "The server refused a registration ({detail}). It is kept here, sealed.",
        "Tell the programme, and register the person anew.",
    ),
    Kind(
        "image-not-got",
        "An update for readers does not come from the server: {detail}",
        "Nothing is lost: results are delivered as before, and Doorstep tries again by itself.",
    ),
    Kind(
        "image-wrong",
        "An update that the server sent was thrown away: {detail}",
        "Nothing to do now: Doorstep asks for it again. If it lasts a day, tell the programme.",
    ),
    Kind(
        "image-not-kept",
        "An update for readers cannot be kept on this laptop: {detail}",
        "Delete files you do not need, and check the permissions of the data folder. Results go on as before.",
    ),
    # a reader
    Kind(
        "reader-not-enrolled",
        "Reader {subject} is in range, but this laptop holds no ticket for it.",
        "Connect to a network once, or ask the programme to enrol the reader.",
    ),
    Kind(
        "ticket-expired",
        "The ticket for reader {subject} has expired.",
        "Connect to a network once, so that the server can send a new one.",
    ),
    Kind(
        "ticket-refused",
        "Reader {subject} refused this laptop's ticket.",
        "Connect to a network once. If it stays, tell the programme.",
    ),
    Kind(
        "reader-not-proved",
        "A device calls itself reader {subject} and cannot prove it. Nothing was taken from it.",
        "Find that device. Tell the programme.",
    ),
    Kind(
        "reader-version",
        "Reader {subject} speaks another version of the protocol.",
        "Update the reader, or Doorstep on this laptop.",
    ),
    Kind(
        "reader-unreachable",
        "Reader {subject} is in range, but does not connect: {detail}",
        "Bring it nearer, or switch it off and on.",
    ),
    Kind(
        "reader-stalled",
        "Reader {subject} stopped in the middle of a transfer.",
        "Bring it nearer. Doorstep goes on from where it stopped.",
    ),
    Kind(
        "reader-misbehaved",
        "Reader {subject} sent what the protocol does not allow: {detail}",
        "Switch it off and on. If it stays, tell the programme.",
    ),
    Kind(
        "reader-forked",
        "Reader {subject} shows another history than the one collected before. The other records are kept as evidence.",
        "Stop using this reader and tell the programme.",
    ),
    Kind(
        "reader-behind",
        "Reader {subject} holds fewer records than were collected from it before.",
        "Stop using this reader and tell the programme.",
    ),
    Kind(
        "record-damaged",
        "Record {detail} of reader {subject} is damaged in the reader's storage.",
        "Tell the programme. The records after it are safe.",
    ),
    Kind(
        "receipt-refused",
        "Reader {subject} refused the server's receipt.",
        "Stop using this reader and tell the programme.",
    ),
    Kind(
        "command-refused",
        "Reader {subject} did not take a message of the server (code {detail}).",
        "Nothing to do now. If it lasts a day, tell the programme.",
    ),
    Kind(
        "update-stalled",
        "The update of reader {subject} stops again and again: {detail}",
        "Keep the reader near the laptop for ten minutes. Its results are collected as before.",
    ),
    Kind("reader-battery", "The battery of reader {subject} is low.", "Charge it."),
    Kind(
        "reader-full",
        "The storage of reader {subject} is full; it refuses new tests.",
        "Connect the laptop to a network, then bring the reader near.",
    ),
    Kind("reader-fault", "Reader {subject} reports a fault.", "Read its screen. Tell the programme."),
    Kind(
        "hub-failed",
        "A part of Doorstep failed and was started again: {detail}",
        "Nothing is lost. If it repeats, give the log to an engineer.",
    ),
)
KINDS = {kind.code: kind for kind in _ALL}


def say(code: str, subject: str, detail: str) -> str:
    """The sentence of a problem, with its full stop."""
    words = KINDS[code].sentence.format(subject=subject, detail=detail).strip()
    return words if words.endswith(".") else f"{words}."

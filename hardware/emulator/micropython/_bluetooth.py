"""The rest of `bluetooth`: names of its flags, loaded when the first is read (see `bluetooth`)."""

from micropython import const

FLAG_READ = const(0x02)
FLAG_WRITE_NO_RESPONSE = const(0x04)
FLAG_WRITE = const(0x08)
FLAG_NOTIFY = const(0x10)
FLAG_INDICATE = const(0x20)

"""One file a part: registers and timing from its datasheet, no policy."""

"""The parts on the reader's board, each at the level of its bus or pin, from its datasheet."""

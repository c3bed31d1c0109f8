"""Setting a reader up over USB: the bytes that run on the bench are written into a board, with its identity."""

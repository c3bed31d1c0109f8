"""The reader's board as code: catalogue of parts, sheets of circuit, and what is made and checked from them."""

"""How long what is kept, and the erasure of people and results: certified, and without a hole in any proof."""

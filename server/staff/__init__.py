"""The people of an organisation: who works there, with which role, and what happens to what they owned."""

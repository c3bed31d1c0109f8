"""First thing that runs: nothing but to leave the console quiet; the app starts from main.py."""

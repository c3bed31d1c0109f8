"""Looking after a hub: what is wrong with it, running it as a service, and a file for an engineer."""

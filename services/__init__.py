"""The services; each is a process and a schema of its own, known to others by its contract."""

"""What notify remembers: all its SQL, one file per table."""

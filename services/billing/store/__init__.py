"""What billing remembers: all its SQL, one file per table."""

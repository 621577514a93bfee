"""What wallet remembers: all its SQL, one file per table."""

"""What signing remembers: all its SQL, one file per table."""

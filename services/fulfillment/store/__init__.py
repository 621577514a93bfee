"""What fulfillment remembers: all its SQL, one file per table."""

"""What signing decides, without I/O and without a clock."""

"""What billing decides, without I/O and without a clock."""

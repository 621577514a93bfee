"""Provider simulators: real wire formats, own books, fault scripts."""

"""One client per payment rail: bytes, keys and codes, without a business word."""

"""Speaks the languages of SMS and mini-program providers."""

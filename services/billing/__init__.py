"""Instalments, notices and charges."""

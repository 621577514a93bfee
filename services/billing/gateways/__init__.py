"""Billing's adapters to the payment rails."""

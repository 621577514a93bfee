"""Shipments, from paid period to delivered parcel."""

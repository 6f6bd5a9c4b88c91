"""Clocks, time stamps and the pairing of heat with picture."""

"""Sensors and cameras, their wire-level twins, time, and the clip they are recorded in."""

"""Drivers of the thermopile sensor: over I2C and over a serial port."""

"""Runs once at power-up: gives the board a second USB serial port, for packets alone. The first stays the console."""

import usb_cdc

usb_cdc.enable(console=True, data=True)

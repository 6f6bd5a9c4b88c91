"""The digital twin of the rig: one scene behind a faked I2C bus and a faked camera."""

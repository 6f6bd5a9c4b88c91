"""Frame sources: OpenCV devices and video files, and the Raspberry Pi camera."""

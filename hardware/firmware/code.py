"""The board's program: reads the sensor for ever and sends what it reads over the second USB serial port."""

import time

import board
import busio
import microcontroller
import supervisor
import usb_cdc
from core import Reader, clock_packet, error_packet, heat_packet, hello_packet

SDA, SCL = board.GP4, board.GP5  # Raspberry Pi Pico; README.md has other boards
ADDRESS = 0x69  # 0x68 with AD_SELECT tied to ground
FRAMES_PER_SECOND = 10  # or 1
MOVING_AVERAGE = False  # halves the noise's variance, and comes 50 ms later: better done after recording

POLL_US = 23_000  # walks through every phase of the sensor's 100 ms, as rig/thermal/amg8833.py says
HELLO_US = 5_000_000
ERROR_US = 1_000_000  # at most so often


def now_us():
    """The board's clock; it begins anew at every power-up."""
    return time.monotonic_ns() // 1000


def open_bus(port):
    """The I2C bus at 400 kHz, locked for good; waits for a sensor, whose pull-ups are what makes it a bus."""
    tries = 0
    while True:
        try:
            bus = busio.I2C(SCL, SDA, frequency=400_000)
        except RuntimeError as error:
            tries += 1
            send(port, error_packet(tries, str(error)))
            time.sleep(ERROR_US / 1_000_000)
        else:
            while not bus.try_lock():
                pass
            return bus


def send(port, data):
    """Send, when a computer listens.

    What does not fit the port's buffer is lost, for a computer that sleeps must not stop the reading: the packet that
    is cut short fails its CRC. The RP2040's buffer holds 256 bytes, a heat packet and a clock packet are 169.
    """
    if port.connected:
        port.write(data)


def main():
    """Read and send, for ever."""
    port = usb_cdc.data
    if port is None:
        raise RuntimeError("no data port: copy boot.py to the board too, then press its reset button")
    port.timeout = port.write_timeout = 0
    supervisor.runtime.autoreload = False  # computers that write index files to the drive would restart the program
    reader = Reader(open_bus(port), ADDRESS, now_us, time.sleep, FRAMES_PER_SECOND, MOVING_AVERAGE)
    errors_sent = 0
    due_us = hello_us = error_us = now_us()
    while True:
        frame = reader.poll()
        heat = b"" if frame is None else heat_packet(*frame)
        send(port, clock_packet(now_us()) + heat)  # the clock is read last and sent first: packing takes ms
        asked = b"?" in port.read(port.in_waiting) if port.in_waiting else False
        if asked or now_us() >= hello_us:
            age_ms = reader.age_ms()
            board_id = microcontroller.cpu.uid
            send(port, hello_packet(ADDRESS, FRAMES_PER_SECOND, MOVING_AVERAGE, age_ms, board_id))
            hello_us = now_us() + HELLO_US
        if reader.errors != errors_sent and now_us() >= error_us:
            send(port, error_packet(reader.errors, reader.last_error))
            errors_sent, error_us = reader.errors, now_us() + ERROR_US
        due_us = max(due_us + POLL_US, now_us())
        time.sleep(max(0, due_us - now_us()) / 1_000_000)


main()

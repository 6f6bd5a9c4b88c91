import adafruit_amg88xx
import numpy as np
import pytest

from lrt.rig.thermal.amg8833 import AMG8833
from lrt.rig.timing.clock import VirtualClock
from lrt.rig.twin.scene import Scene, SceneSettings
from lrt.rig.twin.sensor import Optics, SensorSettings, TwinBus, encode_thermistor, footprint_weights


def read_block(bus, register=0x80, length=128):
    block = bytearray(length)
    bus.writeto_then_readfrom(bus.settings.address, bytes([register]), block)
    return bytes(block)


def test_adafruits_driver_reads_the_scene_to_a_quarter_degree(open_bus):
    bus, clock, _ = open_bus(celsius=23.6)
    driver = adafruit_amg88xx.AMG88XX(bus)
    clock.advance(300_000_000)
    assert np.array_equal(driver.pixels, np.full((8, 8), 23.5))


def test_adafruits_driver_reads_temperatures_below_zero(open_bus):
    bus, clock, _ = open_bus(celsius=-7.75)
    driver = adafruit_amg88xx.AMG88XX(bus)
    clock.advance(300_000_000)
    assert np.array_equal(driver.pixels, np.full((8, 8), -7.75))
    assert -7.75 < driver.temperature < -1.0  # the board is a few degrees warmer


@pytest.mark.parametrize(
    ("celsius", "word"), [(-11.6875, 0x8BB), (0.0, 0x000), (23.5, 0x178), (500.0, 0x7FF), (-500.0, 0xFFF)]
)
def test_thermistor_is_sign_and_magnitude(celsius, word):
    assert encode_thermistor(celsius) == word.to_bytes(2, "little")


def test_pixels_saturate_at_twelve_bits(open_bus):
    bus, clock, _ = open_bus(celsius=900.0)
    clock.advance(300_000_000)
    assert read_block(bus) == b"\xff\x07" * 64


def test_readings_of_a_room_are_the_scene_within_noise():
    scene, clock = Scene(SceneSettings(room_seed=4, occupants=0)), VirtualClock()
    bus = TwinBus(scene, clock, SensorSettings(seed=1))
    driver = adafruit_amg88xx.AMG88XX(bus)
    clock.advance(500_000_000)
    readings = np.array(driver.pixels)
    expected = Optics(bus.settings).blur(scene.heat(0.4))
    assert np.array_equal(readings * 4, np.rint(readings * 4))
    assert np.abs(readings - expected).max() < 4 * np.hypot(0.32, 0.25)
    assert np.abs(readings - expected).std() < 0.5


def test_a_naive_read_that_spans_a_refresh_is_torn(open_bus):
    bus, clock, _ = open_bus(per_second=100.0)  # 10 degC from frame to frame: every frame is told from the next
    clock.advance(1_000_000_000)
    seen = set()
    torn = 0
    for _ in range(200):
        words = np.frombuffer(read_block(bus), "<u2")
        seen.update(words.tolist())
        torn += len(np.unique(words)) > 1
        clock.advance(37_000_000)
    assert 2 <= torn <= 30  # a block takes 3 ms of every 101: about 3 in 100
    assert len(seen) > 30  # frames at 37 ms pauses


def test_sixty_four_single_reads_tear_more_often_than_one_block(open_bus):
    def share_torn(read, pause_ns):
        bus, clock, _ = open_bus(per_second=100.0)
        driver = adafruit_amg88xx.AMG88XX(bus)
        clock.advance(1_000_000_000)
        torn = 0
        for _ in range(150):
            torn += len(np.unique(read(bus, driver))) > 1
            clock.advance(pause_ns)
        return torn / 150

    block = share_torn(lambda bus, _: np.frombuffer(read_block(bus), "<u2"), 37_000_000)
    single = share_torn(lambda _, driver: driver.pixels, 37_000_000)
    assert single > 2 * block


def test_a_transfer_takes_its_time_on_the_wire(open_bus):
    bus, clock, _ = open_bus()
    clock.advance(200_000_000)
    before_ns = clock.now_ns()
    read_block(bus)
    assert clock.now_ns() - before_ns == pytest.approx(131 * 9 / 400_000 * 1e9, rel=0.01)  # 2 addresses, 1 + 128 bytes


def test_frames_follow_the_chips_own_clock(open_bus):
    bus, clock, _ = open_bus(per_second=10.0, drift_ppm=0.0)
    clock.advance(1_000_000_000)
    changes, last = [], read_block(bus, 0x80, 2)
    while clock.now_ns() < 6_000_000_000:
        clock.advance(1_000_000)
        block = read_block(bus, 0x80, 2)
        if block != last:
            changes.append(clock.now_ns())
        last = block
    assert np.diff(changes).mean() == pytest.approx(101e6, rel=0.005)


def test_one_frame_a_second_when_asked(open_bus):
    bus, clock, _ = open_bus(per_second=10.0)
    bus.writeto(0x69, bytes([0x02, 0x01]))
    blocks = []
    for _ in range(50):
        clock.advance(100_000_000)
        blocks.append(read_block(bus))
    assert 5 <= len(set(blocks)) <= 7


def test_a_sleeping_chip_makes_no_frames_and_wakes_again(open_bus):
    bus, clock, _ = open_bus(per_second=10.0)
    clock.advance(500_000_000)
    bus.writeto(0x69, bytes([0x00, 0x10]))
    asleep = read_block(bus)
    clock.advance(2_000_000_000)
    assert read_block(bus) == asleep
    bus.writeto(0x69, bytes([0x00, 0x00]))
    clock.advance(300_000_000)
    assert read_block(bus) != asleep


def test_registers_hold_what_is_written_and_a_reset_clears_them(open_bus):
    bus, _, _ = open_bus()
    bus.writeto(0x69, bytes([0x08, 0x20]))
    assert read_block(bus, 0x08, 1) == b"\x20"
    bus.writeto(0x69, bytes([0x01, 0x3F]))
    assert read_block(bus, 0x08, 1) == b"\x00"


def test_the_moving_average_needs_its_key_and_halves_the_noises_power(open_bus):
    """Without the key the write is lost; the register reads 0 either way, as owners report."""

    def spread(*writes):
        bus, clock, _ = open_bus(noise_c=(0.5, 0.5, 0.5), noise_memory=0.0)
        for register, value in writes:
            bus.writeto(0x69, bytes([register, value]))
        assert read_block(bus, 0x07, 1) == b"\x00"
        blocks = []
        for _ in range(200):
            clock.advance(101_100_000)
            blocks.append(np.frombuffer(read_block(bus), "<i2"))
        return np.std(np.array(blocks), axis=0).mean()

    key = [(0x1F, 0x50), (0x1F, 0x45), (0x1F, 0x57)]
    plain = spread((0x07, 0x20))
    averaged = spread(*key, (0x07, 0x20), (0x1F, 0x00))
    assert averaged / plain == pytest.approx(0.71, abs=0.06)
    assert spread(*key[:2], (0x07, 0x20)) / plain == pytest.approx(1.0, abs=0.06)


def test_status_bits_stay_until_they_are_cleared(open_bus):
    bus, _, _ = open_bus()
    bus.writeto(0x69, bytes([0x04, 0x0C]))
    bus.writeto(0x69, bytes([0x05, 0x04]))
    assert read_block(bus, 0x04, 1) == b"\x08"
    bus.writeto(0x69, bytes([0x01, 0x30]))
    assert read_block(bus, 0x04, 1) == b"\x00"


def test_buffers_are_cut_as_busio_cuts_them(open_bus):
    bus, clock, _ = open_bus(celsius=21.0)
    clock.advance(500_000_000)
    buffer = bytearray(b"\xaa" * 6)
    bus.writeto_then_readfrom(0x69, b"\x00\x80\x00", buffer, out_start=1, out_end=2, in_start=2, in_end=4)
    assert buffer == b"\xaa\xaa\x54\x00\xaa\xaa"  # 84 quarters
    bus.writeto(0x69, b"\x00\x80", start=1)
    bus.readfrom_into(0x69, buffer, start=4, end=6)
    assert buffer[4:] == b"\x54\x00"


def test_another_address_does_not_acknowledge(open_bus):
    bus, _, _ = open_bus(address=0x68)
    assert bus.scan() == [0x68]
    with pytest.raises(OSError, match="Remote I/O") as caught:
        bus.readfrom_into(0x69, bytearray(1))
    assert caught.value.errno == 121
    with pytest.raises(ValueError, match="0x69"):
        adafruit_amg88xx.AMG88XX(bus, 0x69)


def test_the_lock_is_held_by_one(open_bus):
    bus, _, _ = open_bus()
    assert bus.try_lock()
    assert not bus.try_lock()
    bus.unlock()
    with pytest.raises(ValueError, match="Not locked"):
        bus.unlock()


def test_warmth_is_reckoned_only_for_frames_that_are_read(open_bus):
    bus, clock, scene = open_bus()
    clock.advance(60_000_000_000)
    assert scene.asked == 0
    read_block(bus)
    assert scene.asked <= 4  # two instants a frame, two frames when the read is torn


def test_noise_is_as_measured_on_real_sensors():
    optics = Optics(SensorSettings(seed=3, drift_c=0.0, pattern_c=0.0))
    frames = np.array([optics.disturb(np.zeros((8, 8)), n, n * 0.101) for n in range(3000)])
    sd = frames.std(0)
    assert sd[2:6, 2:6].mean() == pytest.approx(np.hypot(0.21, 0.05), rel=0.05)
    assert sd[[0, 0, 7, 7], [0, 7, 0, 7]].mean() == pytest.approx(np.hypot(0.32, 0.05), rel=0.05)
    assert sd[0, 1:7].mean() == pytest.approx(np.hypot(0.27, 0.05), rel=0.05)
    centred = frames - frames.mean(0)
    lag = (centred[1:] * centred[:-1]).mean((0, 1, 2)) / np.square(centred).mean()
    later = (centred[2:] * centred[:-2]).mean((0, 1, 2)) / np.square(centred).mean()
    assert lag == pytest.approx(0.15, abs=0.03)
    assert later == pytest.approx(0.0, abs=0.03)
    assert frames.mean((1, 2)).std() == pytest.approx(np.hypot(0.05, 0.25 / 8), rel=0.2)


def test_fixed_pattern_belongs_to_the_chip():
    patterns = [Optics(SensorSettings(seed=s, drift_c=0.0)).disturb(np.zeros((8, 8)), 0, 0.0) for s in range(30)]
    assert np.std(patterns) == pytest.approx(np.hypot(0.25, 0.26), rel=0.1)


def test_a_pixel_sees_about_one_pitch():
    weights = footprint_weights(0.97)
    assert np.allclose(weights.sum(1), 1)
    half = (weights[3] > weights[3].max() / 2).sum() / 8  # eight heat map cells a pitch
    assert half == pytest.approx(0.97, abs=0.13)
    centre = (weights[3] * (np.arange(weights.shape[1]) + 0.5)).sum() / 8 - 2
    assert centre == pytest.approx(3.5, abs=0.01)


def test_a_busy_computer_that_draws_slower_than_the_sensor_makes_frames_still_gets_some(open_bus):
    """Each frame takes 0.15 s to draw: half of them at least are missed, and say so by their numbers."""
    bus, clock, scene = open_bus(celsius=21.0, per_second=1.0)
    sensor = AMG8833(clock, bus)
    even = scene.heat

    def slow(time_s):
        clock.advance(75_000_000)  # twice a frame
        return even(time_s)

    scene.heat = slow
    heatmaps, end_ns = [], clock.now_ns() + 10_000_000_000
    while clock.now_ns() < end_ns:
        heatmaps += sensor.poll()
        clock.advance(sensor.poll_period_ns)
    numbers = [heatmap.sequence for heatmap in heatmaps]
    assert len(numbers) > 20
    assert numbers == sorted(set(numbers))
    assert 80 < numbers[-1] - numbers[0] < 101
    for heatmap in heatmaps:  # it grows warmer by 1 degC a second: each shows its own time
        assert heatmap.celsius.mean() == pytest.approx(21.0 + heatmap.timestamp_ns / 1e9, abs=0.4)

"""What stands in hardware/ is true of itself and of the code: unit, udev rules, drawing, bracket, instructions."""

import ipaddress
import re
import shlex
import shutil
import subprocess
import xml.etree.ElementTree as ET
from fnmatch import fnmatchcase
from pathlib import Path

import click
import pytest

from lrt import cli
from lrt.rig import door

HARDWARE = Path(__file__).parents[2] / "hardware"
MANUALS = sorted(HARDWARE.rglob("*.md"))
PI_MANUAL = (HARDWARE / "PI.md").read_text()

# ------------------------------------------------------------------------------------------------------- lrt.service


def read_unit(path: Path) -> dict[str, dict[str, list[str]]]:
    """Section -> key -> its values; strict: systemd ignores a line it does not understand, a test must not."""
    unit: dict[str, dict[str, list[str]]] = {}
    section: dict[str, list[str]] | None = None
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        if found := re.fullmatch(r"\[(\w+)\]", line):
            assert found[1] not in unit, line
            section = unit[found[1]] = {}
        else:
            found = re.fullmatch(r"([A-Z][A-Za-z]+)=(.*\S)?", line)
            assert found, f"neither comment, section nor Key=value: {line!r}"
            assert section is not None, f"before any section: {line!r}"
            assert " #" not in line, f"systemd knows no comment at a line's end: {line!r}"
            section.setdefault(found[1], []).append(found[2] or "")
    return unit


UNIT = read_unit(HARDWARE / "lrt.service")
SERVICE = {key: values[-1] for key, values in UNIT["Service"].items()}
EXEC = shlex.split(SERVICE["ExecStart"])


SERVE_OPTIONS = {
    name for parameter in cli.lrt.commands["serve"].params for name in (*parameter.opts, *parameter.secondary_opts)
}


def option(name: str) -> str:
    return EXEC[EXEC.index(name) + 1]


def test_unit_has_its_three_sections_and_repeats_no_key_but_environment():
    assert list(UNIT) == ["Unit", "Service", "Install"]
    assert [key for section in UNIT.values() for key, values in section.items() if len(values) > 1] == ["Environment"]


def test_systemd_accepts_the_unit(tmp_path: Path):
    if not (analyze := shutil.which("systemd-analyze")):
        pytest.skip("systemd-analyze is not installed")
    there = shutil.which("true")
    (tmp_path / "lrt.service").write_text(
        (HARDWARE / "lrt.service").read_text().replace(f"ExecStart={EXEC[0]} ", f"ExecStart={there} ")
    )

    command = [analyze, "verify", "--man=no", tmp_path / "lrt.service"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert [line for line in done.stderr.splitlines() if "lrt.service" in line] == []
    assert done.returncode == 0, done.stderr


def test_the_unit_starts_lrt_with_options_it_has():
    assert EXEC[:2] == ["/opt/lrt/bin/lrt", "serve"]
    assert {word for word in EXEC if word.startswith("-")} <= SERVE_OPTIONS


def test_the_page_is_left_out_until_it_is_asked_for_and_reaches_local_networks_alone():
    page = read_unit(HARDWARE / "lrt-page.conf")["Service"]
    emptied, started = page["ExecStart"]
    assert emptied == ""  # else systemd would start both
    assert "--no-http" in EXEC
    assert "AF_INET" not in SERVICE["RestrictAddressFamilies"]
    assert shlex.split(started) == [*(word for word in EXEC if word != "--no-http"), "--listen"]
    assert {word for word in shlex.split(started) if word.startswith("-")} <= SERVE_OPTIONS
    assert page["RestrictAddressFamilies"] == ["AF_INET AF_INET6"]
    assert page["IPAddressDeny"] == ["any"]
    for allowed in page["IPAddressAllow"][0].split():
        assert allowed in ("localhost", "link-local") or not ipaddress.ip_network(allowed).is_global


def test_the_unit_may_write_where_its_clips_and_its_socket_go():
    assert SERVICE["ProtectSystem"] == "strict"
    assert option("--out") == f"/var/lib/{SERVICE['StateDirectory']}/clips"
    assert f"LRT_SOCKET=/run/{SERVICE['RuntimeDirectory']}/rig.sock" in UNIT["Service"]["Environment"]
    assert SERVICE["WorkingDirectory"] == f"/var/lib/{SERVICE['StateDirectory']}"


def test_clients_look_for_the_socket_where_the_unit_puts_it():
    assert f"LRT_SOCKET={door.SYSTEM_SOCKET}" in UNIT["Service"]["Environment"]
    assert str(door.SYSTEM_SOCKET) in PI_MANUAL


def test_a_hung_rig_finishes_its_clip_before_it_is_started_anew():
    assert (SERVICE["WatchdogSignal"], SERVICE["Restart"]) == ("SIGTERM", "always")
    assert UNIT["Unit"]["StartLimitIntervalSec"] == ["0"]
    assert int(SERVICE["TimeoutStopSec"]) > int(SERVICE["WatchdogSec"])


def test_the_unit_hides_no_device_and_no_clock():
    """ProtectClock sets DeviceAllow, which hides the camera, and forbids adjtimex."""
    hiding = {"PrivateDevices", "DevicePolicy", "DeviceAllow", "ProtectClock", "PrivateNetwork"}

    assert not hiding & set(SERVICE)
    assert {"AF_UNIX", "AF_NETLINK"} <= set(SERVICE["RestrictAddressFamilies"].split())


def test_others_may_not_see_clips():
    assert SERVICE["UMask"] == "0007"
    assert all(SERVICE[key][-1] == "0" for key in ("StateDirectoryMode", "RuntimeDirectoryMode"))


# ----------------------------------------------------------------------------------------------------- the manuals


def code_in(manual: Path) -> list[str]:
    """What stands between backticks, and the indented lines."""
    text = manual.read_text()
    blocks = [line.strip() for line in text.splitlines() if line.startswith("    ")]
    return blocks + [" ".join(span.split()) for span in re.findall(r"`([^`]+)`", text)]


def find_command(words: list[str]) -> click.Command | None:
    command: click.Command | None = cli.lrt
    for word in words:
        if not isinstance(command, click.Group):
            break
        command = command.commands.get(word)
    return command


@pytest.mark.parametrize("manual", MANUALS, ids=lambda path: path.name)
def test_every_command_and_option_that_a_manual_names_exists(manual: Path):
    missing = []
    for code in code_in(manual):
        for call in re.finditer(r"(?<!-u )(?<![\w/.-])lrt ((?:[a-z][a-z-]+ ?){1,2})([^|;&#]*)", code):
            command = find_command(call[1].split())
            options = re.findall(r"(?<!\S)--[a-z-]+", call[2])
            known = {name for parameter in command.params for name in parameter.opts} if command else set()
            if command is None or isinstance(command, click.Group) or not set(options) <= known:
                missing.append(call[0])

    assert missing == []


@pytest.mark.parametrize("manual", MANUALS, ids=lambda path: path.name)
def test_every_link_leads_to_a_file(manual: Path):
    links = [link for link in re.findall(r"\]\(([^)#]+)", manual.read_text()) if "://" not in link]

    assert [link for link in links if not (manual.parent / link).is_file()] == []


def test_the_manual_gives_the_service_user_the_groups_of_the_unit():
    given = re.search(r"usermod -aG (\S+) lrt\n", PI_MANUAL)

    assert given
    assert set(given[1].split(",")) == set(SERVICE["SupplementaryGroups"].split())
    assert f"useradd --system --user-group --home-dir /var/lib/{SERVICE['StateDirectory']}" in PI_MANUAL


def test_the_manual_puts_the_rig_file_and_lrt_where_the_unit_looks():
    assert f"rig.example.toml {option('--rig')}\n" in PI_MANUAL
    assert f"venv --system-site-packages {Path(EXEC[0]).parents[1]}\n" in PI_MANUAL


def test_the_hardware_watchdog_is_set_within_its_counter():
    """The Pi's counts to 16 s; with 20 a Pi 4 was reported to restart for ever."""
    seconds = [int(each) for each in re.findall(r"RuntimeWatchdogSec=(\d+)", PI_MANUAL)]

    assert seconds
    assert all(5 <= each <= 15 for each in seconds)


# --------------------------------------------------------------------------------------------------- 99-lrt.rules

MATCHES, SETS = {"==", "!="}, {"=", "+="}
KEYS = {
    "ACTION": MATCHES,
    "SUBSYSTEM": MATCHES,
    "KERNEL": MATCHES,
    "ATTR": MATCHES,
    "ENV": MATCHES | SETS,
    "SYMLINK": SETS,
    "GROUP": SETS,
    "MODE": SETS,
    "GOTO": SETS,
    "LABEL": SETS,
}
Rule = list[tuple[str, str, str, str]]  # key, {attribute}, operator, value


def read_rules(path: Path) -> list[Rule]:
    """The rules; strict: udev ignores a line it does not understand."""
    rules = []
    for line in path.read_text().splitlines():
        if not line or line.startswith("#"):
            continue
        part = r'([A-Z]+)(?:\{(\w+)\})?(==|!=|\+=|=)"([^"]*)"'
        assert re.fullmatch(rf"{part}(, {part})*", line), f"not key, operator and value, by comma and space: {line}"
        rules.append(re.findall(part, line))
    return rules


RULES = read_rules(HARDWARE / "99-lrt.rules")


def apply_rules(device: dict[str, str]) -> dict[str, str]:
    """What the rules make of a device: its properties, and SYMLINK, GROUP and MODE.

    Args:
        device: ACTION, SUBSYSTEM, KERNEL, `attr NAME` and, by their bare name, properties.
    """
    made = {"ACTION": "add"} | device
    aim = None
    for rule in RULES:
        if aim and ("LABEL", "", "=", aim) not in rule:
            continue
        aim = None
        for key, inner, operator, value in rule:
            name = inner if key == "ENV" else f"attr {inner}" if key == "ATTR" else key
            if operator in MATCHES:
                same = any(fnmatchcase(made.get(name, ""), each) for each in value.split("|"))
                if same != (operator == "=="):
                    break
            elif key == "GOTO":
                aim = value
            else:
                made[name] = value
    assert aim is None, f"no LABEL {aim}"
    return made


def port(kernel: str, vendor: str, model: str, interface: str) -> dict[str, str]:
    """A serial port as systemd's 60-serial.rules describe it to those that come after."""
    names = {"ID_VENDOR_ID": vendor, "ID_MODEL_ID": model, "ID_USB_INTERFACE_NUM": interface}
    return {"SUBSYSTEM": "tty", "KERNEL": kernel, **names}


def test_every_rule_is_made_of_keys_and_operators_that_udev_knows():
    wrong = [part for rule in RULES for part in rule if part[2] not in KEYS.get(part[0], ())]

    assert wrong == []


def test_usb_numbers_in_rules_are_four_hexadecimal_digits():
    ids = [
        each
        for rule in RULES
        for _, inner, operator, value in rule
        if inner in ("idVendor", "idProduct", "ID_VENDOR_ID", "ID_MODEL_ID") and operator in MATCHES
        for each in value.split("|")
    ]

    assert len(ids) >= 8
    assert all(re.fullmatch("[0-9a-f]{4}", each) for each in ids)


@pytest.mark.parametrize(
    "board",
    [
        pytest.param(port("ttyACM1", "239a", "80f4", "02"), id="Pico with CircuitPython"),
        pytest.param(port("ttyACM1", "239a", "80f8", "02"), id="QT Py RP2040"),
        pytest.param(port("ttyACM1", "2e8a", "000b", "02"), id="Pico 2 with CircuitPython"),
        pytest.param(port("ttyACM0", "2341", "0043", "00"), id="Arduino Uno"),
        pytest.param(port("ttyUSB0", "1a86", "7523", "00"), id="Arduino clone with CH340"),
    ],
)
def test_a_boards_packets_come_at_dev_lrt_amg(board: dict[str, str]):
    made = apply_rules(board)

    assert (made["SYMLINK"], made["GROUP"], made["MODE"]) == ("lrt-amg", "dialout", "0660")
    assert made["ID_MM_DEVICE_IGNORE"] == made["ID_MM_PORT_IGNORE"] == "1"


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(port("ttyACM0", "239a", "80f4", "00"), id="the console of a Pico"),
        pytest.param(port("ttyUSB0", "1a86", "55d4", "00"), id="another serial chip of that maker"),
        pytest.param(port("ttyACM0", "1546", "01a8", "00"), id="a GPS receiver"),
        pytest.param({"SUBSYSTEM": "tty", "KERNEL": "ttyAMA0"}, id="the Pi's own port"),
        pytest.param({"SUBSYSTEM": "net", "KERNEL": "usb0", "ID_VENDOR_ID": "2341"}, id="no serial port"),
        pytest.param(port("ttyACM1", "239a", "80f4", "02") | {"ACTION": "remove"}, id="a Pico unplugged"),
    ],
)
def test_nothing_else_takes_the_name(other: dict[str, str]):
    assert "SYMLINK" not in apply_rules(other)


@pytest.mark.parametrize("vendor", ["239a", "2e8a", "2341"])
def test_modem_manager_leaves_the_boards_alone(vendor: str):
    board = {"SUBSYSTEM": "usb", "KERNEL": "1-1.2", "DEVTYPE": "usb_device", "attr idVendor": vendor}

    assert apply_rules(board)["ID_MM_DEVICE_IGNORE"] == "1"


# ------------------------------------------------------------------------------------------------------ wiring.svg

SVG = "{http://www.w3.org/2000/svg}"
WIRING = ET.parse(HARDWARE / "wiring.svg").getroot()
WIRES = {group.get("id", ""): group for group in WIRING.iter(f"{SVG}g") if group.get("class") == "wire"}
POWER = {"VIN": "3v3"}


def table_of_wires() -> list[dict[str, str]]:
    """The rows of BOM.md's wiring table."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in bom_lines() if line.startswith("|")]
    head = next(row for row in rows if row[:2] == ["sensor", "wire"])
    at = rows.index(head) + 2
    return [dict(zip(("sensor", "colour", "pi", "_", "pico", "_"), row, strict=True)) for row in rows[at : at + 4]]


def bom_lines() -> list[str]:
    return (HARDWARE / "BOM.md").read_text().splitlines()


def number(element: ET.Element, name: str) -> float:
    return float(element.get(name, "0"))


def classes(element: ET.Element) -> list[str]:
    return element.get("class", "").split()


def text_of(element: ET.Element) -> str:
    return " ".join("".join(element.itertext()).split())


def pads() -> list[tuple[float, float, float]]:
    """(centre x, centre y, half size) of every pin that is used."""
    found = []
    for pad in WIRING.iter():
        if "used" in classes(pad):
            if pad.tag == f"{SVG}circle":
                found.append((number(pad, "cx"), number(pad, "cy"), number(pad, "r")))
            else:
                half = number(pad, "width") / 2
                found.append((number(pad, "x") + half, number(pad, "y") + half, half))
    return found


def pad_named(name: str, panel: str) -> tuple[float, float, float]:
    """The used pin nearest to the text that names it, of the upper (pi) or lower (pico) half."""
    middle = 505
    texts = [
        (number(text, "x"), number(text, "y") - 4)
        for text in WIRING.iter(f"{SVG}text")
        if text_of(text) == name and (number(text, "y") < middle) == (panel == "pi") and "name" in classes(text)
    ]
    assert len(texts) == 1, f"{name} is named {len(texts)} times in the panel of the {panel}"
    x, y = texts[0]
    return min(pads(), key=lambda pad: (pad[0] - x) ** 2 + (pad[1] - y) ** 2)


def ends(path: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """Where a path of M, H and V begins and ends."""
    x = y = 0.0
    points = []
    for command, values in re.findall(r"([MHV])([^MHV]*)", path):
        given = [float(each) for each in values.split()]
        x, y = given if command == "M" else (given[0], y) if command == "H" else (x, given[0])
        points.append((x, y))
    return points[0], points[-1]


@pytest.mark.parametrize("panel", ["pi", "pico"])
@pytest.mark.parametrize("row", table_of_wires(), ids=lambda row: row["sensor"])
def test_each_wire_is_named_coloured_and_drawn_between_the_pins_of_the_table(row: dict[str, str], panel: str):
    wire = WIRES[f"{panel}-{POWER.get(row['sensor'], row['sensor'].lower())}"]
    (label,) = wire.iter(f"{SVG}text")
    lead = next(path for path in wire.iter(f"{SVG}path") if "lead" in classes(path))
    title = wire.find(f"{SVG}title")

    assert title is not None
    assert row["colour"] in text_of(title)
    assert row["colour"] in classes(lead)
    assert f"({row['colour']}): {row['sensor']} to pin {row[panel]}" in text_of(label)
    for (x, y), pin in zip(ends(lead.get("d", "")), (row["sensor"], row[panel]), strict=True):
        pad_x, pad_y, half = pad_named(pin, panel)
        assert max(abs(x - pad_x), abs(y - pad_y)) <= half + 3, f"{text_of(label)}: not at {pin}"


def test_the_firmware_reads_the_pins_of_the_table():
    pins = re.search(r"^SDA, SCL = board\.(\w+), board\.(\w+)", (HARDWARE / "firmware/code.py").read_text(), re.M)
    named = {row["sensor"]: line for row in table_of_wires() for line in bom_lines() if f"| {row['sensor']} |" in line}

    assert pins
    assert f" {pins[1]}, I2C0 SDA " in named["SDA"]
    assert f" {pins[2]}, I2C0 SCL " in named["SCL"]


def test_the_drawing_has_no_wire_beyond_the_table():
    assert len(WIRES) == 2 * len(table_of_wires()) == 8


def test_every_text_of_the_drawing_lies_within_it():
    left, top, width, height = map(float, WIRING.get("viewBox", "").split())
    size = {"head": 19, "small": 13, "pin": 12}
    outside = []
    for text in WIRING.iter(f"{SVG}text"):
        marks = classes(text)
        points = next((size[mark] for mark in marks if mark in size), 15)
        wide = 0.61 if {"name", "head"} & set(marks) else 0.55  # of the font's size; DejaVu Sans: 0.56 and 0.51
        long = len(text_of(text)) * points * wide
        x, y = number(text, "x"), number(text, "y")
        begin = x - long if "right" in marks else x - long / 2 if {"middle", "pin"} & set(marks) else x
        if not (left <= begin and begin + long <= left + width and top + points <= y <= top + height - 4):
            outside.append(text_of(text))

    assert outside == []


def test_the_drawing_needs_nothing_from_elsewhere():
    names = {element.tag.removeprefix(SVG) for element in WIRING.iter()}
    attributes = {name for element in WIRING.iter() for name in element.attrib}

    assert not names & {"image", "script", "use", "a", "foreignObject"}
    assert not any("href" in name or name.startswith("on") for name in attributes)
    assert "url(" not in (HARDWARE / "wiring.svg").read_text()


# ------------------------------------------------------------------------------------------------------ mount.scad


def openscad(program: str, folder: Path, *more: str) -> tuple[int, str]:
    """Exit code and messages of rendering a program, coarsely, to folder/made.stl."""
    if not (found := shutil.which("openscad")):
        pytest.skip("openscad is not installed")
    source = folder / "asked.scad"
    source.write_text(program)
    command = [found, "-o", folder / "made.stl", "-D", "$fn=6", *more, source]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stderr


def test_the_bracket_is_one_printable_body_with_its_lenses_within_2_cm(tmp_path: Path):
    code, said = openscad(f"include <{HARDWARE / 'mount.scad'}>\n", tmp_path)

    assert code == 0, said
    assert "WARNING" not in said
    assert re.search(r"Simple: +yes", said)
    assert re.search(r"Volumes: +2\b", said), "the outside and one body"
    baseline = re.search(r"baseline ([\d.]+) mm", said)
    assert baseline
    assert float(baseline[1]) <= 20
    assert (tmp_path / "made.stl").stat().st_size > 10_000


@pytest.mark.parametrize("camera", [2, 3])
def test_no_board_cuts_into_the_bracket_or_the_other_board(tmp_path: Path, camera: int):
    """Moved back by 0.01 mm, for a board that only rests on a boss does not cut into it."""
    program = f"""
    include <{HARDWARE / "mount.scad"}>
    show = "nothing";
    intersection() {{ bracket(); translate([0, 0, 0.01]) union() {{ sensor_board(); camera_board(); }} }}
    intersection() {{ sensor_board(); camera_board(); }}
    """

    _, said = openscad(program, tmp_path, "-D", f"camera={camera}")

    assert "top level object is empty" in said, said


def test_the_check_for_cuts_finds_one(tmp_path: Path):
    """Pins that point at the camera's board, as `sensor_turn = 0` has them."""
    program = f"""
    include <{HARDWARE / "mount.scad"}>
    show = "nothing";
    intersection() {{ sensor_board(); camera_board(); }}
    """

    code, said = openscad(program, tmp_path, "-D", "sensor_turn=0")

    assert code == 0, said


def test_the_picture_of_the_bracket_is_small():
    picture = (HARDWARE / "mount.png").read_bytes()

    assert picture.startswith(b"\x89PNG")
    assert len(picture) < 150_000

"""The rig daemon as hardware/PI.md sets it up: our unit file under a real systemd, asked by an ordinary user.

Sensor and camera are fed meanwhile, and set_up_job.py has run: `lrt` runs the service, `tech` is in the groups that
PI.md names, `guest` in none.
"""

import json
import time
from pathlib import Path
from typing import Any

from checks import CONTROL, Checks, last_json, sh, wait_for

from lrt.rig import door
from lrt.rig.door import DaemonError

CLIPS = Path("/var/lib/lrt/clips")
PROCESSES = Path("/sys/fs/cgroup/system.slice/lrt.service/cgroup.procs")
CAPTURE = "lrt capture --clothing red --lighting bright --consent TEST --json"


def ask(word: str) -> str:
    """One property of the unit."""
    return sh(f"systemctl show lrt -p {word} --value")[1]


def as_user(user: str, command: str, limit_s: float = 90.0) -> tuple[int, str]:
    """A command in a fresh login of a user: exit status, and all it printed."""
    return sh(f"runuser -l {user} -c '{command}'", limit_s)


def header(clip_id: str) -> dict[str, Any]:
    """A clip's clip.json; {} where there is none."""
    try:
        return json.loads((CLIPS / clip_id / "clip.json").read_text())
    except OSError:
        return {}


def is_fit() -> bool:
    """Whether the daemon would record now. Asked by its socket: to start `lrt status` takes seconds here."""
    try:
        found = door.ask({"do": "status"})
    except DaemonError:
        return False
    return not (found["sensor_problem"] or found["camera_problem"]) and found["sensor_age_s"] < 1


def is_recording(clip_id: str) -> bool:
    """Whether the daemon records that clip."""
    try:
        found = door.ask({"do": "status"})["recording"]
    except DaemonError:
        return False
    return found is not None and found["name"] == clip_id


def says(text: str, limit_s: float = 30) -> bool:
    """Whether the unit's line of status comes to have a text."""
    return wait_for(lambda: text in ask("StatusText"), limit_s, 1.0)


def processes() -> list[str]:
    """Of the service, by its cgroup: `systemctl show` costs the machine half a second each time."""
    try:
        return PROCESSES.read_text().split()
    except OSError:
        return []


def restarts(before: list[str], limit_s: float) -> bool:
    """Whether the service comes to run as other processes than before."""
    return wait_for(lambda: not set(before).intersection(now := processes()) and now, limit_s)


def starting(checks: Checks) -> None:
    code, said = sh("systemd-analyze verify /etc/systemd/system/lrt.service")
    checks.hold("systemd finds nothing wrong in the unit file", code == 0 and not said, said)
    began_s = time.monotonic()
    code, said = sh("systemctl start lrt", 90)
    checks.figures["ready_s"] = time.monotonic() - began_s
    checks.hold("started, it says READY and is active", code == 0 and ask("ActiveState") == "active", said)
    checks.hold(
        "it comes to say that it is ready to record",
        says("ready to record"),
        ask("StatusText"),
    )
    checks.hold("it runs as user lrt", sh("ps -o user= -p " + ask("MainPID"))[1] == "lrt")
    code, said = sh("stat -c %U:%G:%a /run/lrt /var/lib/lrt | sort -u")
    checks.hold("its folders are for group lrt alone", said == "lrt:lrt:750", said)


def recording(checks: Checks) -> None:
    checks.hold("it becomes fit to record", wait_for(is_fit, 30))
    code, said = sh(f"runuser -u lrt -- lrt consent add TEST --scope internal --dir {CLIPS}")
    checks.hold("a consent is noted beside the clips", code == 0, said)
    found = last_json(as_user("tech", "lrt status --json")[1])
    checks.hold("`lrt status` tells a user in group lrt", found.get("clips") == str(CLIPS), found.get("health"))
    code, said = as_user("tech", f"{CAPTURE} --clip-id by-tech --seconds 4")
    checks.hold(
        "a user in group lrt records through it",
        code == 0 and header("by-tech").get("state") == "finished",
        said.splitlines()[-1:],
    )
    checks.hold(
        "the clip belongs to lrt, and others may not look",
        sh(f"stat -c %U:%G:%a {CLIPS}/by-tech/clip.mcap")[1] == "lrt:lrt:660",
    )
    found = last_json(said)
    checks.figures |= {
        f"clip_{name}": found.get(name) for name in ("heatmaps", "images", "missed", "lost_images", "pair_error_ms_p95")
    }
    code, said = as_user("tech", "lrt check --json")
    checks.hold("`lrt check` answers that user", code in (0, 1) and last_json(said), said[-300:])
    code, said = as_user("guest", "LRT_SOCKET=/run/lrt/rig.sock lrt status")
    checks.hold("a user in no group is refused, in one line", code == 1 and "no right" in said, said.splitlines()[-1:])


def stopping(checks: Checks) -> None:
    sh(f"runuser -l tech -c '{CAPTURE} --clip-id stopped' >/tmp/capture.txt 2>&1 &")
    checks.hold(
        "a recording without an end is under way",
        wait_for(lambda: is_recording("stopped"), 30) and says("recording stopped"),
        ask("StatusText"),
    )
    time.sleep(3)
    began_s = time.monotonic()
    sh("systemctl stop lrt", 90)
    took_s = time.monotonic() - began_s
    found = header("stopped")
    checks.hold(
        "SIGTERM finishes the clip at hand",
        found.get("state") == "finished" and found["counts"]["heatmaps"] > 10,
        f"{found.get('state')} {found.get('counts')} after {took_s:.1f} s",
    )
    checks.hold("and the service ends well", ask("Result") == "success" and took_s < 60, ask("Result"))
    checks.figures["stop_s"] = took_s


def dying(checks: Checks) -> None:
    sh("systemctl start lrt", 90)
    wait_for(is_fit, 30)
    sh(f"runuser -l tech -c '{CAPTURE} --clip-id killed' >/tmp/capture.txt 2>&1 &")
    wait_for(lambda: is_recording("killed"), 30)
    time.sleep(4)
    before = processes()
    sh("systemctl kill -s KILL lrt")
    again = restarts(before, 60) and wait_for(is_fit, 60)
    checks.hold(
        "killed, it is started anew by itself",
        again and ask("NRestarts") == "1" and ask("ActiveState") == "active",
        f"{ask('NRestarts')} restarts, {ask('ActiveState')}",
    )
    checks.hold(
        "which recovers the clip that was cut",
        wait_for(lambda: header("killed").get("state") == "recovered", 30),
        header("killed").get("ended"),
    )
    said = sh("journalctl -u lrt -o cat | grep 'killed was cut short'")[1]
    checks.hold("and the journal says so", said, said)


def stalling(checks: Checks) -> None:
    wait_for(is_fit, 30)
    count, before = int(ask("NRestarts")), processes()
    sh(f"runuser -l tech -c '{CAPTURE} --clip-id stalled' >/tmp/capture.txt 2>&1 &")
    wait_for(lambda: is_recording("stalled"), 30)
    time.sleep(2)
    CONTROL.write_text("freeze-camera")
    began_s = time.monotonic()
    again = restarts(before, 75)
    took_s = time.monotonic() - began_s
    CONTROL.write_text("")
    checks.hold(
        "a stream that stalls for half a minute: the watchdog has it started anew",
        again and took_s > 25 and int(ask("NRestarts")) > count,
        f"after {took_s:.0f} s",
    )
    checks.figures["watchdog_s"] = took_s
    said = sh("journalctl -u lrt -o cat | grep -i 'watchdog timeout' | tail -1")[1]
    checks.hold("systemd says that it was the watchdog", "atchdog timeout" in said, said)
    checks.hold(
        "the clip at hand was finished first",
        header("stalled").get("state") == "finished",
        header("stalled").get("ended"),
    )
    checks.hold("and it is fit again once the stream is back", wait_for(is_fit, 45))


def naming(checks: Checks) -> None:
    """99-lrt.rules, on a USB device that the kernel plugs into itself: boards have these numbers and ports."""
    boards = (
        ("a Pico with our firmware, the packets' port", "239a", "80f4", 2, "02"),
        ("an Arduino", "2341", "0043", 1, "00"),
    )
    for board, vendor, product, ports, interface in boards:
        numbers = f"idVendor=0x{vendor} idProduct=0x{product}"
        _, said = sh(
            f"modprobe dummy_hcd; modprobe g_serial use_acm=1 n_ports={ports} {numbers}; "
            "udevadm settle; sleep 2; udevadm settle; ls -l /dev/ttyACM* /dev/lrt-amg"
        )
        target = Path("/dev/lrt-amg").resolve()
        number = sh(f"udevadm info -q property --property=ID_USB_INTERFACE_NUM --value {target}")[1]
        checks.hold(
            f"/dev/lrt-amg is {board}",
            target.name.startswith("ttyACM") and number == interface,
            f"{target} {number} {said}",
        )
        owner = sh(f"stat -c %G:%a {target}")[1]
        checks.hold("it belongs to group dialout", owner == "dialout:660", owner)
        _, said = as_user("tech", f"test -r {target} -a -w {target} && echo may")
        checks.hold("a user in that group may open it, as a login of its own", said == "may", said)
        sh("rmmod g_serial; rmmod dummy_hcd; udevadm settle")
        checks.hold("unplugged, the name goes", not Path("/dev/lrt-amg").is_symlink())


def main() -> None:
    checks = Checks()
    for part in (naming, starting, recording, stopping, dying, stalling):
        with checks.trying(part.__name__):
            part(checks)
    checks.answer()


if __name__ == "__main__":
    main()

"""The computer as hardware/PI.md has it: users, groups, folders, rig file, unit and udev's rules.

set_up_job.py UNIT_FILE UDEV_RULES
"""

import shutil
import sys
from pathlib import Path

from checks import sh, write_rig


def set_up(unit: str, rules: str) -> None:
    """Sections 3, 5, 6 and 8 of PI.md."""
    sh("groupadd --system -f i2c; groupadd --system -f render")
    sh("useradd --system --user-group --home-dir /var/lib/lrt --shell /usr/sbin/nologin lrt")
    sh("usermod -aG i2c,video,dialout,render lrt")
    sh("useradd -m -s /bin/sh tech; usermod -aG lrt,i2c,video,dialout tech; useradd -m -s /bin/sh guest")
    sh("install -d -o lrt -g lrt -m 2770 /etc/lrt")
    write_rig(Path("/etc/lrt/rig.toml"))
    sh("chown lrt:lrt /etc/lrt/rig.toml; chmod 0640 /etc/lrt/rig.toml")
    shutil.copy(unit, "/etc/systemd/system/lrt.service")
    shutil.copy(rules, "/etc/udev/rules.d/")
    subsystems = "--subsystem-match=i2c-dev --subsystem-match=video4linux"
    sh(f"udevadm control --reload; udevadm trigger {subsystems}; systemctl daemon-reload")


set_up(*sys.argv[1:3])

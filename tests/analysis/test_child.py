"""Foreign programs end with us, however we end."""

import signal
import subprocess
import sys
import time

import pytest

from analysis.synthesis import child
from pact_hw.errors import InputError

WAITS = "import os, time; open('pid', 'w').write(str(os.getpid())); time.sleep(60)"
RUNS = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored in jobs of the background
from analysis.synthesis import child
child.run("it", [sys.executable, "-c", sys.argv[1]], folder=Path(sys.argv[2]), timeout=60)
"""


def is_there(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().split()[2] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_us_ends_the_child(tmp_path, number):
    end = time.monotonic() + 30
    command = [sys.executable, "-c", RUNS, WAITS, str(tmp_path)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as us:
        try:
            while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
                assert time.monotonic() < end
                time.sleep(0.02)
            us.send_signal(number)
            assert us.wait(20) != 0
        finally:
            us.kill()
    pid = int((tmp_path / "pid").read_text())
    while is_there(pid):
        assert time.monotonic() < end, "it outlives us"
        time.sleep(0.02)


def test_a_childs_own_error_is_told(tmp_path):
    command = [sys.executable, "-c", "print('ERROR: no such cell'); raise SystemExit(3)"]
    with pytest.raises(InputError, match=r"^it stopped with status 3: no such cell$"):
        child.run("it", command, folder=tmp_path, timeout=20)
    assert child.run("it", [sys.executable, "-c", "print(1)"], folder=tmp_path, timeout=20) == "1\n"

"""What the other scripts here share: a service's processes that run Trac, requests, wrk."""

from __future__ import annotations

import json
import os
import pathlib
import statistics
import subprocess
import sys
import time
import typing as t
import urllib.error
import urllib.request

# Without it, Trac would make a session for each request.
COOKIE = "trac_session=bench0123456789abcdefghi; trac_form_token=0123456789abcdef01234567"
CONNECTIONS = 8
HERE = pathlib.Path(__file__).resolve().parent


class Service(t.NamedTuple):
    """A service of systemd, and what the processes are called that run Trac, if that tells them."""

    unit: str
    title: str

    def processes(self) -> set[int]:
        found = set()
        for each in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                inside = f"/{self.unit}.service" in (each / "cgroup").read_text()
                if inside and self._runs_trac(each):
                    found.add(int(each.name))
            except (FileNotFoundError, ProcessLookupError):
                continue
        return found

    def _runs_trac(self, process: pathlib.Path) -> bool:
        if self.title:
            return self.title in (process / "cmdline").read_text()
        return "/_sqlite3." in (process / "maps").read_text()

    def cpu(self) -> float:
        """Seconds that these processes have used of the processors."""
        ticks = 0
        for process in self.processes():
            fields = pathlib.Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self, what: str = "Pss") -> list[float]:
        """Megabytes of each process: Pss counts shared ones in parts, Rss in full."""
        return [self._memory(process, what) for process in sorted(self.processes())]

    def _memory(self, process: int, what: str) -> float:
        for line in pathlib.Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith(f"{what}:"):
                return int(line.split()[1]) / 1024
        return 0.0

    def reload(self) -> None:
        """A graceful restart, as Apache calls it."""
        tell = ["/usr/bin/systemctl", "kill", "--kill-who=main", "--signal=USR1", self.unit]
        subprocess.run(tell, check=True)


def fetch(url: str) -> tuple[float, str]:
    """Milliseconds until the whole page was there, and the page. Anything but 200 is an end."""
    request = urllib.request.Request(url, headers={"Cookie": COOKIE})
    begin = time.perf_counter()
    try:
        with urllib.request.urlopen(request, timeout=300) as answer:
            text = answer.read()
    except (urllib.error.URLError, OSError) as error:
        sys.exit(f"{url}: {error}")
    return (time.perf_counter() - begin) * 1000, text.decode("utf-8", "replace")


def median_of(url: str, times: int) -> float:
    return statistics.median(fetch(url)[0] for _time in range(times))


def start_wrk(
    url: str,
    seconds: int,
    connections: int = CONNECTIONS,
    headers: tuple[str, ...] = (),
    exact: bool = False,
) -> subprocess.Popen[str]:
    command = ["/usr/bin/wrk", "--threads=1", f"--connections={connections}"]
    command += [f"--duration={seconds}s", "--timeout=60s", f"--script={HERE / 'wrk.lua'}"]
    for header in (f"Cookie: {COOKIE}", *headers):
        command += ["--header", header]
    env = {**os.environ, "EXACT": str(int(exact)), "CONNECTIONS": str(connections)}
    return subprocess.Popen([*command, url], stdout=subprocess.PIPE, text=True, env=env)


def end_wrk(running: subprocess.Popen[str]) -> dict[str, float]:
    output, _none = running.communicate()
    if running.returncode:
        sys.exit(f"wrk: {output}")
    found: dict[str, float] = json.loads(output.strip().splitlines()[-1])
    return found

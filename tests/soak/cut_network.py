"""Story of a fleet whose owner loses its network: python -m tests.soak.cut_network, in network and mount namespaces.

The owner "far" runs in a namespace of its own, 10.9.0.2; the servers and the standby "near" stay here, 10.9.0.1. A cut
drops packets, so that sockets hang instead of being refused.
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from urllib.parse import urlsplit

from tests.support.bridge import REMOTE_WRITE, drift_rules, expected_id, steps, whole_second, write_script
from tests.support.fleet import Fleet, fleet, replica
from tests.support.keyed import KeyedReceiver
from tests.support.postgres import Postgres, postgres
from tests.support.processes import wait_until
from tests.support.servers import Prometheus, http, prometheus

SECOND = 1000
LEASE = 6.0  # seconds
HERE, THERE = "10.9.0.1", "10.9.0.2"
IN_FAR = ["ip", "netns", "exec", "far"]


def run(*words: str) -> str:
    """Run a command and return its output."""
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, f"{words}\n{done.stdout}{done.stderr}"
    return done.stdout


def connect_namespaces() -> None:
    """Create the namespace far, and let both sides reach the servers of this loopback interface at HERE."""
    run("mkdir", "-p", "/run/netns")
    run("mount", "-t", "tmpfs", "tmpfs", "/run/netns")  # of this mount namespace: nothing remains
    for command in (
        "ip link set lo up", "ip netns add far", "ip link add near type veth peer name far netns far",
        f"ip addr add {HERE}/24 dev near", "ip link set near up", f"ip -n far addr add {THERE}/24 dev far",
        "ip -n far link set far up", "ip -n far link set lo up", "sysctl -qw net.ipv4.conf.near.route_localnet=1",
        f"iptables -t nat -A PREROUTING -i near -d {HERE} -p tcp -j DNAT --to-destination 127.0.0.1",
        f"iptables -t nat -A OUTPUT -d {HERE} -p tcp -j DNAT --to-destination 127.0.0.1",
    ):  # fmt: skip
        run(*command.split())


def at_both(url: str) -> str:
    """Return the URL of a local server as both sides reach it."""
    return url.replace("127.0.0.1", HERE)


def port_of(url: str) -> str:
    return str(urlsplit(url).port)


def cut(port: str, *, to: bool = True, answers: bool = True) -> None:
    """Drop the packets of the far side to a port, those that come back, or both."""
    if to:
        run(*IN_FAR, "iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", port, "-j", "DROP")
    if answers:
        run(*IN_FAR, "iptables", "-A", "INPUT", "-p", "tcp", "--sport", port, "-j", "DROP")


def heal() -> None:
    """Let every packet pass."""
    run(*IN_FAR, "iptables", "-F")


def count_from_now(port: str) -> None:
    """Count the packets with data that the far side sends to a port from now on."""
    run(*IN_FAR, "iptables", "-A", "OUTPUT", "-p", "tcp", "--dport", port, "--tcp-flags", "PSH", "PSH")


def counted(port: str) -> int:
    """Return the number of packets with data since count_from_now."""
    listed = run(*IN_FAR, "iptables", "-L", "OUTPUT", "-v", "-x", "-n")
    found = re.findall(rf"^\s*(\d+).*dpt:{port} flags:0x08/0x08", listed, re.MULTILINE)
    assert found, listed
    return int(found[0])


class Story:
    """The fleet and its servers."""

    def __init__(self, made: Fleet, source: Prometheus, webhook: KeyedReceiver, cluster: Postgres) -> None:
        self.made, self.source, self.webhook = made, source, webhook
        self.database_port = str(cluster.port)
        self.near = replica(made.folder, "near", lease=LEASE)
        self.far = replica(made.folder, "far", lease=LEASE, host=THERE)
        self.far.program.command = [*IN_FAR, *self.far.program.command]
        made.replicas += [self.far, self.near]
        self.far.start()
        assert made.owner() is self.far
        self.near.start()

    def logs(self) -> str:
        return "\n".join(f"--- {item.name}\n{item.program.log[-3000:]}" for item in self.made.replicas)

    def breach(self, pipeline: str) -> str:
        """Let a model drift from two seconds on; return the id of its request."""
        model, begins = ("shop", pipeline, "1"), whole_second(2)
        points = steps(begins - 5 * SECOND, begins + 120 * SECOND, [(begins, begins + 90 * SECOND)])
        write_script(self.source, {model: points})
        return expected_id(model, "Drifted", begins)

    def sent_once(self, wanted: str, pipeline: str) -> None:
        """Check that the one request of a pipeline arrives."""
        wait_until(lambda: wanted in self.webhook.taken, 120, f"request of {pipeline}\n{self.logs()}")
        assert self.made.rows("SELECT id FROM requests WHERE pipeline = %s", pipeline) == [(wanted,)]

    def make_far_the_owner(self) -> None:
        """Let the near replica give the lease up, and start it again."""
        if self.made.lease()[0] != "far":
            self.near.send(signal.SIGTERM)
            wait_until(lambda: self.made.lease()[0] == "far", 60, self.logs())
            wait_until(lambda: not self.near.program.running, 60, self.logs())
            self.near.start()
        assert self.made.owner() is self.far

    def database(self) -> float:
        """Return the instant of the database's clock, in seconds."""
        return float(self.made.rows("SELECT EXTRACT(EPOCH FROM clock_timestamp())")[0][0])

    def without_prometheus(self) -> None:
        """The owner stays the owner, and catches up on the slots when Prometheus is back."""
        _, fence = self.made.lease()
        stuck = self.made.slot()
        cut(port_of(self.source.url))
        wanted = self.breach("no-prometheus")
        until = time.monotonic() + 2 * LEASE
        wait_until(lambda: time.monotonic() > until)
        assert self.made.lease() == ("far", fence), self.logs()
        assert self.made.slot() <= stuck + 10 * SECOND
        heal()
        self.sent_once(wanted, "no-prometheus")
        assert self.made.lease() == ("far", fence)
        print(json.dumps({"cut": "owner - Prometheus", "owner": "unchanged"}))

    def without_each_other(self) -> None:
        """The owner continues; the standby answers that the owner cannot be reached, within a limit."""
        _, fence = self.made.lease()
        run(*IN_FAR, "iptables", "-A", "INPUT", "-p", "tcp", "--dport", port_of(self.far.url), "-j", "DROP")
        began, listed = time.monotonic(), f"{self.near.url}/api/v1/requests"
        status, text = http("GET", listed, timeout=60)
        waited = time.monotonic() - began
        assert status == 503, f"{status} {text}"
        self.sent_once(self.breach("no-replica"), "no-replica")
        assert self.made.lease() == ("far", fence), self.logs()
        heal()
        wait_until(lambda: http("GET", listed)[0] == 200, 60, self.logs())
        print(
            json.dumps({"cut": "replica - replica", "owner": "unchanged", "status": status, "after, s": round(waited)})
        )

    def without_database(self, name: str, *, to: bool, answers: bool) -> None:
        """The standby takes over within two leases; the former owner sends nothing, and returns as a standby."""
        self.make_far_the_owner()
        _, fence = self.made.lease()
        began = self.database()
        cut(self.database_port, to=to, answers=answers)
        wait_until(lambda: self.made.lease() == ("near", fence + 1), 60, self.logs())
        since = float(self.made.rows("SELECT since FROM leases")[0][0]) / SECOND
        count_from_now(str(self.webhook.port))
        wanted = self.breach(name)
        self.sent_once(wanted, name)
        wait_until(lambda: "no longer the owner" in self.far.program.log, 60, self.logs())
        assert counted(str(self.webhook.port)) == 0
        heal()
        count_from_now(str(self.webhook.port))
        healed = time.monotonic()
        wait_until(lambda: not self.far.is_owner and self.far.ready(), 60, self.logs())
        seen = "SELECT seen_at >= EXTRACT(EPOCH FROM clock_timestamp()) * 1000 - 2000 FROM replicas WHERE id = 'far'"
        wait_until(lambda: self.made.rows(seen) == [(True,)], 120, self.logs())
        back = time.monotonic() - healed
        self.made.wait_slot(whole_second(2))
        assert counted(str(self.webhook.port)) == 0
        assert self.made.lease() == ("near", fence + 1)
        took = since - began
        print(json.dumps({"cut": name, "take-over, s": round(took, 1), "back, s": round(back, 1), "lease, s": LEASE}))
        assert took <= 2 * LEASE
        heal()


def main() -> None:
    """Run the story."""
    connect_namespaces()
    with postgres() as cluster, prometheus(flags=[REMOTE_WRITE]) as source, KeyedReceiver() as webhook:
        access = cluster.program.folder / "data" / "pg_hba.conf"
        access.write_text(f"{access.read_text()}\nhost all all 10.9.0.0/24 trust\n")
        cluster.reload()
        hooks = {"webhook_configs": [{"url": at_both(webhook.url)}]}
        with fleet(at_both(source.url), drift_rules(), hooks, at_both(cluster.database()), 0) as made:
            story = Story(made, source, webhook, cluster)
            story.sent_once(story.breach("healthy"), "healthy")
            story.without_prometheus()
            story.without_each_other()
            story.without_database("owner-database", to=True, answers=True)
            story.without_database("database-to-owner", to=False, answers=True)


if __name__ == "__main__":
    main()

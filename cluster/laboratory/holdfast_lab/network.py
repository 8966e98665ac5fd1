"""One bridge, one network namespace a machine. The bridge has a namespace of its own: the host's routing stays as it is."""

from .record import run

PREFIX_LENGTH = 24
VIRTUAL_IP = "10.77.0.10"
ADDRESSES = {
    "target": "10.77.0.2",
    "node-a": "10.77.0.11",
    "node-b": "10.77.0.12",
    "witness": "10.77.0.13",
    "client": "10.77.0.40",
}
GUEST_ADDRESS = "10.77.0.50"
# The second way to the target, `--paths 2`: a network of its own, on which nothing else is.
SECOND_ADDRESSES = {
    "target": "10.78.0.2",
    "node-a": "10.78.0.11",
    "node-b": "10.78.0.12",
}


class Network:
    def __init__(self, record):
        self.record = record
        self.lan = self.namespace("lan")
        self.paths = 1

    def namespace(self, machine):
        return f"hf-{self.record.identity}-{machine}"

    def inside(self, machine, *command):
        """The command line that runs `command` on a machine's network, in the caller's mounts and processes."""
        return ("nsenter", f"--net=/run/netns/{self.namespace(machine)}", *command)

    def up(self, guests=()):
        """`guests`: machines that bring their network along, on taps."""
        self.record.namespace(self.lan)
        run("ip", "-n", self.lan, "link", "set", "lo", "up")
        self.add_bridge("lan")
        for machine, address in ADDRESSES.items():
            if machine not in guests:
                self.add_machine(machine, address)
        if self.paths == 2:
            self.add_bridge("lan2")
            for machine, address in SECOND_ADDRESSES.items():
                if machine not in guests:
                    self.add_second_way(machine, address)

    def add_bridge(self, name):
        run("ip", "-n", self.lan, "link", "add", name, "type", "bridge", "forward_delay", "0", "stp_state", "0")
        run("ip", "-n", self.lan, "link", "set", name, "up")

    def add_second_way(self, machine, address):
        name = self.namespace(machine)
        port = f"{machine}2"
        run("ip", "link", "add", "name", port, "netns", self.lan, "type", "veth", "peer", "name", "eth1", "netns", name)
        run("ip", "-n", self.lan, "link", "set", port, "master", "lan2", "up")
        run("ip", "-n", name, "addr", "add", f"{address}/{PREFIX_LENGTH}", "dev", "eth1")
        run("ip", "-n", name, "link", "set", "eth1", "up")

    def add_machine(self, machine, address):
        name = self.namespace(machine)
        self.record.namespace(name)
        # Several queues, as a network card has them: only then do clients open further channels to one address.
        queues = ("numrxqueues", "2", "numtxqueues", "2")
        run("ip", "link", "add", *queues, "name", machine, "netns", self.lan, "type", "veth",
            "peer", *queues, "name", "eth0", "netns", name)
        run("ip", "-n", self.lan, "link", "set", machine, "master", "lan", "up")
        run("ip", "-n", name, "link", "set", "lo", "up")
        run("ip", "-n", name, "addr", "add", f"{address}/{PREFIX_LENGTH}", "dev", "eth0")
        run("ip", "-n", name, "link", "set", "eth0", "up")

    def add_island(self, name):
        """A network of its own with nothing but a loopback."""
        namespace = self.namespace(name)
        self.record.namespace(namespace)
        run("ip", "-n", namespace, "link", "set", "lo", "up")
        self.acknowledge_at_once(namespace, "local", "127.0.0.1", "dev", "lo", "table", "local", "scope", "host", "src", "127.0.0.1")

    @staticmethod
    def acknowledge_at_once(namespace, *route):
        """Without delayed acknowledgements a client that is cut off has acknowledged all that came before, and what the server
        sends next still leaves it."""
        run("ip", "-n", namespace, "route", "replace", *route, "proto", "kernel", "quickack", "1")

    def add_tap(self, name, bridge="lan"):
        run("ip", "-n", self.lan, "tuntap", "add", "dev", name, "mode", "tap")
        run("ip", "-n", self.lan, "link", "set", name, "master", bridge, "up")

    def remove_tap(self, name):
        run("ip", "-n", self.lan, "link", "delete", name, check=False)

    def link(self, machine, up, path=None):
        """The machine's cable: pulled at the bridge, so that the machine itself only sees its carrier go. `path`: 1 or 2, where
        there are two to the target; all of them otherwise."""
        if path in (None, 1):
            run("ip", "-n", self.lan, "link", "set", machine, "up" if up else "down")
        if self.paths == 2 and machine in SECOND_ADDRESSES and path in (None, 2):
            run("ip", "-n", self.lan, "link", "set", f"{machine}2", "up" if up else "down")

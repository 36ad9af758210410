"""Two hosts, and a cable between them that fails as a test says.

A host is a network namespace without a name, so it goes with its processes and leaves nothing behind, however the test ends.
The cable is two TUN devices and a thread here that carries each packet across, or does not: what is lost, late, doubled or
damaged is chosen packet by packet, and the kernel needs no module for it. Needs root, /dev/net/tun and iproute2.
"""
import ctypes
import fcntl
import heapq
import itertools
import os
import random
import select
import struct
import subprocess
import threading
import time

CLONE_NEWNET = 0x40000000
TUNSETIFF = 0x400454CA
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
PACKET_MAX = 65536
DEVICE = "cable"

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result != 0:
        error = ctypes.get_errno()
        raise AssertionError(f"{what}: {os.strerror(error)}; these tests need root, with CAP_NET_ADMIN and CAP_SYS_ADMIN")


def in_thread(function):
    """The result of |function|, run in a thread of its own: a namespace belongs to a thread."""
    outcome = []

    def run():
        try:
            outcome.append((function(), None))
        except BaseException as error:  # pylint: disable=broad-except
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    result, error = outcome[0]
    if error is not None:
        raise error
    return result


class Host:
    """A network namespace with a loopback and one end of a cable."""

    def __init__(self, address):
        self.address = address
        self.namespace, self.tun = in_thread(self.create)

    def create(self):
        check(libc.unshare(CLONE_NEWNET), "a network namespace")
        namespace = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        tun = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC | os.O_NONBLOCK)
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", DEVICE.encode(), IFF_TUN | IFF_NO_PI))
        for command in ("link set lo up", f"address add {self.address}/24 dev {DEVICE}", f"link set {DEVICE} up"):
            subprocess.run(["ip", *command.split()], check=True)
        return namespace, tun

    def run(self, function):
        """The result of |function|, which opens sockets and starts programs on this host."""
        def enter_and_run():
            check(libc.setns(self.namespace, CLONE_NEWNET), "to enter a network namespace")
            return function()

        return in_thread(enter_and_run)

    def ip(self, command):
        self.run(lambda: subprocess.run(["ip", *command.split()], check=True))

    def close(self):
        os.close(self.tun)
        os.close(self.namespace)


# What becomes of a packet: a list of (seconds until it arrives, its bytes). |to| is the address of the host it goes to.

def whole(_to, packet):
    return [(0, packet)]


def cut(_to, _packet):
    return []


def cut_towards(address):
    return lambda to, packet: [] if to == address else [(0, packet)]


def late(seconds):
    return lambda _to, packet: [(seconds, packet)]


def lossy(fraction):
    chance = random.Random(1)
    return lambda _to, packet: [] if chance.random() < fraction else [(0, packet)]


def disordered():
    """Of twelve packets three overtake others, three come twice, and one is damaged, which TCP's checksum tells."""
    counter = itertools.count()

    def fate(_to, packet):
        number = next(counter)
        if number % 12 == 5:
            packet = packet[:-1] + bytes([packet[-1] ^ 0x55])
        if number % 4 == 2:
            return [(0, packet), (0.02, packet)]
        return [(0.01 if number % 4 == 1 else 0, packet)]

    return fate


def tcp_flow(packet):
    """The two ports of a packet of TCP over IPv4, in no order; None: another packet."""
    if packet[0] >> 4 != 4 or packet[9] != 6:
        return None
    header_len = (packet[0] & 15) * 4
    return frozenset(struct.unpack_from(">HH", packet, header_len))


def forgetful(flows):
    """As a gateway that has forgotten |flows|: nothing of them passes, while new ones do."""
    return lambda _to, packet: [] if tcp_flow(packet) in flows else [(0, packet)]


class Cable:
    """Carries packets between two hosts, each by |fate|, which a test may change at any time."""

    def __init__(self, left, right):
        self.ends = {left.tun: right, right.tun: left}
        self.fate = whole
        self.flows = set()
        self.carried_count = 0
        self.lost_count = 0
        self.late = []
        self.stop_read, self.stop_write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.thread = threading.Thread(target=self.carry, daemon=True)
        self.thread.start()

    def carry(self):
        poll = select.poll()
        for fd in (*self.ends, self.stop_read):
            poll.register(fd, select.POLLIN)
        numbers = itertools.count()
        while True:
            wait_s = self.late[0][0] - time.monotonic() if self.late else None
            ready = [fd for fd, _ in poll.poll(None if wait_s is None else max(0, wait_s * 1000))]
            if self.stop_read in ready:
                return
            for fd in ready:
                self.take(fd, numbers)
            while self.late and self.late[0][0] <= time.monotonic():
                _, _, tun, packet = heapq.heappop(self.late)
                self.put(tun, packet)

    def take(self, fd, numbers):
        try:
            packet = os.read(fd, PACKET_MAX)
        except OSError:
            return  # the device is down
        to = self.ends[fd]
        flow = tcp_flow(packet)
        if flow is not None:
            self.flows.add(flow)
        fate = self.fate(to.address, packet)
        self.carried_count += 1
        self.lost_count += not fate
        for seconds, changed in fate:
            if seconds == 0:
                self.put(to.tun, changed)
            else:
                heapq.heappush(self.late, (time.monotonic() + seconds, next(numbers), to.tun, changed))

    def put(self, tun, packet):
        try:
            os.write(tun, packet)
        except OSError:
            self.lost_count += 1  # the device is down

    def close(self):
        os.write(self.stop_write, b"x")
        self.thread.join()
        os.close(self.stop_read)
        os.close(self.stop_write)

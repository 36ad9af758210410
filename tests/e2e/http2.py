"""HTTP/2 by hand, for what no client of gRPC would send. Source: RFC 9113; RFC 7541 for headers."""
import socket
import struct

from harness import PATIENCE

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, WINDOW_UPDATE, CONTINUATION = 0, 1, 3, 4, 6, 7, 8, 9
END_STREAM, ACK, END_HEADERS = 1, 1, 4
CANCEL = 8
FRAME_MAX = 16384


def frame(kind, flags=0, payload=b"", stream=0):
    return struct.pack(">I", len(payload))[1:] + bytes((kind, flags)) + struct.pack(">I", stream) + payload


def read_exactly(connection, count):
    data = b""
    while len(data) < count:
        piece = connection.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def read_frame(connection):
    """(kind, flags, stream, payload)"""
    head = read_exactly(connection, 9)
    payload = read_exactly(connection, int.from_bytes(head[:3], "big"))
    return head[3], head[4], int.from_bytes(head[5:], "big"), payload


def integer(value, prefix_bits, first=0):
    """RFC 7541 section 5.1."""
    most = (1 << prefix_bits) - 1
    if value < most:
        return bytes([first | value])
    out = [first | most]
    value -= most
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes(out + [value])


def text(value):
    return integer(len(value), 7) + value


def header(name, value):
    """A literal that is not kept in the table."""
    return b"\0" + text(name) + text(value)


def request_headers(method, *more):
    return b"".join(header(name, value) for name, value in (
        (b":method", b"POST"), (b":scheme", b"http"), (b":path", f"/modelarts.v1.ModelArtsService/{method}".encode()),
        (b":authority", b"bridge"), (b"te", b"trailers"), (b"content-type", b"application/grpc"),
        (b"x-auth-token", b"sim-token"), *more))


def call_frames(stream, method, message, *headers):
    """The frames of one whole call."""
    data = b"\0" + struct.pack(">I", len(message)) + message
    return frame(HEADERS, END_HEADERS, request_headers(method, *headers), stream) + frame(DATA, END_STREAM, data, stream)


def connect(address, settings=b""):
    """A connection that has said hello."""
    host, port = address.rsplit(":", 1)
    connection = socket.create_connection((host, int(port)), timeout=PATIENCE)
    connection.sendall(PREFACE + frame(SETTINGS, 0, settings))
    return connection

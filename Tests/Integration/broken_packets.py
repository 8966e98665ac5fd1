"""Sends packets that no client sends. The server may close the connection or answer with an error; it must not stop.

Bounded: a fixed list and a fixed seed, one connection each, each answer awaited for at most a second.
"""

import random
import socket
import struct
import sys


def framed(payload, length=None):
    return struct.pack(">I", len(payload) if length is None else length) + payload


def header(command, body=b"", credit_charge=1, next_command=0, message_id=0, structure=64, tree=0, session=0):
    """[MS-SMB2] 2.2.1.2."""
    return struct.pack(
        "<4sHHIHHIIQIIQ16s", b"\xfeSMB", structure, credit_charge, 0, command, 1, 0, next_command, message_id, 0, tree,
        session, bytes(16)) + body


NEGOTIATE = struct.pack("<HHHHI16sQ", 36, 2, 1, 0, 0x7F, bytes(range(16)), 0) + struct.pack("<HH", 0x0202, 0x0210)


def cases():
    yield "nothing", b""
    yield "an empty message", framed(b"")
    yield "half a length", b"\0\0"
    yield "a length of 16 MiB and no more", framed(b"", 0xFFFFFF)
    yield "a frame that is not a session message", b"\x85\0\0\0"
    yield "text", b"GET / HTTP/1.1\r\n\r\n"
    yield "only the protocol's name", framed(b"\xfeSMB")
    yield "an SMB1 header cut short", framed(b"\xffSMBr")
    yield "SMB1 dialects without an end", framed(b"\xffSMBr" + bytes(27) + b"\0\xff\xff\x02SMB 2.???")
    yield "a transform header without a session", framed(b"\xfdSMB" + bytes(60))
    yield "a compressed message that nobody negotiated", framed(b"\xfcSMB" + bytes(60))
    good = header(0, NEGOTIATE)
    for count in range(4, len(good)):
        yield f"NEGOTIATE cut to {count} bytes", framed(good[:count])
    yield "more dialects than bytes", framed(header(0, NEGOTIATE[:2] + b"\xff\xff" + NEGOTIATE[4:]))
    yield "no dialect", framed(header(0, NEGOTIATE[:2] + b"\0\0" + NEGOTIATE[4:]))
    yield "a wrong header size", framed(header(0, NEGOTIATE, structure=63))
    yield "a compound that leads back to itself", framed(header(0, NEGOTIATE, next_command=1))
    yield "a compound beyond the end", framed(header(0, NEGOTIATE, next_command=0xFFFFFFF8))
    yield "two NEGOTIATEs", framed(good) + framed(header(0, NEGOTIATE, message_id=1))
    for command in range(0, 24):
        yield f"command {command} before any session", framed(good) + framed(
            header(command, bytes(64), message_id=1, session=1, tree=1))
        yield f"command {command} before NEGOTIATE", framed(header(command, bytes(64)))
    security = struct.pack("<HBBIIHHQ", 25, 0, 1, 0, 0, 0xFFF0, 0xFFFF, 0)
    yield "a security buffer outside the message", framed(good) + framed(header(1, security, message_id=1))
    token = b"\x60\x84\xff\xff\xff\xff" + bytes(40)
    setup = struct.pack("<HBBIIHHQ", 25, 0, 1, 0, 0, 88, len(token), 0) + token
    yield "SPNEGO with an enormous length", framed(good) + framed(header(1, setup, message_id=1))
    seeded = random.Random(20)
    for index in range(300):
        bytes_sent = bytearray(framed(good) + framed(header(1, setup, message_id=1)))
        for _ in range(seeded.randint(1, 12)):
            bytes_sent[seeded.randrange(len(bytes_sent))] = seeded.randrange(256)
        yield f"mutation {index}", bytes(bytes_sent)


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    sent = 0
    for name, payload in cases():
        try:
            with socket.create_connection((host, port), timeout=5) as connection:
                connection.sendall(payload)
                connection.shutdown(socket.SHUT_WR)
                connection.settimeout(1)
                while connection.recv(65536):
                    pass
        except (TimeoutError, ConnectionResetError, BrokenPipeError):
            pass
        except OSError as error:
            print(f"after '{name}' the server takes no connection: {error}")
            return 1
        sent += 1
    print(f"{sent} broken packets")
    return 0


sys.exit(main())

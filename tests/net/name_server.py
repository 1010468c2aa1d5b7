"""A name server for tests: answers A questions from a file, UDP and TCP, and writes down each question.

    name_server.py ADDRESS ZONE LOG [--truncate]      --truncate: over UDP every answer is cut off before its first record

ZONE has a line `NAME ADDRESS` for each record and is read anew for each question. LOG gets a line `udp|tcp TYPE NAME`.
"""
import socket
import struct
import sys
import threading

address, zone, log = sys.argv[1:4]
truncate = "--truncate" in sys.argv[4:]
A = 1


def question_of(message):
    labels, at = [], 12
    while message[at]:
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels).lower(), struct.unpack(">H", message[at + 1:at + 3])[0], at + 5


def answer(message, transport):
    name, kind, end = question_of(message)
    with open(log, "a") as out:
        out.write(f"{transport} {kind} {name}\n")
    with open(zone) as lines:
        records = [line.split()[1] for line in lines if line.split()[0] == name]
    addresses = records if kind == A else []
    flags = 0x8180 | (0 if records else 3)
    if transport == "udp" and truncate:
        flags, addresses = flags | 0x0200, []
    body = b"".join(struct.pack(">HHHIH", 0xc00c, A, 1, 1, 4) + socket.inet_aton(a) for a in addresses)
    return message[:2] + struct.pack(">HHHHH", flags, 1, len(addresses), 0, 0) + message[12:end] + body


def serve_stream(stream):
    with stream, stream.makefile("rb") as incoming:
        while len(length := incoming.read(2)) == 2:
            said = answer(incoming.read(struct.unpack(">H", length)[0]), "tcp")
            stream.sendall(struct.pack(">H", len(said)) + said)


def serve_streams(listener):
    while True:
        threading.Thread(target=serve_stream, args=(listener.accept()[0],), daemon=True).start()


listener = socket.create_server((address, 53))
datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
datagrams.bind((address, 53))
threading.Thread(target=serve_streams, args=(listener,), daemon=True).start()
open(log, "a").close()  # it answers from now on
while True:
    asked, who = datagrams.recvfrom(4096)
    datagrams.sendto(answer(asked, "udp"), who)

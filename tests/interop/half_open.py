#!/usr/bin/env python3
"""A flood of half-open IKE SAs: half_open.py ADDRESS NUMBER SOURCE... sends that many well-formed IKE_SA_INIT requests, each with an SPI of
its own and from one source after the other (AES-GCM-128, SHA2-256, Curve25519, which the tests' responder takes), and never goes on."""
import os
import socket
import struct
import sys


def payload(following, body):
    return struct.pack(">BBH", following, 0, 4 + len(body)) + body


def transform(last, kind, number, attributes=b""):
    return struct.pack(">BBHBBH", 0 if last else 3, 0, 8 + len(attributes), kind, 0, number) + attributes


key_length_128 = struct.pack(">HH", 0x800E, 128)
transforms = transform(False, 1, 20, key_length_128) + transform(False, 2, 5) + transform(True, 4, 31)
proposal = struct.pack(">BBHBBBB", 0, 0, 8 + len(transforms), 1, 1, 0, 3) + transforms
sockets = []
for source in sys.argv[3:]:
    sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    sockets[-1].bind((source, 0))
for number in range(int(sys.argv[2])):
    body = payload(34, proposal) + payload(40, struct.pack(">HH", 31, 0) + os.urandom(32)) + payload(0, os.urandom(32))
    sockets[number % len(sockets)].sendto(os.urandom(8) + bytes(8) + struct.pack(">BBBBII", 33, 0x20, 34, 0x08, 0, 28 + len(body)) + body,
                                             (sys.argv[1], 500))

"""A small IKEv2 peer for tests/interop/odd: scapy builds and reads its messages, and nothing in it checks whether they make sense. PSK,
AES-GCM-16-128, HMAC-SHA2-256, Curve25519; UDP 4500 or a TCP stream (RFC 9329), initiator or responder; ESP enough for a ping."""
import hashlib
import hmac
import os
import select
import socket
import ssl
import struct

from scapy.config import conf
conf.ipv6_enabled = False
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from scapy.contrib.ikev2 import (IKEv2, IKEv2_payload, IKEv2_payload_Proposal, IKEv2_payload_Transform, IPv4TrafficSelector)
from scapy.layers.inet import ICMP, IP
from scapy.packet import Raw

SA_INIT, AUTH_EXCHANGE, CREATE_CHILD, INFORMATIONAL = 34, 35, 36, 37
SA, KE, IDI, IDR, CERTREQ, AUTH, NONCE, NOTIFY, DELETE, VENDOR, TSI, TSR, SK, CP, SKF = 33, 34, 35, 36, 38, 39, 40, 41, 42, 43, 44, 45, 46, 47, 53
INITIATOR, VERSION, RESPONSE = 0x08, 0x10, 0x20
UNSUPPORTED_CRITICAL, INVALID_IKE_SPI, INVALID_MAJOR_VERSION, INVALID_SYNTAX, NO_PROPOSAL, INVALID_KE, AUTHENTICATION_FAILED, \
    NO_ADDITIONAL_SAS, TS_UNACCEPTABLE, TEMPORARY_FAILURE, CHILD_SA_NOT_FOUND = 1, 4, 5, 7, 14, 17, 24, 35, 38, 43, 44
INITIAL_CONTACT, SET_WINDOW_SIZE, COOKIE, USE_TRANSPORT_MODE, REKEY_SA, FRAGMENTATION = 16384, 16385, 16390, 16391, 16393, 16430
GCM, SHA256, X25519 = 20, 5, 31
PSK = b"correct horse battery staple"


class Unexpected(Exception):
    pass


def must(true, what, *seen):
    if not true:
        raise Unexpected(what + "".join(f"; {s!r}" for s in seen))


def prf(key, data):
    return hmac.new(key, data, hashlib.sha256).digest()


def prf_plus(key, seed, length):
    out = last = b""
    number = 1
    while len(out) < length:
        last = prf(key, last + seed + bytes([number]))
        out += last
        number += 1
    return out[:length]


# --- payloads: (type, body) or (type, body, flags octet) ---

def chain(payloads, follows=0):
    """(type of the first, octets)"""
    octets = b""
    for kind, body, *flags in reversed(payloads):
        octets = bytes(IKEv2_payload(next_payload=follows, flags=flags[0] if flags else 0, load=bytes(body))) + octets
        follows = kind
    return follows, octets


def unchain(first, octets):
    out = []
    while first:
        must(len(octets) >= 4, "a payload is cut off", octets)
        following, length = octets[0], struct.unpack(">H", octets[2:4])[0]
        must(4 <= length <= len(octets), "a payload has a wrong length", length)
        out.append((first, octets[4:length]))
        first, octets = (0 if first in (SK, SKF) else following), octets[length:]
    must(octets == b"", "octets are left over", octets)
    return out


def transform(kind, number, bits=None, attributes=b""):
    one = IKEv2_payload_Transform(next_payload=3, transform_type=kind, transform_id=number, length=8 + (4 if bits else 0) + len(attributes))
    if bits:
        one.length = 12
        one.key_length = bits
    octets = bytes(one) + attributes
    return octets[:2] + struct.pack(">H", len(octets)) + octets[4:]


IKE_TRANSFORMS = [transform(1, GCM, 128), transform(2, SHA256), transform(4, X25519)]
ESP_TRANSFORMS = [transform(1, GCM, 128), transform(5, 0)]


def proposal(transforms, protocol=1, spi=b"", number=1, count=None):
    body = b"".join(transforms[:-1]) + b"\0" + transforms[-1][1:]
    return bytes(IKEv2_payload_Proposal(next_payload=2, proposal=number, proto=protocol, SPIsize=len(spi), SPI=spi, length=8 + len(spi) + len(body),
                                        trans_nb=len(transforms) if count is None else count, trans=Raw(body)))


def proposals(*all_of_them):
    return b"".join(all_of_them[:-1]) + b"\0" + all_of_them[-1][1:]


def read_proposal(body):
    """of an answer: (number, protocol, SPI, [(type, id)])"""
    number, protocol, spi_length, count = body[4:8]
    spi, rest, transforms = body[8:8 + spi_length], body[8 + spi_length:], []
    for _ in range(count):
        transforms.append((rest[4], struct.unpack(">H", rest[6:8])[0]))
        rest = rest[struct.unpack(">H", rest[2:4])[0]:]
    must(rest == b"", "more than one proposal in an answer", rest)
    return number, protocol, spi, transforms


def notify(kind, data=b"", protocol=0, spi=b""):
    return NOTIFY, struct.pack(">BBH", protocol, len(spi), kind) + spi + data


def notifications(payloads):
    return {struct.unpack(">H", body[2:4])[0]: body[4 + body[1]:] for kind, body, *_ in payloads if kind == NOTIFY}


def selectors(first, last, start=0, end=65535, count=None):
    one = bytes(IPv4TrafficSelector(starting_address_v4=first, ending_address_v4=last, start_port=start, end_port=end, IP_protocol_ID=0))
    return struct.pack(">BBH", 1 if count is None else count, 0, 0) + one


WEST, EAST = selectors("10.1.0.0", "10.1.0.255"), selectors("10.2.0.0", "10.2.0.255")


def delete(spis, protocol=3, size=4):
    return DELETE, struct.pack(">BBH", protocol, size, len(spis)) + b"".join(spis)


# --- what carries messages ---

class Udp:
    def __init__(self, local, remote, port=0, remote_port=4500):
        self.socket = socket.socket(socket.AF_INET6 if ":" in local else socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind((local, port))
        self.remote = (remote, remote_port)

    def ike(self, message):
        self.socket.sendto((b"" if self.remote[1] == 500 else bytes(4)) + message, self.remote)

    def esp(self, packet):
        self.socket.sendto(packet, self.remote)

    def receive(self, seconds):
        """(True, IKE message) or (False, ESP packet); None: nothing came"""
        if not select.select([self.socket], [], [], seconds)[0]:
            return None
        octets, remote = self.socket.recvfrom(65535)
        self.remote = remote[:2]
        if self.socket.getsockname()[1] == 500 or self.remote[1] == 500:
            return True, octets
        return (True, octets[4:]) if octets[:4] == bytes(4) else (False, octets)

    def close(self):
        self.socket.close()


class Stream:
    def __init__(self, local, remote, accepted=None, step=0, tls=False):
        self.socket = accepted or socket.create_connection((remote, 443 if tls else 4500), 5, (local, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls:  # nobody's certificate is looked at (T2)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            self.socket = context.wrap_socket(self.socket)
        self.prefix, self.octets, self.step, self.closed = (b"" if accepted else b"IKETCP"), b"", step, False

    def raw(self, octets):
        octets, self.prefix = self.prefix + octets, b""
        pieces = [octets] if not self.step else [octets[i:i + self.step] for i in range(0, len(octets), self.step)]
        for piece in pieces:
            self.socket.sendall(piece)

    def ike(self, message):
        self.raw(struct.pack(">HI", 6 + len(message), 0) + message)

    def esp(self, packet):
        self.raw(struct.pack(">H", 2 + len(packet)) + packet)

    def frame(self):
        if len(self.octets) < 2 or len(self.octets) < struct.unpack(">H", self.octets[:2])[0]:
            return None
        length = struct.unpack(">H", self.octets[:2])[0]
        frame, self.octets = self.octets[2:length], self.octets[length:]
        return (True, frame[4:]) if frame[:4] == bytes(4) else (False, frame)

    def receive(self, seconds):
        while (frame := self.frame()) is None:
            waits = isinstance(self.socket, ssl.SSLSocket) and self.socket.pending()
            if self.closed or not (waits or select.select([self.socket], [], [], seconds)[0]):
                return None
            try:
                come = self.socket.recv(65535)
            except ssl.SSLWantReadError:
                continue
            except (ConnectionResetError, ssl.SSLError):
                come = b""
            self.closed = come == b""
            self.octets += come
        return frame

    def ends(self, seconds=3):
        while self.receive(seconds):
            pass
        return self.closed

    def close(self):
        self.socket.close()


# --- an IKE SA ---

class Peer:
    """Both roles; `initiator` is who began this IKE SA. request(...) sends and returns the payloads of the answer."""

    def __init__(self, carrier, initiator=True, identity=b"west", remote=b"east"):
        self.carrier, self.initiator, self.identity, self.remote = carrier, initiator, identity, remote
        self.secret = X25519PrivateKey.generate()
        self.public = self.secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        self.spi_i, self.spi_r, self.nonce, self.id, self.keys = os.urandom(8), bytes(8), os.urandom(32), 0, None
        self.iv, self.last_sent, self.last_raw, self.children = 1, b"", b"", {}
        self.requests_seen, self.flags_extra, self.version = [], 0, 0x20
        self.reply = lambda exchange, payloads: []  # to what it asks: payloads; None: silence

    # sealing

    def header(self, exchange, first, length, response=False, number=None, **odd):
        flags = odd.get("flags", (INITIATOR if self.initiator else 0) | (RESPONSE if response else 0)) | self.flags_extra
        return bytes(IKEv2(init_SPI=odd.get("spi_i", self.spi_i), resp_SPI=odd.get("spi_r", self.spi_r), next_payload=first, exch_type=exchange,
                           version=odd.get("version", self.version), flags=flags, id=self.id if number is None else number,
                           length=28 + length + odd.get("longer", 0)))

    def bare(self, exchange, payloads, raw=None, **odd):
        first, octets = chain(payloads) if raw is None else raw
        return self.header(exchange, first, len(octets), **odd) + octets

    def seal(self, exchange, payloads, raw=None, fragment=None, padding=b"\0", before=(), **odd):
        """SK, or with fragment=(number, total) SKF; before: payloads in the clear in front of it"""
        first, inner = chain(payloads) if raw is None else raw
        key, salt = self.keys["ei" if self.initiator else "er"]
        iv = struct.pack(">Q", self.iv)
        self.iv += 1
        middle = struct.pack(">HH", *fragment) if fragment else b""
        text = inner + padding
        sk = struct.pack(">BBH", first, 0, 4 + len(middle) + 8 + len(text) + 16) + middle
        outer, clear = chain(before, SKF if fragment else SK)
        head = self.header(exchange, outer, len(clear) + len(sk) + 8 + len(text) + 16, **odd) + clear + sk
        return head + iv + AESGCM(key).encrypt(salt + iv, text, head)

    def open(self, message):
        key, salt = self.keys["er" if self.initiator else "ei"]
        must(message[16] == SK, "the message is not protected", message[16])
        head, iv, text = message[:32], message[32:40], message[40:]
        plain = AESGCM(key).decrypt(salt + iv, text, head)
        return unchain(message[28], plain[:-1 - plain[-1]])

    # sending and receiving

    def send(self, message):
        self.last_sent = message
        self.carrier.ike(message)

    def answers_own_requests(self, message):
        """What it asks of us (liveness, deletes) is answered with nothing, as a peer must."""
        if message[19] & RESPONSE or self.keys is None or message[16] != SK:
            return False
        try:
            self.requests_seen.append((message[18], self.open(message)))
        except InvalidTag:
            return False
        number, answer = struct.unpack(">I", message[20:24])[0], self.reply(message[18], self.requests_seen[-1][1])
        if answer is not None:
            self.last_answer = self.seal(message[18], answer, response=True, number=number)
            self.carrier.ike(self.last_answer)
        return True

    def receive(self, seconds=3, wanted=None):
        """The next IKE message that is an answer: its octets; None when none came."""
        while (come := self.carrier.receive(seconds)) is not None:
            is_ike, octets = come
            if is_ike and not self.answers_own_requests(octets) and (wanted is None or wanted(octets)):
                self.last_raw = octets
                return octets
        return None

    def silent(self, seconds=0.25):
        come = self.receive(seconds)
        must(come is None, "an answer where none is due", come)

    def answer(self, seconds=3):
        message = self.receive(seconds)
        must(message is not None, "no answer")
        must(message[19] & RESPONSE, "not a response", message[19])
        must(struct.unpack(">I", message[24:28])[0] == len(message), "a wrong length in the header")
        number = struct.unpack(">I", message[20:24])[0]
        return (unchain(message[16], message[28:]) if message[16] not in (SK, SKF) else self.open(message)), number

    def request(self, exchange, payloads, raw=None, **odd):
        number = odd.get("number", self.id)
        self.send(self.seal(exchange, payloads, raw=raw, **odd))
        payloads, answered = self.answer()
        must(answered == number, "the answer is to another request", answered, number)
        if "number" not in odd:
            self.id += 1
        return payloads

    def refused(self, exchange, payloads, wanted, data=None, raw=None, **odd):
        got = notifications(self.request(exchange, payloads, raw=raw, **odd))
        must(list(got) == [wanted], f"notification {wanted} is due", got)
        must(data is None or got[wanted] == data, "its data is wrong", got)

    # IKE_SA_INIT

    def init_payloads(self):
        return [(SA, proposals(proposal(IKE_TRANSFORMS))), (KE, struct.pack(">HH", X25519, 0) + self.public), (NONCE, self.nonce)]

    def init(self, payloads=None, **odd):
        self.message_1 = self.bare(SA_INIT, payloads or self.init_payloads(), **odd)
        self.send(self.message_1)
        got, _ = self.answer()
        self.message_2 = self.last_raw
        must(dict(got).keys() >= {SA, KE, NONCE}, "no IKE_SA_INIT response", got)
        self.spi_r = self.last_raw[8:16]
        must(self.spi_r != bytes(8) and self.last_raw[:8] == self.spi_i, "wrong SPIs")
        self.peer_nonce = dict(got)[NONCE]
        self.derive(dict(got)[KE][4:])
        self.id = 1
        return got

    def init_refused(self, wanted, payloads=None, data=None, raw=None, **odd):
        self.send(self.bare(SA_INIT, payloads or self.init_payloads(), raw=raw, **odd))
        got, _ = self.answer()
        must(list(notifications(got)) == [wanted] and len(got) == 1, f"notification {wanted} is due", got)
        must(data is None or notifications(got)[wanted] == data, "its data is wrong", got)
        must(len(self.last_raw) <= len(self.last_sent), "the answer is longer than the question")

    def init_ignored(self, payloads=None, raw=None, **odd):
        self.send(self.bare(SA_INIT, payloads or self.init_payloads(), raw=raw, **odd))
        self.silent()

    def derive(self, peer_public):
        shared = self.secret.exchange(X25519PublicKey.from_public_bytes(peer_public))
        ni, nr = (self.nonce, self.peer_nonce) if self.initiator else (self.peer_nonce, self.nonce)
        self.take_keys(prf(ni + nr, shared), ni, nr)

    def take_keys(self, seed, ni, nr):
        octets = prf_plus(seed, ni + nr + self.spi_i + self.spi_r, 32 + 20 + 20 + 32 + 32)
        self.keys = {"d": octets[:32], "ei": (octets[32:48], octets[48:52]), "er": (octets[52:68], octets[68:72]), "pi": octets[72:104],
                     "pr": octets[104:136]}

    # IKE_AUTH

    def auth_value(self, own, id_body, psk=PSK):
        initiators = own == self.initiator
        octets = (self.message_1 if initiators else self.message_2) + (self.peer_nonce if own else self.nonce)
        return prf(prf(psk, b"Key Pad for IKEv2"), octets + prf(self.keys["pi" if initiators else "pr"], id_body))

    def auth_payloads(self, psk=PSK, id_body=None, esp=None, tsi=WEST, tsr=EAST):
        id_body = id_body or b"\x02\0\0\0" + self.identity
        self.spi_in = os.urandom(4)
        esp = esp or proposals(proposal(ESP_TRANSFORMS, 3, self.spi_in))
        return [(IDI, id_body), (AUTH, b"\x02\0\0\0" + self.auth_value(True, id_body, psk)), (SA, esp), (TSI, tsi), (TSR, tsr)]

    def take_auth(self, got):
        of = dict(got)
        must(of.keys() >= {IDR, AUTH}, "no IKE_AUTH response", got)
        must(of[IDR][4:] == self.remote, "another identity", of[IDR])
        must(of[AUTH][4:] == self.auth_value(False, of[IDR]), "its AUTH is wrong")
        if SA in of:
            _, _, spi, _ = read_proposal(of[SA])
            ni, nr = (self.nonce, self.peer_nonce) if self.initiator else (self.peer_nonce, self.nonce)
            self.add_child(self.spi_in, spi, prf_plus(self.keys["d"], ni + nr, 40), self.initiator)
        return got

    def auth(self, payloads=None, **odd):
        return self.take_auth(self.request(AUTH_EXCHANGE, payloads or self.auth_payloads(), **odd))

    def begin(self):
        self.init()
        self.auth()
        must(self.children, "no Child SA")
        return self

    def end(self):
        got = self.request(INFORMATIONAL, [delete([], 1, 0)])
        must(got == [], "a DELETE of the IKE SA is answered with nothing", got)
        self.carrier.close()

    # CREATE_CHILD_SA

    def child_payloads(self, tsi=WEST, tsr=EAST, esp=None, nonce=None, group=False):
        self.spi_in, self.child_nonce = os.urandom(4), nonce or os.urandom(32)
        transforms = ESP_TRANSFORMS + ([transform(4, X25519)] if group else [])
        payloads = [(SA, esp or proposals(proposal(transforms, 3, self.spi_in))), (NONCE, self.child_nonce), (TSI, tsi), (TSR, tsr)]
        if group:
            self.child_secret = X25519PrivateKey.generate()
            public = self.child_secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
            payloads.insert(2, (KE, struct.pack(">HH", X25519, 0) + public))
        return payloads

    def child(self, payloads=None, before=(), **odd):
        """A new one, or with before=[REKEY_SA] another's successor; (our SPI, its SPI)"""
        return self.take_child(self.request(CREATE_CHILD, list(before) + (payloads or self.child_payloads()), **odd))

    def take_child(self, got):
        of = dict(got)
        must(of.keys() >= {SA, NONCE, TSI, TSR}, "no CREATE_CHILD_SA response", of)
        _, _, spi, _ = read_proposal(of[SA])
        shared = self.child_secret.exchange(X25519PublicKey.from_public_bytes(of[KE][4:])) if KE in of else b""
        self.add_child(self.spi_in, spi, prf_plus(self.keys["d"], shared + self.child_nonce + of[NONCE], 40), True)
        return self.spi_in, spi

    def add_child(self, spi_in, spi_out, keymat, began):
        ours, theirs = (keymat[:20], keymat[20:]) if began else (keymat[20:], keymat[:20])
        self.children[spi_in] = {"out": spi_out, "send": ours, "take": theirs, "number": 0}

    def rekey_ike(self):
        """CREATE_CHILD_SA for the IKE SA itself; the successor as a Peer, with this one deleted"""
        spi, nonce, secret = os.urandom(8), os.urandom(32), X25519PrivateKey.generate()
        public = secret.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        of = dict(self.request(CREATE_CHILD, [(SA, proposals(proposal(IKE_TRANSFORMS, 1, spi))), (NONCE, nonce),
                                              (KE, struct.pack(">HH", X25519, 0) + public)]))
        must(of.keys() >= {SA, NONCE, KE}, "no response to a rekey of the IKE SA", of)
        following = Peer(self.carrier, True, self.identity, self.remote)
        following.spi_i, following.spi_r, following.children = spi, read_proposal(of[SA])[2], self.children
        shared = secret.exchange(X25519PublicKey.from_public_bytes(of[KE][4:]))
        following.take_keys(prf(self.keys["d"], shared + nonce + of[NONCE]), nonce, of[NONCE])
        must(self.request(INFORMATIONAL, [delete([], 1, 0)]) == [], "the old IKE SA is deleted")
        return following

    # ESP

    def esp(self, spi_in, inner, following=4, padding=0):
        child = self.children[spi_in]
        child["number"] += 1
        pad = -(len(inner) + padding + 2) % 4
        text = inner + bytes(padding) + bytes(range(1, pad + 1)) + bytes([pad, following])
        head, iv = child["out"] + struct.pack(">I", child["number"]), struct.pack(">Q", child["number"])
        return head + iv + AESGCM(child["send"][:16]).encrypt(child["send"][16:] + iv, text, head)

    def ping(self, spi_in=None, **odd):
        spi_in = spi_in or list(self.children)[-1]
        number = int.from_bytes(os.urandom(2), "big")
        for _ in range(6):  # the first may come before the route that takes its answer back
            self.carrier.esp(self.esp(spi_in, bytes(IP(src="10.1.0.1", dst="10.2.0.1") / ICMP(id=number) / Raw(b"odd")), **odd))
            if self.echoed(number):
                return
        raise Unexpected("no answer to a ping through the tunnel")

    def echoed(self, number):
        while (come := self.carrier.receive(0.5)) is not None:
            if come[0]:
                self.answers_own_requests(come[1])
                continue
            packet, child = come[1], self.children.get(come[1][:4])
            must(child is not None, "ESP for a Child SA that is not ours", packet[:4])
            plain = AESGCM(child["take"][:16]).decrypt(child["take"][16:] + packet[8:16], packet[16:], packet[:8])
            reply = IP(plain[:-2 - plain[-2]])
            if reply.haslayer(ICMP) and reply[ICMP].type == 0 and reply[ICMP].id == number:
                return True
        return False

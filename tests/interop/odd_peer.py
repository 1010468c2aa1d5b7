"""What an odd peer sends to a real daemon, and the answer that is due: odd_peer.py CONTROL IKETCP PID [NAME-PART], run in the lab's west. One
TAP line for each; behind each the daemon must live (both processes), and its status must be as expected. --list names them."""
import contextlib
import json
import subprocess
import sys
import time

from odd_ike import *

WEST_ADDRESS, EAST_ADDRESS = "192.0.2.10", "198.51.100.10"
WEST_SIX, EAST_SIX = "2001:db8:1::10", "2001:db8:2::10"
scenarios = []


def scenario(function):
    scenarios.append(function)
    return function


class Daemon:
    def __init__(self, control, iketcp, pid):
        self.command, self.pid = [iketcp, "--control", control], pid
        self.engine = self.children()

    def children(self):
        with open(f"/proc/{self.pid}/task/{self.pid}/children", encoding="ascii") as file:
            return file.read().split()

    def connections(self):
        shown = subprocess.run([*self.command, "status", "--json"], capture_output=True, text=True, timeout=10, check=True)
        return json.loads(shown.stdout)["connections"]

    def up(self):
        return [c for c in self.connections() if c["ike_sa"]]

    def lives(self):
        must(self.children() == self.engine and self.engine, "the daemon ended or its engine was begun again", self.children())

    def has(self, ike_sas, child_sas=None, transport=None):
        """within 2 s the status says so"""
        for _ in range(20):
            up = [c for c in self.up() if c["state"] == "up"]
            if len(up) == ike_sas and (child_sas is None or sum(len(c["child_sas"]) for c in up) == child_sas):
                must(transport is None or all(c["transport"] == transport for c in up), "another transport", up)
                return up
            time.sleep(0.1)
        raise Unexpected(f"status: {ike_sas} IKE SAs and {child_sas} Child SAs are due, but it is {up}")

    def begins(self, name):
        return subprocess.Popen([*self.command, "up", name], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def rekeys(self, name, *what):
        return subprocess.run([*self.command, "rekey", *what, name], capture_output=True, text=True, timeout=10, check=True)

    def goes(self, name):
        return subprocess.Popen([*self.command, "down", name], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def udp(**odd):
    return Peer(Udp(WEST_ADDRESS, EAST_ADDRESS), **odd)


def tcp(step=0, **odd):
    return Peer(Stream(WEST_ADDRESS, EAST_ADDRESS, step=step), **odd)


# --- legal: before there is an IKE SA ---

@scenario
def payloads_in_another_order_are_read_all_the_same(daemon):
    for peer in udp(), tcp():
        peer.init([(VENDOR, b"first of all"), *reversed(peer.init_payloads())])
        peer.auth(list(reversed(peer.auth_payloads())))
        peer.ping()
        peer.child(list(reversed(peer.child_payloads())))
        daemon.has(1, 2)
        peer.end()


@scenario
def unknown_payloads_notifications_and_vendors_are_passed_over(daemon):
    strange = [(200, b"what is this"), (49, b""), (1, b"of IKEv1"), (127, bytes(1000), 0x7f), (VENDOR, b""), (VENDOR, bytes(300)), (VENDOR, b"x"),
               notify(40000, b"private use"), notify(65535), notify(30000, bytes(200)), notify(12345, b"an error that nobody knows"), (54, bytes(12))]
    for peer in udp(), tcp():
        peer.init(strange + peer.init_payloads() + strange)
        peer.auth(peer.auth_payloads() + strange + [(CERTREQ, b"\x04" + bytes(20)), (CP, struct.pack(">BBHHH", 1, 0, 0, 1, 0))])
        must(peer.request(INFORMATIONAL, strange) == [], "an INFORMATIONAL with strangers is answered with nothing")
        peer.child(strange + peer.child_payloads())
        daemon.has(1, 2)
        peer.end()


@scenario
def reserved_bits_and_a_newer_minor_version_are_ignored(daemon):
    peer = udp()
    peer.flags_extra, peer.version = 0xc7 | VERSION, 0x2f
    sa, ke, nonce = peer.init_payloads()
    peer.init([(*sa, 0x7f), (KE, ke[1][:2] + b"\xff\xff" + ke[1][4:], 0x01), nonce])
    must(peer.last_raw[17] == 0x20 and not peer.last_raw[19] & 0xd7, "our own version and flags are clean", peer.last_raw[17:20])
    id_body = b"\x02\xaa\xbb\xccwest"  # what is reserved in it is covered by AUTH
    peer.auth([(*p, 0x55) for p in peer.auth_payloads(id_body=id_body)])
    peer.ping()
    peer.end()


@scenario
def a_critical_bit_on_a_payload_that_is_known_changes_nothing(daemon):
    peer = udp()
    peer.init([(*p, 0x80) for p in peer.init_payloads()])
    peer.auth([(*p, 0x80) for p in peer.auth_payloads()])
    must(peer.request(INFORMATIONAL, [(*notify(40000), 0x80)]) == [], "answered with nothing")
    peer.end()


@scenario
def twenty_proposals_and_fifty_transforms_of_which_one_will_do(daemon):
    unknown = [transform(1, 1000 + i) for i in range(25)] + [transform(2, 900 + i) for i in range(10)] + [transform(4, 800 + i) for i in range(11)] + \
        [transform(1, GCM, 128, attributes=struct.pack(">HH", 0x8011, 7))]
    none = [proposal([transform(1, 3), transform(2, 1), transform(3, 1), transform(4, 2)], number=i) for i in range(1, 15)]
    stranger = proposal(IKE_TRANSFORMS + [transform(6, 1)], number=15)  # a transform type that we don't know: not acceptable
    for peer in udp(), tcp():
        offered = proposals(*none, stranger, proposal(unknown + IKE_TRANSFORMS, number=16), proposal(IKE_TRANSFORMS, number=17))
        got = dict(peer.init([(SA, offered), *peer.init_payloads()[1:]]))
        number, protocol, spi, transforms = read_proposal(got[SA])
        must((number, protocol, spi) == (16, 1, b"") and sorted(transforms) == [(1, GCM), (2, SHA256), (4, X25519)], "another choice", got[SA])
        weak = [proposal([transform(1, 11), transform(3, 2)], 3, bytes(3) + bytes([i]), i) for i in range(1, 19)]
        spi = b"\xde\xad\xbe\xef"
        esp = proposals(*weak, proposal([transform(1, 2000 + i) for i in range(48)] + ESP_TRANSFORMS, 3, spi, 19))
        of = dict(peer.auth([(SA, esp) if p[0] == SA else p for p in peer.auth_payloads()]))
        must(read_proposal(of[SA])[0] == 19, "another proposal of ESP", of[SA])
        must(daemon.has(1, 1)[0]["child_sas"][0]["spi_out"] == "deadbeef", "the SPI is not that of the proposal")
        peer.end()


@scenario
def nonces_of_16_and_of_256_octets(daemon):
    for length in 16, 256:
        peer = udp()
        peer.nonce = os.urandom(length)
        peer.begin()
        peer.child(peer.child_payloads(nonce=os.urandom(length)))
        peer.ping()
        peer.end()


@scenario
def a_request_that_comes_again_gets_the_same_octets(daemon):
    for peer in udp(), tcp():
        peer.init()
        for exchange, payloads in (SA_INIT, None), (AUTH_EXCHANGE, peer.auth_payloads), (CREATE_CHILD, peer.child_payloads), (INFORMATIONAL, list):
            if exchange == AUTH_EXCHANGE:
                peer.auth(payloads())
            elif payloads:
                peer.request(exchange, payloads())
            first = peer.last_raw
            for _ in range(2):
                peer.send(peer.last_sent)
                must(peer.receive() == first, "the answer to a retransmission is another one")
        daemon.has(1, 2)
        old = peer.last_sent
        must(peer.request(INFORMATIONAL, []) == [], "answered with nothing")
        peer.send(old)
        peer.silent()
        peer.send(peer.message_1)
        peer.silent()
        peer.end()


@scenario
def L5_a_retransmission_from_elsewhere_is_answered_there_and_moves_nothing(daemon):
    peer = udp().begin()
    home = daemon.up()[0]["ike_sa"]["remote"]
    must(peer.request(INFORMATIONAL, []) == [], "answered with nothing")
    there = Udp(WEST_ADDRESS, EAST_ADDRESS)
    there.ike(peer.last_sent)
    must(there.receive(3) == (True, peer.last_raw), "no answer where it came from")
    must(daemon.up()[0]["ike_sa"]["remote"] == home, "it moved", daemon.up())
    peer.ping()
    there.close()
    peer.end()


@scenario
def spis_that_collide_are_two_ike_sas(daemon):
    first, second, third = udp(), udp(), udp(identity=b"third")
    first.init()
    second.spi_i = first.spi_i
    second.init()
    must(first.spi_r != second.spi_r, "two IKE SAs with one SPI")
    third.spi_i = first.spi_r  # as SPI of the other side
    third.init()
    first.auth()
    first.ping()
    must(first.request(INFORMATIONAL, []) == [], "answered with nothing")
    third.auth()
    daemon.has(2, 2)
    must(third.request(INFORMATIONAL, []) == [], "answered with nothing")
    second.auth()  # the same identity: it takes the first one's place
    second.ping()
    daemon.has(2)
    second.end()
    third.end()


@scenario
def fragments_come_in_any_order_and_some_twice(daemon):
    peer = udp()
    peer.init(peer.init_payloads() + [notify(FRAGMENTATION)])
    kind, octets = chain([(VENDOR, bytes(2000)), *peer.auth_payloads()])
    parts = [octets[i:i + 300] for i in range(0, len(octets), 300)]
    sealed = [peer.seal(AUTH_EXCHANGE, None, raw=(kind if i == 0 else 0, part), fragment=(i + 1, len(parts))) for i, part in enumerate(parts)]
    for wrong in (0, len(parts)), (len(parts) + 1, len(parts)), (1, 0), (65535, 65535), (3, 200):
        peer.send(peer.seal(AUTH_EXCHANGE, None, raw=(0, b"x"), fragment=wrong))
    for message in sealed[::-2] + sealed[:0:-1] + sealed[3:4]:
        peer.send(message)
    peer.silent()
    peer.send(sealed[0])
    got, number = peer.answer()
    must(number == 1, "the answer to another one", number)
    peer.id = 2
    peer.take_auth(got)
    peer.ping()
    peer.end()


# --- legal: with an IKE SA ---

@scenario
def empty_informationals_and_odd_moments(daemon):
    peer = udp()
    peer.init()
    peer.send(peer.message_1)  # once more, before IKE_AUTH
    must(peer.receive() == peer.message_2, "another answer")
    peer.auth([notify(INITIAL_CONTACT), *peer.auth_payloads(), notify(SET_WINDOW_SIZE, struct.pack(">I", 100))])
    for _ in range(10):
        must(peer.request(INFORMATIONAL, []) == [], "an empty INFORMATIONAL is answered with one")
    peer.ping()
    peer.end()


@scenario
def our_window_is_one(daemon):
    """The second request is passed over until the first was answered; those far ahead, or long ago, always."""
    peer = udp().begin()
    ahead = [peer.seal(INFORMATIONAL, [], number=peer.id + i) for i in range(1, 4)] + [peer.seal(INFORMATIONAL, [], number=n) for n in (0xffffffff, 0x80000000, 0)]
    for message in ahead:
        peer.send(message)
    peer.silent()
    for _ in range(2):
        must(peer.request(INFORMATIONAL, []) == [], "the one that is due is answered")
    peer.ping()
    peer.end()


@scenario
def deletes_of_child_sas_known_and_unknown(daemon):
    peer = udp().begin()
    first = list(peer.children)[0]
    second, second_theirs = peer.child()
    third, third_theirs = peer.child(peer.child_payloads(group=True))
    peer.ping(third)
    for nothing in [delete([b"\1\2\3\4"])], [delete([second], 2)], [delete([])], [delete([bytes(4)])], [delete([peer.children[first]["out"]])], \
            [delete([os.urandom(4) for _ in range(60)]), delete([b"\1\2\3\4"])], [delete([os.urandom(4)]) for _ in range(90)]:
        must(peer.request(INFORMATIONAL, nothing) == [], "a DELETE of what is not there is answered with nothing", nothing[:1])
    daemon.has(1, 3)
    got = peer.request(INFORMATIONAL, [delete([b"\1\2\3\4", second, second]), delete([third]), delete([third])])
    must([(k, b[:4], sorted(b[i:i + 4] for i in range(4, len(b), 4))) for k, b in got] ==
         [(DELETE, b"\3\4\0\2", sorted([second_theirs, third_theirs]))], "the answer names the two that were there", got)
    daemon.has(1, 1)
    peer.ping(first)
    peer.end()


@scenario
def rekeys_of_the_child_sa_and_of_the_ike_sa(daemon):
    for peer in udp(), tcp():
        peer.begin()
        first = list(peer.children)[0]
        second, _ = peer.child(before=[notify(REKEY_SA, protocol=3, spi=first)])
        peer.ping(second)
        must(len(peer.request(INFORMATIONAL, [delete([first])])) == 1, "the old one is deleted")
        old_peer, peer = peer, peer.rekey_ike()
        old_peer.send(old_peer.seal(INFORMATIONAL, []))
        come = old_peer.receive(0.25)
        must(come is None or come[16] == NOTIFY, "the old IKE SA answers", come)
        peer.ping(second)
        must(daemon.has(1, 1)[0]["ike_sa"]["spi_i"] == peer.spi_i.hex(), "another IKE SA in the status")
        must(peer.request(INFORMATIONAL, []) == [], "the new IKE SA answers")
        peer.end()


@scenario
def esp_with_tfc_padding_and_dummies(daemon):
    peer = tcp().begin()
    child = list(peer.children)[0]
    for _ in range(3):
        peer.carrier.esp(peer.esp(child, os.urandom(40), following=59))
    peer.ping(padding=900)
    peer.carrier.esp(peer.esp(child, b""))
    peer.carrier.esp(peer.esp(child, b"\x45junk"))
    peer.ping()
    must(daemon.has(1, 1)[0]["child_sas"][0]["replay_drops"] == 0, "a drop was counted as replay")
    peer.end()


# --- legal: streams ---

@scenario
def S2_S9_every_octet_in_a_segment_of_its_own(daemon):
    peer = tcp(step=1).begin()
    daemon.has(1, 1, "tcp")
    peer.ping()
    peer.end()


@scenario
def S2_S5_S6_the_prefix_in_pieces_and_nothing_between_messages(daemon):
    peer = tcp()
    for piece in b"IK", b"ETC", b"P":
        peer.carrier.prefix = b""
        peer.carrier.raw(piece)
        time.sleep(0.05)
    peer.carrier.raw(b"\0\2" * 5 + b"\0\3\xff" + b"\0\3\xff")
    peer.init()
    peer.carrier.raw(b"\0\2" + b"\0\3\xff" + b"\0\4ab")  # S12: a runt or two are tolerated
    peer.auth()
    peer.carrier.raw(b"\0\2" * 1000)
    peer.ping()
    peer.end()


@scenario
def S9_all_at_once_in_one_segment(daemon):
    peer = tcp().begin()
    messages = [peer.seal(INFORMATIONAL, [], number=peer.id + i) for i in range(8)]
    peer.carrier.raw(b"".join(struct.pack(">HI", 6 + len(m), 0) + m for m in messages))
    for i in range(8):
        must(peer.answer() == ([], peer.id + i), "in order, each answered")
    peer.id += 8
    peer.end()


@scenario
def L4_K2_a_new_connection_in_the_middle_of_an_exchange(daemon):
    peer = tcp().begin()
    number, message = peer.id, peer.seal(CREATE_CHILD, peer.child_payloads())
    peer.send(message)
    peer.carrier.close()
    peer.carrier = Stream(WEST_ADDRESS, EAST_ADDRESS)
    peer.send(message)
    got, answered = peer.answer()
    must(answered == number, "the answer to another one", answered)
    peer.take_child(got)
    peer.id += 1
    must(peer.request(INFORMATIONAL, []) == [], "a fresh request moves it")
    daemon.has(1, 2)
    peer.ping(list(peer.children)[0])
    peer.end()


# --- forbidden: before there is an IKE SA ---

@scenario
def an_unknown_critical_payload_is_refused_by_its_type(daemon):
    for peer in udp(), tcp():
        peer.init_refused(UNSUPPORTED_CRITICAL, peer.init_payloads() + [(200, b"", 0x80)], data=b"\xc8")
        if isinstance(peer.carrier, Udp):
            peer.spi_i = os.urandom(8)
        peer.init()
        peer.refused(AUTH_EXCHANGE, peer.auth_payloads() + [(201, b"x", 0x80)], UNSUPPORTED_CRITICAL, data=b"\xc9")
        daemon.has(0)
        peer = udp().begin()
        peer.refused(INFORMATIONAL, [(202, b"", 0x80), delete([], 1, 0)], UNSUPPORTED_CRITICAL, data=b"\xca")
        peer.refused(CREATE_CHILD, peer.child_payloads() + [(203, b"", 0xff)], UNSUPPORTED_CRITICAL, data=b"\xcb")
        daemon.has(1, 1)
        peer.ping()
        peer.end()


@scenario
def other_versions_and_spis_of_zero(daemon):
    peer = udp()
    peer.init_refused(INVALID_MAJOR_VERSION, version=0x30)
    must(peer.last_raw[17] == 0x20, "the answer says our version", peer.last_raw[17])
    for odd in {"version": 0x10}, {"version": 0}, {"version": 0x30, "flags": INITIATOR | RESPONSE}, {"spi_i": bytes(8)}, {"number": 1}, {"flags": 0}, \
            {"flags": RESPONSE}, {"flags": INITIATOR | RESPONSE}, {"spi_r": os.urandom(8)}:
        peer.init_ignored(**odd)
    daemon.has(0)
    peer.init()  # none of it was in its way
    for odd in {"version": 0x10}, {"version": 0x30}, {"flags": INITIATOR | RESPONSE}, {"flags": 0}, {"spi_i": os.urandom(8)}:
        peer.send(peer.seal(AUTH_EXCHANGE, peer.auth_payloads(), **odd))
        come = peer.receive(0.1)  # by the wrong flag or SPI it is one that we don't know, which may be said (section 2.21.4)
        must(come is None or notifications(unchain(come[16], come[28:])) == {INVALID_IKE_SPI: b""}, "an answer where none is due", come)
    peer.auth()
    peer.end()


@scenario
def wrong_lengths_in_the_first_message(daemon):
    def cut(payload, length):  # says another length than it has
        return payload[:2] + struct.pack(">H", length) + payload[4:]
    peer = udp()
    first, octets = chain(peer.init_payloads())
    sa = octets[:struct.unpack(">H", octets[2:4])[0]]
    rest = octets[len(sa):]
    for raw in (cut(sa, 0) + rest), (cut(sa, 3) + rest), (cut(sa, 65535) + rest), (cut(sa, len(sa) + 1) + rest), octets + b"\0", octets[:-1], b"", \
            (sa[:6] + b"\xff\xff" + sa[8:] + rest), (sa[:11] + b"\x09" + sa[12:] + rest), (sa[:14] + b"\0\1" + sa[16:] + rest):
        peer.spi_i = os.urandom(8)
        if len(raw) > 20:
            peer.init_refused(INVALID_SYNTAX, raw=(first, raw))
        else:
            peer.init_ignored(raw=(first, raw))
    for length in 1, -1, 0x7fffff00:
        peer.init_ignored(longer=length)
    peer.carrier.socket.sendto(bytes(4) + os.urandom(27), peer.carrier.remote)
    peer.silent()
    peer.init()
    peer.auth()
    peer.end()


@scenario
def two_sa_payloads_bad_nonces_and_bad_keys(daemon):
    peer = udp()
    sa, ke, nonce = peer.init_payloads()
    low_order = struct.pack(">HH", X25519, 0) + bytes(32)
    for payloads in [sa, sa, ke, nonce], [sa, ke, ke, nonce], [sa, ke, nonce, nonce], [sa, ke], [ke, nonce], [sa, nonce], [sa, ke, (NONCE, bytes(15))], \
            [sa, ke, (NONCE, bytes(257))], [sa, ke, (NONCE, b"")], [(SA, b""), ke, nonce], [sa, (KE, b""), nonce], [sa, (KE, ke[1][:4]), nonce], \
            [sa, (KE, ke[1] + b"\0"), nonce], [sa, (KE, ke[1][:-1]), nonce], [sa, (KE, low_order), nonce]:
        peer.spi_i = os.urandom(8)
        peer.init_refused(INVALID_SYNTAX, payloads)
    peer.spi_i = os.urandom(8)
    peer.init_refused(INVALID_KE, [sa, (KE, struct.pack(">HH", 14, 0) + bytes(256)), nonce], data=struct.pack(">H", X25519))
    peer.spi_i = os.urandom(8)
    peer.init_refused(NO_PROPOSAL, [(SA, proposals(proposal([transform(1, 3), transform(2, 1), transform(3, 1), transform(4, 2)]))), ke, nonce])
    for many in proposals(*[proposal(IKE_TRANSFORMS, number=i % 255) for i in range(200)]), proposals(proposal([transform(1, i) for i in range(250)])), \
            proposals(proposal(IKE_TRANSFORMS, count=200)):
        peer.spi_i = os.urandom(8)
        peer.init_refused(INVALID_SYNTAX, [(SA, many), ke, nonce])
    daemon.has(0)
    peer.carrier.close()


@scenario
def a_wrong_auth_a_wrong_identity_and_no_auth_at_all(daemon):
    for change in (lambda p: p.auth_payloads(psk=b"wrong"), lambda p: p.auth_payloads(id_body=b"\x02\0\0\0stranger"),
                   lambda p: [(k, b"\x02\0\0\0" if k == AUTH else b) for k, b in p.auth_payloads()],
                   lambda p: [(k, b"\x01" + b[1:] if k == AUTH else b) for k, b in p.auth_payloads()],
                   lambda p: [(k, b + b"\0" if k == AUTH else b) for k, b in p.auth_payloads()],
                   lambda p: [x for x in p.auth_payloads() if x[0] != AUTH],
                   lambda p: p.auth_payloads() + [(IDR, b"\x02\0\0\0somebody else")]):
        for peer in udp(), tcp():
            peer.init()
            peer.refused(AUTH_EXCHANGE, change(peer), AUTHENTICATION_FAILED)
            peer.send(peer.seal(INFORMATIONAL, [], number=2))  # nothing is left of it
            come = peer.receive(0.1)
            must(come is None or come[16] == NOTIFY, "it answers all the same", come)
            peer.carrier.close()
    daemon.has(0)
    peer = udp()
    peer.begin()
    peer.end()


@scenario
def what_comes_before_its_turn_or_without_protection(daemon):
    peer = udp()
    peer.spi_r = os.urandom(8)  # nobody has it
    for exchange in AUTH_EXCHANGE, CREATE_CHILD, INFORMATIONAL:
        peer.send(peer.bare(exchange, [delete([], 1, 0)]))
    peer.silent()
    peer.spi_r = bytes(8)
    peer.init()
    peer.send(peer.bare(AUTH_EXCHANGE, peer.auth_payloads(), number=1))
    peer.send(peer.seal(AUTH_EXCHANGE, peer.auth_payloads(), number=0))
    peer.send(peer.seal(AUTH_EXCHANGE, peer.auth_payloads(), number=2))
    peer.silent()
    peer.auth()
    for exchange in SA_INIT, AUTH_EXCHANGE, CREATE_CHILD, INFORMATIONAL, 60:
        peer.send(peer.bare(exchange, [delete([], 1, 0)]))
        peer.send(peer.bare(exchange, [notify(AUTHENTICATION_FAILED)], flags=RESPONSE))
    good = peer.seal(INFORMATIONAL, [delete([], 1, 0)])
    for at in 20, 31, 40, len(good) - 1:
        peer.send(good[:at] + bytes([good[at] ^ 1]) + good[at + 1:])
    peer.silent()
    daemon.has(1, 1)
    peer.ping()
    peer.end()
    early = udp()
    early.init()
    early.refused(CREATE_CHILD, early.child_payloads(), INVALID_SYNTAX)
    early = udp()
    early.init()
    early.refused(INFORMATIONAL, [], INVALID_SYNTAX)
    daemon.has(0)


# --- forbidden: with an IKE SA ---

@scenario
def L11_what_is_malformed_inside_ends_the_ike_sa(daemon):
    sealed = [{"raw": (DELETE, b"\0\0\0\3")}, {"raw": (DELETE, b"\0\0\0\x30\3\4\0\1")}, {"raw": (DELETE, b"\0\0\0\x08\3\4\0\1")},
              {"raw": (DELETE, b"\0\0\0\x0a\3\2\0\1\1\2")}, {"raw": (NOTIFY, b"\0\0\0\4junk")}, {"raw": (0, b"left over")}]
    for odd in sealed:
        peer = udp().begin()
        peer.refused(INFORMATIONAL, None, INVALID_SYNTAX, **odd)
        peer.carrier.close()
        daemon.has(0)
    for payloads in (lambda p: p.child_payloads()[:2] + [(TSI, selectors("10.1.0.9", "10.1.0.1"))] + p.child_payloads()[3:],
                     lambda p: p.child_payloads(tsi=selectors("10.1.0.0", "10.1.0.9", 9, 8)), lambda p: p.child_payloads(tsr=EAST[:-1]),
                     lambda p: p.child_payloads(tsr=selectors("10.2.0.0", "10.2.0.255", count=2)), lambda p: p.child_payloads()[:3],
                     lambda p: p.child_payloads() + p.child_payloads()[:1], lambda p: p.child_payloads(esp=proposals(proposal(ESP_TRANSFORMS, 3, b"12345678"))),
                     lambda p: p.child_payloads(esp=proposals(proposal(ESP_TRANSFORMS, 3, bytes(4)))), lambda p: p.child_payloads(nonce=bytes(5)),
                     lambda p: p.child_payloads() + [notify(REKEY_SA, protocol=3, spi=b"12345")],
                     lambda p: p.child_payloads() + [notify(REKEY_SA, protocol=3, spi=b"")]):
        peer = udp().begin()
        peer.refused(CREATE_CHILD, payloads(peer), INVALID_SYNTAX)
        peer.carrier.close()
        daemon.has(0)


@scenario
def exchanges_out_of_place_end_the_ike_sa(daemon):
    for exchange in AUTH_EXCHANGE, 60, 255:
        peer = tcp().begin()
        peer.refused(exchange, peer.auth_payloads(), INVALID_SYNTAX)
        must(peer.carrier.ends(8), "the connection without an IKE SA stays open")
        daemon.has(0)


@scenario
def child_sas_that_can_not_be(daemon):
    peer = udp().begin()
    first = list(peer.children)[0]
    peer.refused(CREATE_CHILD, peer.child_payloads(tsi=selectors("172.16.0.0", "172.16.0.255")), TS_UNACCEPTABLE)
    peer.refused(CREATE_CHILD, peer.child_payloads(tsr=b"\0\0\0\0"), TS_UNACCEPTABLE)
    peer.refused(CREATE_CHILD, peer.child_payloads(tsr=struct.pack(">BBHBBH", 1, 0, 0, 99, 0, 12) + bytes(8)), TS_UNACCEPTABLE)
    peer.refused(CREATE_CHILD, peer.child_payloads(esp=proposals(proposal([transform(1, 3), transform(3, 1)], 3, b"1234"))), NO_PROPOSAL)
    peer.refused(CREATE_CHILD, peer.child_payloads(esp=proposals(proposal(ESP_TRANSFORMS, 2, b"1234"))), NO_PROPOSAL)
    gone = b"\1\2\3\4"
    got = peer.request(CREATE_CHILD, peer.child_payloads() + [notify(REKEY_SA, protocol=3, spi=gone)])
    must(got == [(NOTIFY, b"\3\4" + struct.pack(">H", CHILD_SA_NOT_FOUND) + gone)], "CHILD_SA_NOT_FOUND names its SPI", got)
    second, _ = peer.child(before=[notify(REKEY_SA, protocol=3, spi=first)])
    peer.refused(CREATE_CHILD, peer.child_payloads() + [notify(REKEY_SA, protocol=3, spi=first)], TEMPORARY_FAILURE)
    must(len(peer.request(INFORMATIONAL, [delete([first])])) == 1, "the old one is deleted")
    peer.refused(CREATE_CHILD, peer.child_payloads() + [notify(REKEY_SA, protocol=3, spi=first)], CHILD_SA_NOT_FOUND)
    peer.child(before=[notify(USE_TRANSPORT_MODE)])
    must(USE_TRANSPORT_MODE not in notifications(peer.open(peer.last_raw)), "transport mode is not agreed on")
    peer.ping(second)
    peer.end()


@scenario
def a_child_sa_refused_in_ike_auth_leaves_the_ike_sa(daemon):
    for odd, wanted in ({"tsi": selectors("172.16.0.0", "172.16.0.255")}, TS_UNACCEPTABLE), ({"esp": proposals(proposal([transform(1, 3)], 3, b"1234"))}, NO_PROPOSAL):
        peer = udp()
        peer.init()
        got = peer.auth(peer.auth_payloads(**odd))
        must(list(notifications(got)) == [wanted], f"notification {wanted} is due", got)
        daemon.has(1, 0)
        peer.child()
        peer.ping()
        daemon.has(1, 1)
        peer.end()


@scenario
def sixty_four_child_sas_and_no_more(daemon):
    peer = udp().begin()
    for _ in range(63):
        peer.child()
    peer.refused(CREATE_CHILD, peer.child_payloads(), NO_ADDITIONAL_SAS)
    daemon.has(1, 64)
    peer.ping()
    peer.end()


@scenario
def padding_that_is_longer_than_its_message_is_no_message(daemon):
    peer = udp().begin()
    peer.send(peer.seal(INFORMATIONAL, [], padding=b"\xff"))
    peer.silent()
    must(peer.request(INFORMATIONAL, [], padding=os.urandom(200) + b"\xc8") == [], "any padding of any content is read")
    peer.end()


# --- forbidden: streams ---

@scenario
def S2_S5_S11_streams_that_are_none_are_closed_with_nothing_said(daemon):
    for octets in b"GET / HTTP/1.1\r\n\r\n", b"IKETCQ" + bytes(100), b"\x16\x03\x01\x02\x00\x01" + bytes(512), b"IKETCP\0\0", b"IKETCP\0\1", \
            bytes(64), b"IKETCP\0\x10" + bytes(14):
        stream = Stream(WEST_ADDRESS, EAST_ADDRESS)
        stream.prefix = b""
        stream.raw(octets)
        must(stream.ends(2) and stream.octets == b"", "open, or something was said", octets[:10], stream.octets)
        stream.close()
    daemon.has(0)


@scenario
def L10_corruption_closes_its_connection_and_keeps_the_ike_sa(daemon):
    peer = tcp().begin()
    child = list(peer.children)[0]
    good = peer.seal(INFORMATIONAL, [])
    for octets in good[:-1] + bytes([good[-1] ^ 1]), None:
        if octets:
            peer.carrier.ike(octets)
        else:
            forged = peer.esp(child, bytes(40))
            peer.carrier.esp(forged[:-1] + bytes([forged[-1] ^ 1]))
        must(peer.carrier.ends(3), "the connection that delivered it stays open")
        must([c["state"] for c in daemon.up()] == ["reconnecting"], "another state", daemon.up())
        peer.carrier.close()
        peer.carrier = Stream(WEST_ADDRESS, EAST_ADDRESS)
        must(peer.request(INFORMATIONAL, []) == [], "the IKE SA answers on a new one")
        daemon.has(1, 1, "tcp")
        peer.ping()
    stranger = Stream(WEST_ADDRESS, EAST_ADDRESS)
    for _ in range(30):
        with contextlib.suppress(OSError):
            stranger.esp(b"\1\2\3\4" + bytes(60))
    must(stranger.ends(3), "a stream of unknown SPIs stays open")
    peer.ping()
    peer.end()


@scenario
def L7_a_second_ike_sa_on_a_connection_in_use_is_refused(daemon):
    peer = tcp().begin()
    other = Peer(peer.carrier)
    other.init_refused(NO_ADDITIONAL_SAS)
    peer.ping()
    must(peer.request(INFORMATIONAL, [delete([], 1, 0)]) == [], "deleted")
    other = Peer(peer.carrier)
    other.init()  # L7: without a second prefix, once the last one is gone
    other.auth()
    other.ping()
    other.end()


# --- the daemon begins ---

class Gateway:
    """Waits for the daemon in west: `up` of one of its connections."""

    def __init__(self, daemon, name):
        self.daemon, self.name = daemon, name
        self.listener = socket.create_server((WEST_ADDRESS, 4500)) if name == "stream" else None
        self.udp = None if self.listener else Udp(WEST_ADDRESS, EAST_ADDRESS, 500, 500)
        self.float = None if self.listener else Udp(WEST_ADDRESS, EAST_ADDRESS, 4500)
        self.process = daemon.begins(name)
        if self.listener:
            self.listener.settimeout(8)
            self.carrier = Stream(None, None, accepted=self.listener.accept()[0])
            while len(self.carrier.octets) < 6:
                self.carrier.octets += self.carrier.socket.recv(6 - len(self.carrier.octets))
            must(self.carrier.octets == b"IKETCP", "another prefix", self.carrier.octets)
            self.carrier.octets = b""
        else:
            self.carrier = self.udp

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        down = self.daemon.goes(self.name)
        while down.poll() is None:
            self.peer.receive(0.02)  # answers the DELETE
        for it in self.listener, self.udp, self.float, self.carrier:
            if it:
                it.close()

    def first(self, peer=None):
        """the Peer for the next IKE_SA_INIT request that comes"""
        peer = self.peer = peer or Peer(self.carrier, False, b"west", b"east")
        come = self.carrier.receive(5)
        must(come is not None and come[1][18] == SA_INIT, "no IKE_SA_INIT came", come)
        peer.message_1, peer.spi_i = come[1], come[1][:8]
        payloads = dict(unchain(come[1][16], come[1][28:]))
        peer.peer_nonce, peer.peer_ke, peer.offer = payloads[NONCE], payloads[KE], payloads[SA]
        peer.notes = notifications(unchain(come[1][16], come[1][28:]))
        return peer

    def answer_init(self, peer, change=None):
        peer.spi_r = os.urandom(8)
        ours = IKE_TRANSFORMS
        payloads = [(SA, proposals(proposal(ours))), (KE, struct.pack(">HH", X25519, 0) + peer.public), (NONCE, peer.nonce)]
        message = peer.bare(SA_INIT, change(payloads) if change else payloads, response=True, number=0)
        peer.message_2 = message
        peer.carrier.ike(message)

    def read_auth(self, peer):
        peer.derive(peer.peer_ke[4:])
        if self.float:
            peer.carrier = self.float
        while True:
            come = peer.carrier.receive(5)
            must(come is not None, "no IKE_AUTH came")
            if come[1][18] == AUTH_EXCHANGE:
                break
        got = peer.open(come[1])
        id_body = dict(got)[IDI]
        must(dict(got)[AUTH][4:] == peer.auth_value(False, id_body), "the daemon's AUTH is wrong")
        _, _, peer.esp_spi, _ = (lambda b: (b[4], b[5], b[8:12], None))(dict(got)[SA])
        return got

    def answer_auth(self, peer, change=None, psk=PSK):
        id_body = b"\x02\0\0\0west"
        peer.spi_in = os.urandom(4)
        payloads = [(IDR, id_body), (AUTH, b"\x02\0\0\0" + peer.auth_value(True, id_body, psk)),
                    (SA, proposals(proposal(ESP_TRANSFORMS, 3, peer.spi_in))), (TSI, EAST), (TSR, WEST)]
        peer.carrier.ike(peer.seal(AUTH_EXCHANGE, change(payloads) if change else payloads, response=True, number=1))
        peer.add_child(peer.spi_in, peer.esp_spi, prf_plus(peer.keys["d"], peer.peer_nonce + peer.nonce, 40), False)
        peer.id = 0

    def said(self, seconds=12):
        out, _ = self.process.communicate(timeout=seconds)
        return self.process.returncode, out


def strange_and_reversed(payloads):
    return [(VENDOR, b"odd"), notify(40000), *reversed(payloads), (200, b"what", 0x7f), notify(SET_WINDOW_SIZE, b"\0\0\0\1")]


@scenario
def a_responder_that_answers_in_another_order_with_strangers(daemon):
    for name in "datagrams", "stream":
        with Gateway(daemon, name) as gateway:
            peer = gateway.first()
            gateway.answer_init(peer, strange_and_reversed)
            gateway.read_auth(peer)
            gateway.answer_auth(peer, strange_and_reversed)
            status, said = gateway.said()
            must(status == 0, "up failed", said)
            daemon.has(1, 1, "tcp" if name == "stream" else "udp")
            peer.ping()
            must(peer.request(INFORMATIONAL, []) == [], "a responder may ask as well")
            peer.child(peer.child_payloads())
            peer.ping()
            must(peer.request(INFORMATIONAL, [delete([], 1, 0)]) == [], "and delete")
            daemon.has(0)


@scenario
def a_responder_that_wants_a_cookie_and_then_another(daemon):
    with Gateway(daemon, "datagrams") as gateway:
        peer = gateway.first()
        nonce = peer.peer_nonce
        for cookie in b"x", os.urandom(64):
            gateway.answer_init(peer, lambda _, c=cookie: [notify(COOKIE, c)])
            peer = gateway.first(peer)
            must(peer.notes.get(COOKIE) == cookie and peer.peer_nonce == nonce, "the cookie does not come back with the same nonce", peer.notes)
            first = unchain(peer.message_1[16], peer.message_1[28:])[0]
            must(first[0] == NOTIFY, "a cookie is the first payload", first)
        gateway.answer_init(peer)
        gateway.read_auth(peer)
        gateway.answer_auth(peer)
        must(gateway.said()[0] == 0, "up failed")
        peer.ping()


@scenario
def K4_what_nobody_proved_is_not_believed_over_udp(daemon):
    with Gateway(daemon, "datagrams") as gateway:
        peer = gateway.first()
        spi_i = peer.spi_i
        for lie in (lambda _: [notify(NO_PROPOSAL)], lambda _: [notify(AUTHENTICATION_FAILED)], lambda p: p + [(200, b"", 0x80)], lambda p: p + p[:1],
                    lambda p: [(SA, proposals(proposal(IKE_TRANSFORMS), proposal(IKE_TRANSFORMS, number=2))), *p[1:]],
                    lambda p: [(SA, proposals(proposal(IKE_TRANSFORMS + IKE_TRANSFORMS[:1]))), *p[1:]], lambda p: [p[0], (KE, bytes(36)), p[2]],
                    lambda p: [(SA, proposals(proposal([transform(1, 3), transform(2, 1), transform(4, 2)]))), *p[1:]], lambda _: [notify(COOKIE, bytes(65))],
                    lambda _: [notify(INVALID_KE, b"\0\1")], lambda _: [notify(INVALID_KE, b"")], lambda _: []):
            gateway.answer_init(peer, lie)
        for odd in {"version": 0x30}, {"number": 1}, {"flags": RESPONSE | INITIATOR}, {"flags": 0}, {"spi_r": bytes(8)}:
            peer.carrier.ike(peer.bare(SA_INIT, [(SA, proposals(proposal(IKE_TRANSFORMS))), (KE, struct.pack(">HH", X25519, 0) + peer.public),
                                                 (NONCE, peer.nonce)], **{"response": True, "number": 0, **odd}))
        gateway.answer_init(peer)
        gateway.read_auth(peer)
        must(peer.spi_i == spi_i, "it began again")
        gateway.answer_auth(peer)
        must(gateway.said()[0] == 0, "up failed")
        peer.ping()


@scenario
def a_responder_whose_proof_is_wrong_is_told_and_left(daemon):
    wrong = [({"psk": b"another"}, "authentication failed"), ({"change": lambda p: [(IDR, b"\x02\0\0\0other"), *p[1:]]}, "authentication failed"),
             ({"change": lambda p: p[:1] + p[2:]}, "IKE_AUTH"), ({"change": lambda p: [notify(AUTHENTICATION_FAILED)]}, "AUTHENTICATION_FAILED"),
             ({"change": lambda p: p + [(200, b"", 0x80)]}, "critical")]
    for odd, words in wrong:
        with Gateway(daemon, "stream") as gateway:
            peer = gateway.first()
            gateway.answer_init(peer)
            gateway.read_auth(peer)
            gateway.answer_auth(peer, **odd)
            status, said = gateway.said()
            must(status != 0 and words in said, "up does not say why", said)
            daemon.has(0)


@scenario
def a_responder_that_makes_another_child_sa_than_was_asked(daemon):
    for change in (lambda p: [(TSI, selectors("10.0.0.0", "10.255.255.255")) if x[0] == TSI else x for x in p],
                   lambda p: [(SA, proposals(proposal([transform(1, 3), transform(5, 0)], 3, b"1234"))) if x[0] == SA else x for x in p],
                   lambda p: p + [notify(USE_TRANSPORT_MODE)]):
        with Gateway(daemon, "datagrams") as gateway:
            peer = gateway.first()
            gateway.answer_init(peer)
            gateway.read_auth(peer)
            gateway.answer_auth(peer, change)
            status, said = gateway.said()
            must(status != 0, "up succeeded", said)
            peer.receive(0.3)
            must(any(DELETE in dict(p) for _, p in peer.requests_seen), "the peer is not asked to delete what it made", peer.requests_seen)
            daemon.has(0)  # it has no other, so that the IKE SA goes as well


# --- over IPv6, and inside TLS ---

def whole_life(peer, daemon, transport):
    peer.begin()
    daemon.has(1, 1, transport)
    peer.ping()
    peer.child(peer.child_payloads())
    peer.ping()
    peer = peer.rekey_ike()
    daemon.has(1, 2, transport)
    peer.ping()
    peer.end()
    daemon.has(0)


@scenario
def a_whole_life_over_ipv6(daemon):
    for carrier, transport in (Udp(WEST_SIX, EAST_SIX), "udp"), (Stream(WEST_SIX, EAST_SIX), "tcp"), (Stream(WEST_SIX, EAST_SIX, tls=True), "tls"):
        whole_life(Peer(carrier, identity=b"six"), daemon, transport)


@scenario
def T1_a_whole_life_inside_tls(daemon):
    whole_life(Peer(Stream(WEST_ADDRESS, EAST_ADDRESS, tls=True)), daemon, "tls")
    whole_life(Peer(Stream(WEST_ADDRESS, EAST_ADDRESS, tls=True, step=1)), daemon, "tls")  # each octet in a record of its own


@scenario
def T1_S2_what_is_no_prefix_inside_tls_is_closed_with_nothing_said(daemon):
    for octets in b"GET / HTTP/1.1\r\n\r\n", b"IKETCQ", bytes(6), b"\x16\x03\x01\0\x05abcde", b"IKETCP\0\1":
        stream = Stream(WEST_ADDRESS, EAST_ADDRESS, tls=True)
        stream.socket.sendall(octets)
        must(stream.ends() and stream.octets == b"", "it is not closed silently", stream.octets)
        stream.close()


@scenario
def T1_what_is_no_tls_behind_its_first_octets_is_closed(daemon):
    for octets in b"\x16\x03\x01\xff\xff" + bytes(40), b"\x16\x03\x01\0\4\1\0\0\0", b"\x16\x03\x01\0\0" * 200, b"\x15\x03\x01\0\2\2\x28", b"\x80\x2e\1":
        raw = socket.create_connection((EAST_ADDRESS, 443), 5, (WEST_ADDRESS, 0))
        raw.sendall(octets)
        with contextlib.suppress(ConnectionResetError):
            while raw.recv(1000):  # an alert at most
                pass
        raw.close()


# --- begun by ours: answered as nobody would expect ---

REFUSALS = NO_PROPOSAL, TEMPORARY_FAILURE, NO_ADDITIONAL_SAS, TS_UNACCEPTABLE, 8300  # the last is nobody's


def rekey_seen(peer, daemon, *what):
    """has the daemon rekey; what it asked"""
    before = len(peer.requests_seen)
    daemon.rekeys("stream", *what)
    for _ in range(50):
        peer.receive(0.1)
        asked = [p for e, p in peer.requests_seen[before:] if e == CREATE_CHILD]
        if asked:
            return asked[0]
    raise Unexpected("no CREATE_CHILD_SA came", peer.requests_seen[before:])


@scenario
def our_rekey_that_is_refused_leaves_what_is_there(daemon):
    for refusal in REFUSALS:
        for what in [], ["--ike"]:
            peer = tcp().begin()
            peer.reply = lambda exchange, _, r=refusal: [notify(r)] if exchange == CREATE_CHILD else []
            rekey_seen(peer, daemon, *what)
            daemon.has(1, 1, "tcp")
            peer.ping()
            peer.reply = lambda *_: []
            peer.end()
            daemon.has(0)


@scenario
def our_rekey_of_a_child_sa_that_the_peer_does_not_know_makes_no_second_one(daemon):
    peer = tcp().begin()
    peer.reply = lambda exchange, _: [notify(CHILD_SA_NOT_FOUND)] if exchange == CREATE_CHILD else []
    rekey_seen(peer, daemon)
    must(all(len(c["child_sas"]) <= 1 for c in daemon.up()), "two Child SAs", daemon.up())
    peer.reply = lambda *_: []
    peer.receive(0.3)
    peer.end()


def answer_to_rekey(peer, asked):
    """an answer in order to a request for a Child SA"""
    of = dict(asked)
    peer.spi_in, nonce = os.urandom(4), os.urandom(32)
    _, _, spi, _ = (lambda b: (b[4], b[5], b[8:12], None))(of[SA])
    peer.add_child(peer.spi_in, spi, prf_plus(peer.keys["d"], of[NONCE] + nonce, 40), False)
    return [(SA, proposals(proposal(ESP_TRANSFORMS, 3, peer.spi_in))), (NONCE, nonce), (TSI, of[TSI]), (TSR, of[TSR])]


@scenario
def our_rekey_that_is_answered_in_another_order_with_strangers_and_twice(daemon):
    peer = tcp().begin()
    peer.reply = lambda exchange, asked: strange_and_reversed(answer_to_rekey(peer, asked)) if exchange == CREATE_CHILD else []
    asked = rekey_seen(peer, daemon)
    must(REKEY_SA in notifications(asked), "it says whom it rekeys", asked)
    peer.carrier.ike(peer.last_answer)  # once more
    daemon.has(1, 1, "tcp")
    peer.ping(peer.spi_in)
    peer.end()


@scenario
def L11_our_rekey_that_is_answered_with_nonsense_ends_at_worst_the_ike_sa(daemon):
    wrong = [lambda p: [], lambda p: p[:1], lambda p: p[1:], lambda p: [p[0], (NONCE, b"short"), *p[2:]], lambda p: [(SA, b""), *p[1:]],
             lambda p: [(SA, proposals(proposal(ESP_TRANSFORMS, 3, b"12345678"))), *p[1:]], lambda p: p[:2] + [(TSI, b"\1\0\0\0"), p[3]],
             lambda p: [(SA, proposals(proposal([transform(1, 3), transform(5, 0)], 3, b"1234"))), *p[1:]],
             lambda p: p[:2] + [(TSI, selectors("0.0.0.0", "255.255.255.255")), p[3]], lambda p: p + [(200, b"", 0x80)], lambda p: p + p]
    for change in wrong:
        peer = tcp().begin()
        peer.reply = lambda exchange, asked, c=change: c(answer_to_rekey(peer, asked)) if exchange == CREATE_CHILD else []
        rekey_seen(peer, daemon)
        peer.reply = lambda *_: []
        peer.receive(0.3)
        for connection in daemon.up():  # what was never agreed upon carries nothing
            must(all(child["ts_remote"] == ["10.1.0.0/24"] for child in connection["child_sas"]), "other selectors than were asked for", connection)
        if daemon.up():
            peer.end()
        peer.carrier.close()
        daemon.goes("stream").wait(10)
        daemon.has(0)


@scenario
def our_delete_is_over_whatever_the_answer_is(daemon):
    answers = [lambda *_: [], lambda *_: [delete([], 1, 0)], lambda *_: [notify(TEMPORARY_FAILURE)], lambda *_: [notify(INVALID_SYNTAX)], lambda *_: [(200, b"", 0x80)],
               lambda *_: [delete([b"1234"])], lambda *_: None]
    for answer in answers:
        peer = tcp().begin()
        peer.reply = answer
        down = daemon.goes("stream")
        begin = time.monotonic()
        while down.poll() is None:
            peer.receive(0.1)
            must(time.monotonic() - begin < 30, "down does not come to its end")
        must(any(DELETE in dict(p) for _, p in peer.requests_seen), "it says nothing of its end", peer.requests_seen)
        peer.carrier.close()
        daemon.has(0)


@scenario
def our_question_whether_the_peer_lives_is_answered_by_any_answer_that_is_authentic(daemon):
    for answer in [], [notify(40000)], [(200, b"what", 0)], [notify(TEMPORARY_FAILURE)], [delete([b"none"])]:
        peer = Peer(Stream(WEST_ADDRESS, EAST_ADDRESS), identity=b"third", remote=b"east").begin()
        peer.reply = lambda *_, a=answer: a
        for _ in range(60):  # dpddelay=1
            peer.receive(0.1)
            if any(e == INFORMATIONAL for e, _ in peer.requests_seen):
                break
        must(any(e == INFORMATIONAL for e, _ in peer.requests_seen), "it never asks")
        peer.receive(0.3)
        daemon.has(1, 1, "tcp")
        peer.reply = lambda *_: []
        peer.end()
        daemon.has(0)
    peer = Peer(Stream(WEST_ADDRESS, EAST_ADDRESS), identity=b"third", remote=b"east").begin()
    peer.reply = lambda *_: [notify(INVALID_SYNTAX)]  # but for this one, with which the peer has ended it (RFC 7296, section 2.21.3)
    for _ in range(60):
        peer.receive(0.1)
        if not daemon.up():
            break
    daemon.has(0)


# --- all of them ---

def main():
    if sys.argv[1] == "--list":
        print("\n".join(s.__name__ for s in scenarios))
        return 0
    daemon = Daemon(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    part, failed = (sys.argv[4] if len(sys.argv) > 4 else ""), 0
    for one in scenarios:
        if part not in one.__name__:
            continue
        begin = time.monotonic()
        try:
            one(daemon)
            daemon.lives()
            daemon.has(0)
            print(f"ok {one.__name__}", flush=True)
        except Exception as why:  # whatever it is, the others are to be seen as well
            failed += 1
            trace = why.__traceback__
            while trace.tb_next and trace.tb_next.tb_frame.f_code.co_filename == __file__:
                trace = trace.tb_next
            print(f"not ok {one.__name__}\n# line {trace.tb_lineno}: {type(why).__name__}: {str(why)[:2000]}", flush=True)
        if "--time" in sys.argv:
            print(f"# {time.monotonic() - begin:.1f} s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/env python3
"""The algorithms of the interop tests, covered pairwise: a line for each tunnel, in the words that both ipsec.conf and swanctl.conf
understand, and as strongSwan's status shows them: IKE, ESP, IKE shown, ESP shown, ESP shown after a rekey with key exchange.
   pairs.py [--once]    --once: every algorithm at least once, and no more"""
import itertools
import sys

CIPHERS = {"aes128gcm16": "AES_GCM_16-128", "aes256gcm16": "AES_GCM_16-256", "chacha20poly1305": "CHACHA20_POLY1305",
           "aes128": "AES_CBC-128", "aes256": "AES_CBC-256"}
HASHES = {"sha256": "SHA2_256", "sha384": "SHA2_384", "sha512": "SHA2_512"}
TRUNCATED = {"sha256": "HMAC_SHA2_256_128", "sha384": "HMAC_SHA2_384_192", "sha512": "HMAC_SHA2_512_256"}
GROUPS = {"x25519": "CURVE_25519", "ecp256": "ECP_256", "ecp384": "ECP_384", "ecp521": "ECP_521", "x448": "CURVE_448",
          "modp2048": "MODP_2048", "modp3072": "MODP_3072", "modp4096": "MODP_4096"}
AEAD = [c for c in CIPHERS if "gcm" in c or "poly" in c]
ESP = AEAD + [f"{c}-{h}" for c in CIPHERS if c not in AEAD for h in HASHES]
FACTORS = [list(CIPHERS), list(HASHES), list(GROUPS), ESP, list(GROUPS)]  # the last: of the Child SA's rekey
# Which pairs share code: a group and the cipher of ESP do not.
TOGETHER = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (1, 4)]
EACH = [(i, i) for i in range(len(FACTORS))]


def rows(together):
    """Greedy: each row takes the first open pair, then fills the rest with what closes most others."""
    wanted = {(a, x, b, y) for a, b in together for x, y in itertools.product(FACTORS[a], FACTORS[b]) if a != b or x == y}
    order = sorted(wanted, key=lambda p: (p[0], p[2], FACTORS[p[0]].index(p[1]), FACTORS[p[2]].index(p[3])))
    number = 0
    while wanted:
        a, x, b, y = next(p for p in order if p in wanted)
        row = [None] * len(FACTORS)
        row[a], row[b] = x, y
        for f in range(len(FACTORS)):
            if row[f] is None:
                shift = number % len(FACTORS[f])  # ties go round
                turned = FACTORS[f][shift:] + FACTORS[f][:shift]
                row[f] = max(turned, key=lambda v: sum(p in wanted for p in closed(row[:f] + [v] + row[f + 1:], together)))
        wanted -= set(closed(row, together))
        number += 1
        yield row


def closed(row, together):
    return [(a, row[a], b, row[b]) for a, b in together if row[a] is not None and row[b] is not None]


def suite(cipher, hash_):
    return CIPHERS[cipher] if cipher in AEAD else f"{CIPHERS[cipher]}/{TRUNCATED[hash_]}"


for cipher, hash_, group, esp, pfs in rows(EACH if "--once" in sys.argv else TOGETHER):
    prf = f"prf{hash_}" if cipher in AEAD else hash_
    shown = suite(*(esp + "-sha256").split("-")[:2])
    print(f"{cipher}-{prf}-{group}", f"{esp}-{pfs}", f"{suite(cipher, hash_)}/PRF_HMAC_{HASHES[hash_]}/{GROUPS[group]}", shown,
          f"{shown}/{GROUPS[pfs]}")

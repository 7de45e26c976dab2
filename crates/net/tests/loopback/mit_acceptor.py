#!/usr/bin/python3
"""A service on MIT krb5: accepts one security context, then opens and seals what it is given.

usage: mit_acceptor.py LEGS   (KRB5_KTNAME and KRB5_CONFIG say as whom)

Frames on standard input and output are four octets of length and that many octets. The first LEGS
frames are tokens, each but a last one of RPC answered by a token; then comes a frame with the client's
name and the flags. Each later frame is a wrapped message, answered by one octet that says whether it was
sealed, and the message wrapped in the same way.
"""

import struct
import sys

import gssapi


def read():
    head = sys.stdin.buffer.read(4)
    if len(head) < 4:
        return None
    return sys.stdin.buffer.read(struct.unpack(">I", head)[0])


def write(octets):
    sys.stdout.buffer.write(struct.pack(">I", len(octets)) + octets)
    sys.stdout.buffer.flush()


def main():
    context = gssapi.SecurityContext(usage="accept")
    for _ in range(int(sys.argv[1])):
        answer = context.step(read())
        if answer:
            write(answer)
    assert context.complete
    flags = context.actual_flags
    mutual = gssapi.RequirementFlag.mutual_authentication in flags
    dce = gssapi.RequirementFlag.dce_style in flags
    write(f"{context.initiator_name} mutual={mutual} dce={dce}".encode())
    while (token := read()) is not None:
        message, sealed, _ = context.unwrap(token)
        write(bytes([sealed]) + context.wrap(message, sealed).message)


main()

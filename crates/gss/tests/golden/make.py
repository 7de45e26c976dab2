#!/usr/bin/python3
"""Writes mit.json: tokens made by MIT krb5 (libgssapi_krb5 1.20), for both sides of a context.

It needs a ticket-granting ticket in the credential cache and a keytab of the service, of any realm that
exists for the purpose only (KRB5_CONFIG, KRB5CCNAME, KRB5_KTNAME), and the service's host-based name as
its argument, such as ldap@dc.test.example.
"""
import ctypes as c
import json
import pathlib
import sys

lib = c.CDLL("libgssapi_krb5.so.2")
U32 = c.c_uint32


class Buffer(c.Structure):
    _fields_ = [("length", c.c_size_t), ("value", c.c_void_p)]

    @classmethod
    def of(cls, octets):
        keep = c.create_string_buffer(octets, len(octets))
        made = cls(len(octets), c.cast(keep, c.c_void_p))
        made.keep = keep
        return made

    def octets(self):
        return c.string_at(self.value, self.length) if self.length else b""


class Oid(c.Structure):
    _fields_ = [("length", U32), ("elements", c.c_void_p)]

    @classmethod
    def of(cls, octets):
        keep = c.create_string_buffer(octets, len(octets))
        made = cls(len(octets), c.cast(keep, c.c_void_p))
        made.keep = keep
        return made


class BufferSet(c.Structure):
    _fields_ = [("count", c.c_size_t), ("elements", c.POINTER(Buffer))]


class Iov(c.Structure):
    _fields_ = [("type", U32), ("buffer", Buffer)]


DATA, HEADER, SIGN_ONLY = 1, 2, 11
KRB5 = Oid.of(bytes.fromhex("2a864886f712010202"))
HOSTBASED = Oid.of(bytes.fromhex("2a864886f71201020104"))
SESSION_KEY = Oid.of(bytes.fromhex("2a864886f71201020205" + "05"))
MUTUAL, REPLAY, SEQUENCE, CONF, INTEG, DCE = 2, 4, 8, 16, 32, 0x1000


def check(major, what):
    if major >> 16:
        raise SystemExit(f"{what}: {major:#x}")
    return major


def contexts(service, flags):
    minor = U32()
    name = c.c_void_p()
    text = Buffer.of(service.encode())
    check(lib.gss_import_name(c.byref(minor), c.byref(text), c.byref(HOSTBASED), c.byref(name)), "name")
    initiator, acceptor = c.c_void_p(), c.c_void_p()
    token, legs = b"", []
    while True:
        out, given = Buffer(), Buffer.of(token)
        major = check(lib.gss_init_sec_context(
            c.byref(minor), None, c.byref(initiator), name, c.byref(KRB5),
            U32(flags | MUTUAL | REPLAY | SEQUENCE | CONF | INTEG), U32(0), None,
            c.byref(given) if token else None, None, c.byref(out), None, None), "init")
        token = out.octets()
        legs.append(len(token))
        if not token:
            break
        out, given = Buffer(), Buffer.of(token)
        check(lib.gss_accept_sec_context(
            c.byref(minor), c.byref(acceptor), None, c.byref(given), None, None, None,
            c.byref(out), None, None, None), "accept")
        token = out.octets()
        legs.append(len(token))
        if not token:
            break
    return initiator, acceptor, legs


def session_key(context):
    minor, found = U32(), c.POINTER(BufferSet)()
    check(lib.gss_inquire_sec_context_by_oid(
        c.byref(minor), context, c.byref(SESSION_KEY), c.byref(found)), "session key")
    return found.contents.elements[0].octets()


def wrap(context, conf, message):
    minor, out, given = U32(), Buffer(), Buffer.of(message)
    check(lib.gss_wrap(c.byref(minor), context, conf, U32(0), c.byref(given), None, c.byref(out)), "wrap")
    return out.octets()


def wrap_pdu(context, header, body, trailer):
    iov = (Iov * 4)()
    parts = [(SIGN_ONLY, header), (DATA, body), (SIGN_ONLY, trailer), (HEADER, bytes(76))]
    keep = []
    for slot, (kind, octets) in zip(iov, parts):
        buffer = Buffer.of(octets)
        keep.append(buffer)
        slot.type, slot.buffer = kind, buffer
    minor = U32()
    check(lib.gss_wrap_iov(c.byref(minor), context, 1, U32(0), None, iov, 4), "wrap_iov")
    return iov[1].buffer.octets(), iov[3].buffer.octets()


def main(service):
    out = {"plain": {}, "dce": {}}
    initiator, acceptor, legs = contexts(service, 0)
    print("legs", legs)
    out["plain"]["session_key"] = session_key(initiator).hex()
    messages = [b"", b"x", b"a message of no round length", bytes(range(256)) * 4]
    for side, context in (("initiator", initiator), ("acceptor", acceptor)):
        out["plain"][side] = [
            {"sealed": conf == 1, "message": message.hex(), "token": wrap(context, conf, message).hex()}
            for conf in (0, 1) for message in messages
        ]
    initiator, acceptor, legs = contexts(service, DCE)
    print("legs", legs)
    out["dce"]["session_key"] = session_key(initiator).hex()
    header, trailer = b"a PDU header of 24 octet", bytes([16, 6, 0, 0, 1, 0, 0, 0])
    out["dce"]["header"], out["dce"]["trailer"] = header.hex(), trailer.hex()
    for side, context in (("initiator", initiator), ("acceptor", acceptor)):
        rows = []
        for body in (bytes(range(16)), bytes(range(256)), b"\x5a" * 5728):
            sealed, token = wrap_pdu(context, header, body, trailer)
            rows.append({"body": body.hex(), "sealed": sealed.hex(), "auth_value": token.hex()})
        out["dce"][side] = rows
    text = json.dumps(out, indent=1)
    (pathlib.Path(__file__).parent / "mit.json").write_text(text + "\n")


main(*sys.argv[1:])

"""Waits until the domain controller and the resolver behind it answer.

usage: ready.py SECONDS NAME DNS KERBEROS LDAP PORT... -- ADDRESS...

Every port of every address must accept a TCP connection, LDAP must answer a search of the root
entry, and DNS must answer NAME with an address. What is still missing at the end of the time is
printed, one line each, and the exit status is 1.
"""

import socket
import struct
import sys
import time

INTERVAL = 0.02
# SearchRequest for the root entry: base "", scope base, attribute "isSynchronized".
ROOT_SEARCH = (
    bytes.fromhex("3035020101633004000a01000a0100020100020100010100870b")
    + b"objectClass"
    + bytes.fromhex("3010040e")
    + b"isSynchronized"
)


def accepts(address, port):
    with socket.create_connection((address, port), timeout=2):
        return True


def answers_search(address, port):
    with socket.create_connection((address, port), timeout=2) as connection:
        connection.sendall(ROOT_SEARCH)
        # An LDAPMessage with a SearchResultEntry (tag 0x64) in it.
        reply = connection.recv(4096)
        return reply[:1] == b"\x30" and b"\x64" in reply[:16]


def answers_name(address, port, name):
    question = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">6H", 77, 0x0100, 1, 0, 0, 0) + question + b"\0" + struct.pack(">2H", 28, 1)
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as channel:
        channel.settimeout(1)
        channel.connect((address, port))
        channel.send(query)
        reply = channel.recv(4096)
        answers = struct.unpack(">H", reply[6:8])[0]
        return answers > 0


def main(arguments):
    deadline = time.monotonic() + float(arguments[0])
    name = arguments[1]
    end = arguments.index("--")
    dns, kerberos, ldap, *others = map(int, arguments[2:end])
    open_questions = {}
    for address in arguments[end + 1 :]:
        for port in [dns, kerberos, ldap, *others]:
            open_questions[f"{address} port {port} accepts"] = (accepts, address, port)
        open_questions[f"{address} answers a search"] = (answers_search, address, ldap)
        open_questions[f"{address} knows {name}"] = (answers_name, address, dns, name)
    while open_questions and time.monotonic() < deadline:
        for what, (ask, *rest) in list(open_questions.items()):
            try:
                if ask(*rest):
                    del open_questions[what]
            except OSError:
                break
        else:
            continue
        time.sleep(INTERVAL)
    for what in open_questions:
        print("not yet:", what)
    return 1 if open_questions else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

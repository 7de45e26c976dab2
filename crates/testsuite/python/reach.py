#!/usr/bin/python3
"""Who reaches what: answers on ports of TCP and UDP, or asks on them.

usage: reach.py serve PORT/TRANSPORT...         prints "ready", and answers until its input ends
       reach.py ask ADDRESS PORT/TRANSPORT...   prints one JSON object: port -> "answered" or why not

Debian's own interpreter is enough.
"""

import json
import selectors
import socket
import sys
import time

QUESTION = b"is anybody there?"
PATIENCE = 1.5
FAMILIES = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}


def parse(text):
    port, transport = text.split("/")
    return int(port), {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}[transport]


def serve(ports):
    selector = selectors.DefaultSelector()
    for port, kind in map(parse, ports):
        for family, address in FAMILIES.items():
            one = socket.socket(family, kind)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family == socket.AF_INET6:
                one.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            one.bind((address, port))
            if kind == socket.SOCK_STREAM:
                one.listen()
            selector.register(one, selectors.EVENT_READ, kind)
    selector.register(sys.stdin, selectors.EVENT_READ, None)
    print("ready", flush=True)
    while True:
        for key, _ in selector.select():
            if key.data is None:
                return
            if key.data == socket.SOCK_DGRAM:
                question, peer = key.fileobj.recvfrom(64)
                try:
                    key.fileobj.sendto(question, peer)
                except OSError:
                    pass  # The firewall stops the answer: that is what is asked.
            else:
                peer, _ = key.fileobj.accept()
                with peer:
                    peer.settimeout(PATIENCE)
                    try:
                        peer.sendall(peer.recv(64))
                    except OSError:
                        pass


def ask(address, ports):
    """Asks on all ports at once: what is stopped is silent for as long as the patience lasts."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    selector = selectors.DefaultSelector()
    found = {}
    for name in ports:
        port, kind = parse(name)
        one = socket.socket(family, kind)
        one.setblocking(False)
        try:
            error = one.connect_ex((address, port))
            if kind == socket.SOCK_DGRAM:
                one.send(QUESTION)
        except OSError as failed:
            found[name] = str(failed)
            continue
        if error not in (0, 115):  # EINPROGRESS
            found[name] = f"error {error}"
            continue
        wanted = selectors.EVENT_READ if kind == socket.SOCK_DGRAM else selectors.EVENT_WRITE
        selector.register(one, wanted, name)
    end = time.monotonic() + PATIENCE
    while selector.get_map() and (rest := end - time.monotonic()) > 0:
        for key, events in selector.select(rest):
            one = key.fileobj
            try:
                if events & selectors.EVENT_WRITE:
                    one.send(QUESTION)
                    selector.modify(one, selectors.EVENT_READ, key.data)
                    continue
                answer = one.recv(64)
                found[key.data] = "answered" if answer == QUESTION else f"said {answer!r}"
            except OSError as failed:
                found[key.data] = str(failed)
            selector.unregister(one)
    for key in list(selector.get_map().values()):
        found[key.data] = "silence"
    print(json.dumps(found))


if sys.argv[1] == "serve":
    serve(sys.argv[2:])
else:
    ask(sys.argv[2], sys.argv[3:])

"""Stands where another server belongs, on both families, until its standard input ends.

usage: impostor.py PORT banner|garbage|tls [CERTIFICATE_AND_KEY] [PORT_INSIDE]

banner   greets every connection as a mail server does, and understands nothing that is said to it
garbage  answers every datagram by a few words
tls      shakes hands with this certificate, and hands on what is said inside to another port of this host;
         without one, answers as a web server does
"""

import socket
import ssl
import sys
import threading

GREETING = b"220 mail.corp.example ESMTP\r\n"
REFUSAL = b"500 5.5.1 command unrecognised\r\n"
PAGE = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
GARBAGE = b"what is this?\n"


def bound(kind, port):
    listener = socket.socket(socket.AF_INET6, kind)
    listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("::", port))
    return listener


def banner(connection):
    connection.sendall(GREETING)
    while connection.recv(4096):
        connection.sendall(REFUSAL)


def heard(inside):
    """What is answered, until nothing more comes for a moment."""
    answer = inside.recv(65536)
    inside.settimeout(0.05)
    try:
        while more := inside.recv(65536):
            answer += more
    except TimeoutError:
        pass
    inside.settimeout(None)
    return answer


def inside_tls(context, port):
    def serve(connection):
        with context.wrap_socket(connection, server_side=True) as stream:
            if port is None:
                stream.recv(4096)
                stream.sendall(PAGE)
                return
            with socket.create_connection(("localhost", port)) as inside:
                while question := stream.recv(65536):
                    inside.sendall(question)
                    stream.sendall(heard(inside))

    return serve


def attend(serve, connection):
    try:
        with connection:
            serve(connection)
    except OSError:
        pass  # Whoever asked has seen enough.


def accept(listener, serve):
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=attend, args=(serve, connection), daemon=True).start()


def datagrams(listener):
    while True:
        _, peer = listener.recvfrom(65535)
        listener.sendto(GARBAGE, peer)


def main(port, kind, *rest):
    if kind == "garbage":
        work = (datagrams, bound(socket.SOCK_DGRAM, int(port)))
    else:
        listener = bound(socket.SOCK_STREAM, int(port))
        listener.listen(64)
        serve = banner
        if kind == "tls":
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(rest[0])
            serve = inside_tls(context, int(rest[1]) if len(rest) > 1 else None)
        work = (accept, listener, serve)
    threading.Thread(target=work[0], args=work[1:], daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Serves the forest's revocation list by http, on both families, until it is ended.

usage: revocation.py PORT DIRECTORY PID_FILE

Nothing but the files of DIRECTORY is served. PID_FILE is written when connections are accepted.
"""

import functools
import http.server
import os
import socket
import sys


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6

    def server_bind(self):
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        # Without the base class's look-up of the host's own name, which asks the resolver.
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_name, self.server_port = "revocation", self.server_address[1]


def main(port, directory, pid_file):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=directory)
    with Server(("::", int(port)), handler) as server:
        with open(f"{pid_file}.draft", "w") as file:
            file.write(f"{os.getpid()}\n")
        os.rename(f"{pid_file}.draft", pid_file)
        server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])

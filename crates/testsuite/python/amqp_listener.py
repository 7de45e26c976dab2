"""Qpid Proton's own listener for AMQP 1.0 inside TLS, until it is ended: it queues nothing.

Its arguments: an address with a port, a certificate and its key, each a file."""

import sys

from proton import SSLDomain
from proton.handlers import MessagingHandler
from proton.reactor import Container


class Listener(MessagingHandler):
    def __init__(self, place, certificate, key):
        super().__init__()
        self.place, self.certificate, self.key = place, certificate, key

    def on_start(self, event):
        domain = SSLDomain(SSLDomain.MODE_SERVER)
        domain.set_credentials(self.certificate, self.key, None)
        event.container.listen(f"amqps://{self.place}", domain)


Container(Listener(*sys.argv[1:])).run()

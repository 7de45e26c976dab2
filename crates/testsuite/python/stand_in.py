"""Peers of a stand-in that nobody of the project wrote, one a verb; each prints what it heard."""

import asyncio
import ssl
import sys


def mapper(host):
    """Impacket asks the endpoint mapper for DRSUAPI, and binds where it leads."""
    from impacket.dcerpc.v5 import drsuapi, epm, transport

    binding = epm.hept_map(host, drsuapi.MSRPC_UUID_DRSUAPI, protocol="ncacn_ip_tcp")
    print(binding)
    rpc = transport.DCERPCTransportFactory(binding).get_dce_rpc()
    rpc.connect()
    rpc.bind(drsuapi.MSRPC_UUID_DRSUAPI)
    print("bound")


def smb(host):
    """Impacket negotiates SMB, from its first version on."""
    from impacket.smbconnection import SMBConnection

    print(hex(SMBConnection(host, host).getDialect()))


def websocket(host, authority):
    """The package websockets upgrades, with AMQP's name, and AMQP begins inside."""
    import websockets

    async def talk():
        trust = ssl.create_default_context(cafile=authority)
        url = f"wss://{host}/$servicebus/websocket"
        async with websockets.connect(url, subprotocols=["amqp"], ssl=trust) as socket:
            print(socket.subprotocol)
            await socket.send(b"AMQP\x03\x01\x00\x00")
            print(await socket.recv())

    asyncio.run(asyncio.wait_for(talk(), 10))


def amqp(host, authority):
    """Qpid Proton opens AMQP 1.0 inside TLS, anonymously, and says why it ended."""
    from proton import SSLDomain
    from proton.handlers import MessagingHandler
    from proton.reactor import Container

    class Peer(MessagingHandler):
        def on_start(self, event):
            domain = SSLDomain(SSLDomain.MODE_CLIENT)
            domain.set_trusted_ca_db(authority)
            domain.set_peer_authentication(SSLDomain.VERIFY_PEER_NAME)
            event.container.connect(
                f"amqps://{host}", ssl_domain=domain, reconnect=False, allowed_mechs="ANONYMOUS"
            )

        def on_transport_error(self, event):
            condition = event.transport.condition
            print(condition.name, condition.description)
            event.connection.close()

    Container(Peer()).run()


if __name__ == "__main__":
    {"mapper": mapper, "smb": smb, "websocket": websocket, "amqp": amqp}[sys.argv[1]](*sys.argv[2:])

#!/usr/bin/python3
"""Samba's own replication client, for measurements: reads a domain's password hashes as connect does.

usage: drs_client.py DC-HOST DOMAIN ACCOUNT OBJECTS-A-PAGE < password

One GetNCChanges cycle from the beginning, with the attributes and the page size that connect asks for,
over Kerberos with privacy, by Samba's Python bindings over its C library; every hash is decrypted.
Prints one JSON object: objects, hashes, and the seconds from the first request to the last hash.
Needs Debian's python3-samba, and so /usr/bin/python3.
"""

import json
import sys
import time

from samba.credentials import MUST_USE_KERBEROS, Credentials
from samba.dcerpc import drsuapi, misc
from samba.drs_utils import drs_DsBind
from samba.net import Net
from samba.param import LoadParm

UNICODE_PWD = 0x0009005A
PWD_LAST_SET = 0x00090060


def request(domain, page):
    query = drsuapi.DsGetNCChangesRequest8()
    query.destination_dsa_guid = misc.GUID("9c9b7dd6-0001-4001-8001-000000000001")
    query.source_dsa_invocation_id = misc.GUID()
    context = drsuapi.DsReplicaObjectIdentifier()
    context.dn = ",".join(f"DC={label}" for label in domain.split("."))
    query.naming_context = context
    query.highwatermark = drsuapi.DsReplicaHighWaterMark()
    query.uptodateness_vector = None
    query.replica_flags = drsuapi.DRSUAPI_DRS_INIT_SYNC | drsuapi.DRSUAPI_DRS_WRIT_REP
    query.max_object_count = page
    query.max_ndr_size = 8 * 1024 * 1024
    query.extended_op = drsuapi.DRSUAPI_EXOP_NONE
    attributes = drsuapi.DsPartialAttributeSet()
    attributes.version = 1
    attributes.attids = [UNICODE_PWD, PWD_LAST_SET]
    attributes.num_attids = 2
    query.partial_attribute_set = attributes
    query.partial_attribute_set_ex = None
    query.mapping_ctr.num_mappings = 0
    query.mapping_ctr.mappings = None
    return query


def hashes(net, connection, reply):
    """Decrypts the hashes of a page, and gives their number."""
    found, entry = 0, reply.first_object
    while entry is not None:
        for attribute in entry.object.attribute_ctr.attributes:
            if attribute.attid == UNICODE_PWD and attribute.value_ctr.num_values:
                rid = int(str(entry.object.identifier.sid).rsplit("-", 1)[1])
                net.replicate_decrypt(connection, attribute, rid)
                assert len(attribute.value_ctr.values[0].blob) == 16
                found += 1
        entry = entry.next_object
    return found


def main():
    host, domain, account, page = sys.argv[1:]
    parameters = LoadParm()
    parameters.set("realm", domain.upper())
    parameters.set("workgroup", domain.split(".")[0].upper())
    credentials = Credentials()
    credentials.guess(parameters)
    credentials.set_username(account)
    credentials.set_password(sys.stdin.readline().rstrip("\n"))
    credentials.set_realm(domain.upper())
    credentials.set_domain(domain.split(".")[0].upper())
    credentials.set_kerberos_state(MUST_USE_KERBEROS)
    connection = drsuapi.drsuapi(f"ncacn_ip_tcp:{host}[krb5,seal]", parameters, credentials)
    handle, _ = drs_DsBind(connection)
    net = Net(credentials, parameters)
    query = request(domain, int(page))
    objects = found = 0
    began = time.monotonic()
    while True:
        _, reply = connection.DsGetNCChanges(handle, 8, query)
        objects += reply.object_count
        found += hashes(net, connection, reply)
        if not reply.more_data:
            break
        query.highwatermark = reply.new_highwatermark
        query.source_dsa_invocation_id = reply.source_dsa_invocation_id
    seconds = time.monotonic() - began
    json.dump({"objects": objects, "hashes": found, "seconds": seconds}, sys.stdout)


if __name__ == "__main__":
    main()

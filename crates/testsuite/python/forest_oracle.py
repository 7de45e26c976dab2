#!/usr/bin/python3
"""What the forest really holds, read by Samba's own client: the NT hash of every object that has one.

usage: forest_oracle.py DC-HOST DOMAIN ACCOUNT < password

Prints one JSON object: objectGUID -> NT hash in hex, from one GetNCChanges cycle over Kerberos with
privacy, by Samba's Python bindings over its C library. Needs Debian's python3-samba, and so
/usr/bin/python3.
"""

import json
import struct
import sys

from samba.credentials import MUST_USE_KERBEROS, Credentials
from samba.dcerpc import drsuapi, misc
from samba.drs_utils import drs_DsBind
from samba.net import Net
from samba.param import LoadParm

UNICODE_PWD = 0x0009005A
OBJECT_SID = 0x00090092
OBJECTS_A_REPLY = 400


def request(domain, watermark, vector):
    query = drsuapi.DsGetNCChangesRequest8()
    query.destination_dsa_guid = misc.GUID("9c9b7dd6-0001-4001-8001-000000000001")
    query.source_dsa_invocation_id = misc.GUID()
    context = drsuapi.DsReplicaObjectIdentifier()
    context.dn = ",".join(f"DC={label}" for label in domain.split("."))
    query.naming_context = context
    query.highwatermark = watermark
    query.uptodateness_vector = vector
    query.replica_flags = drsuapi.DRSUAPI_DRS_INIT_SYNC | drsuapi.DRSUAPI_DRS_WRIT_REP
    query.max_object_count = OBJECTS_A_REPLY
    query.max_ndr_size = 0
    query.extended_op = drsuapi.DRSUAPI_EXOP_NONE
    query.partial_attribute_set = None
    query.partial_attribute_set_ex = None
    query.mapping_ctr.num_mappings = 0
    query.mapping_ctr.mappings = None
    return query


def hashes(net, connection, reply):
    entry = reply.first_object
    while entry is not None:
        attributes = {a.attid: a for a in entry.object.attribute_ctr.attributes}
        secret, sid = attributes.get(UNICODE_PWD), attributes.get(OBJECT_SID)
        if secret is not None and sid is not None and secret.value_ctr.num_values:
            rid = struct.unpack("<I", sid.value_ctr.values[0].blob[-4:])[0]
            net.replicate_decrypt(connection, secret, rid)
            yield str(entry.object.identifier.guid), secret.value_ctr.values[0].blob.hex()
        entry = entry.next_object


def main():
    host, domain, account = sys.argv[1:]
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
    found, watermark, vector = {}, drsuapi.DsReplicaHighWaterMark(), None
    while True:
        _, reply = connection.DsGetNCChanges(handle, 8, request(domain, watermark, vector))
        found.update(hashes(net, connection, reply))
        if not reply.more_data:
            break
        watermark = reply.new_highwatermark
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()

#!/usr/bin/python3
"""Writes the golden encodings of this directory with Samba's Python bindings (Debian: python3-samba).

Run it here; it needs no server. Samba's generated NDR code is the second implementation that ours is
compared with, octet for octet.
"""
import pathlib

from samba.dcerpc import drsuapi, epmapper, misc, security
from samba.ndr import ndr_pack, ndr_pack_in, ndr_pack_out, ndr_unpack_out

HERE = pathlib.Path(__file__).parent


def write(name, octets):
    (HERE / name).write_bytes(octets)


def handle():
    value = misc.policy_handle()
    value.handle_type = 0
    value.uuid = misc.GUID("11223344-5566-7788-99aa-bbccddeeff00")
    return value


def epm():
    def floor(protocol, lhs=b"", rhs=None):
        value = epmapper.epm_floor()
        value.lhs.protocol = protocol
        if lhs:
            value.lhs.lhs_data = lhs
        value.rhs = rhs
        return value

    def tower(port, address):
        drs = misc.ndr_syntax_id()
        drs.uuid = misc.GUID("e3514235-4b06-11d1-ab04-00c04fc2dcd2")
        drs.if_version = 4
        ndr = misc.ndr_syntax_id()
        ndr.uuid = misc.GUID("8a885d04-1ceb-11c9-9fe8-08002b104860")
        ndr.if_version = 2
        floors = []
        for syntax in (drs, ndr):
            rhs = epmapper.epm_rhs_uuid()
            rhs.unknown = b"\0\0"
            floors.append(floor(epmapper.EPM_PROTOCOL_UUID, ndr_pack(syntax)[:18], rhs))
        rhs = epmapper.epm_rhs_ncacn()
        rhs.minor_version = 0
        floors.append(floor(epmapper.EPM_PROTOCOL_NCACN, rhs=rhs))
        rhs = epmapper.epm_rhs_tcp()
        rhs.port = port
        floors.append(floor(epmapper.EPM_PROTOCOL_TCP, rhs=rhs))
        rhs = epmapper.epm_rhs_ip()
        rhs.ipaddr = address
        floors.append(floor(epmapper.EPM_PROTOCOL_IP, rhs=rhs))
        value = epmapper.epm_tower()
        value.floors = floors
        value.num_floors = len(floors)
        twr = epmapper.epm_twr_t()
        twr.tower = value
        return twr

    call = epmapper.epm_Map()
    call.in_object = misc.GUID()
    call.in_map_tower = tower(135, "0.0.0.0")
    call.in_entry_handle = misc.policy_handle()
    call.in_max_towers = 4
    write("ept_map-request.bin", ndr_pack_in(call))
    call.out_entry_handle = misc.policy_handle()
    first = epmapper.epm_twr_p_t()
    first.twr = tower(49664, "192.0.2.10")
    second = epmapper.epm_twr_p_t()
    second.twr = tower(50001, "192.0.2.11")
    call.out_num_towers = 2
    call.out_towers = [first, second]
    call.result = 0
    write("ept_map-response.bin", ndr_pack_out(call))


def bind():
    call = drsuapi.DsBind()
    call.in_bind_guid = misc.GUID(drsuapi.DRSUAPI_DS_BIND_GUID)
    info = drsuapi.DsBindInfoCtr()
    info.length = 28
    info.info = drsuapi.DsBindInfo28()
    info.info.supported_extensions = 0x05008004
    info.info.pid = 0
    info.info.repl_epoch = 0
    call.in_bind_info = info
    write("drs_bind-request.bin", ndr_pack_in(call))
    server = drsuapi.DsBindInfoCtr()
    server.length = 48
    server.info = drsuapi.DsBindInfo48()
    server.info.supported_extensions = 0x1FFFFF7F
    server.info.site_guid = misc.GUID("e24d201a-4fd6-11d1-a3da-0000f875ae0d")
    server.info.pid = 7
    server.info.repl_epoch = 3
    server.info.supported_extensions_ext = 5
    server.info.config_dn_guid = misc.GUID("00112233-4455-6677-8899-aabbccddeeff")
    call.out_bind_info = server
    call.out_bind_handle = handle()
    call.result = 0
    write("drs_bind-response.bin", ndr_pack_out(call))
    call = drsuapi.DsUnbind()
    call.in_bind_handle = handle()
    write("drs_unbind-request.bin", ndr_pack_in(call))


def oid_entry(ndx, octets):
    entry = drsuapi.DsReplicaOIDMapping()
    entry.id_prefix = ndx
    oid = drsuapi.DsReplicaOID()
    oid.length = len(octets)
    oid.binary_oid = list(octets)
    entry.oid = oid
    return entry


def request(name, full):
    call = drsuapi.DsGetNCChanges()
    call.in_bind_handle = handle()
    call.in_level = 8
    req = drsuapi.DsGetNCChangesRequest8()
    req.source_dsa_invocation_id = misc.GUID("5a5a5a5a-0102-0304-0506-0708090a0b0c") if full else misc.GUID()
    nc = drsuapi.DsReplicaObjectIdentifier()
    nc.dn = "DC=corp,DC=example"
    req.naming_context = nc
    mark = drsuapi.DsReplicaHighWaterMark()
    mark.tmp_highest_usn = 4711 if full else 0
    mark.reserved_usn = 0
    mark.highest_usn = 4712 if full else 0
    req.highwatermark = mark
    if full:
        vector = drsuapi.DsReplicaCursorCtrEx()
        vector.version = 1
        cursors = []
        for index in (1, 2, 3):
            cursor = drsuapi.DsReplicaCursor()
            cursor.source_dsa_invocation_id = misc.GUID("0000000%d-0000-0000-0000-000000000000" % index)
            cursor.highest_usn = 1000 * index
            cursors.append(cursor)
        vector.count = 3
        vector.cursors = cursors
        req.uptodateness_vector = vector
    req.replica_flags = 0x30
    req.max_object_count = 402
    req.max_ndr_size = 1 << 20
    req.extended_op = 0 if full else 6
    req.fsmo_info = 0
    table = drsuapi.DsReplicaOIDMapping_Ctr()
    if full:
        partial = drsuapi.DsPartialAttributeSet()
        partial.version = 1
        attids = [0x0000005A, 0x00000060, 0x00010030]
        partial.num_attids = len(attids)
        partial.attids = attids
        req.partial_attribute_set = partial
        mappings = [
            oid_entry(0, bytes.fromhex("2a864886f7140104")),
            oid_entry(1, bytes.fromhex("2a864886f7140102")),
            oid_entry(0, bytes.fromhex("ff") + bytes(20)),
        ]
        table.num_mappings = len(mappings)
        table.mappings = mappings
    req.mapping_ctr = table
    call.in_req = req
    write(name, ndr_pack_in(call))


def reply():
    """Three objects in one reply, made of the one that was captured."""
    call = drsuapi.DsGetNCChanges()
    ndr_unpack_out(call, (HERE / "get_nc_changes-reply.bin").read_bytes())
    ctr = call.out_ctr
    captured = ctr.first_object
    print("captured:", captured.object.identifier.dn, ctr.object_count)

    def item(dn, rid, values):
        value = drsuapi.DsReplicaObjectListItemEx()
        name = drsuapi.DsReplicaObjectIdentifier()
        name.dn = dn
        name.guid = misc.GUID("aaaaaaaa-0000-0000-0000-00000000%04x" % rid)
        name.sid = security.dom_sid("S-1-5-21-1-2-3-%d" % rid)
        value.object.identifier = name
        attributes = []
        for attid, octets in values:
            attribute = drsuapi.DsReplicaAttribute()
            attribute.attid = attid
            blobs = []
            for octet in octets:
                blob = drsuapi.DsAttributeValue()
                blob.blob = octet
                blobs.append(blob)
            attribute.value_ctr.num_values = len(blobs)
            attribute.value_ctr.values = blobs
            attributes.append(attribute)
        value.object.attribute_ctr.num_attributes = len(attributes)
        value.object.attribute_ctr.attributes = attributes
        value.is_nc_prefix = 0
        value.parent_object_guid = misc.GUID("bbbbbbbb-0000-0000-0000-000000000000")
        return value

    items = [
        item("CN=first,DC=corp,DC=example", 2001, [(0x0009005A, [b"1st"]), (0x00090060, [b"abcdefgh"])]),
        item("CN=second,DC=corp,DC=example", 2002, [(0x0009005A, [])]),
        item("CN=th\u00edrd,DC=corp,DC=example", 2003, [(0x00090008, [b"x" * 5, b"y", b""])]),
    ]
    items[0].next_object = items[1]
    items[1].next_object = items[2]
    ctr.first_object = items[0]
    ctr.object_count = 3
    link = drsuapi.DsReplicaLinkedAttribute()
    link.identifier = captured.object.identifier
    link.attid = 2
    link.value.blob = b"a link value"
    link.flags = 1
    other = drsuapi.DsReplicaLinkedAttribute()
    other.attid = 3
    ctr.linked_attributes = [link, other]
    ctr.linked_attributes_count = 2
    vector = drsuapi.DsReplicaCursor2CtrEx()
    vector.version = 2
    cursors = []
    for index in (1, 2):
        cursor = drsuapi.DsReplicaCursor2()
        cursor.source_dsa_invocation_id = misc.GUID("0000000%d-0000-0000-0000-000000000000" % index)
        cursor.highest_usn = 1000 * index
        cursor.last_sync_success = 0x1D0000000000000
        cursors.append(cursor)
    vector.count = 2
    vector.cursors = cursors
    ctr.uptodateness_vector = vector
    ctr.new_highwatermark.tmp_highest_usn = 4711
    ctr.new_highwatermark.highest_usn = 4712
    ctr.more_data = 1
    write("get_nc_changes-reply-three.bin", ndr_pack_out(call))


epm()
bind()
request("get_nc_changes-request-object.bin", False)
request("get_nc_changes-request-full.bin", True)
reply()

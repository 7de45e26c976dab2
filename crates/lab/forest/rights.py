"""Takes a right from the sync server's account, or gives it back, while the controller runs.

usage: rights.py SMB.CONF take|give CONTAINER ACE

CONTAINER is `domain` or `deleted`; ACE is an entry in SDDL with SID in place of the account's.
Taking what is not there fails, and so does giving what is.
"""

import sys

import ldb
from samba.auth import system_session
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

CONTROLS = ["sd_flags:1:4", "show_deleted:1"]


def main(configuration, verb, container, entry):
    settings = LoadParm()
    settings.load(configuration)
    samdb = SamDB(url=settings.private_path("sam.ldb"), lp=settings, session_info=system_session())
    base = str(samdb.domain_dn())
    found = samdb.search(base, expression="(sAMAccountName=svc_connect)", attrs=["objectSid"])
    sid = ndr_unpack(security.dom_sid, found[0]["objectSid"][0])
    dn = base if container == "domain" else f"CN=Deleted Objects,{base}"
    found = samdb.search(dn, ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"], controls=CONTROLS)
    descriptor = ndr_unpack(security.descriptor, found[0]["nTSecurityDescriptor"][0])
    domain = security.dom_sid(samdb.get_domain_sid())
    # As text, in Samba's own spelling: taking an entry by itself takes its like along.
    entry = security.descriptor.from_sddl(f"D:{entry.replace('SID', str(sid))}", domain)
    entry = entry.as_sddl(domain).removeprefix("D:")
    held = descriptor.as_sddl(domain)
    if (verb == "give") == (entry in held):
        sys.exit(f"cannot {verb} {entry} on {dn}")
    if verb == "give":
        # In front of the first entry, as explicit ones are.
        changed = held.replace("(", f"{entry}(", 1)
    else:
        changed = held.replace(entry, "")
    descriptor = security.descriptor.from_sddl(changed, domain)
    message = ldb.Message(ldb.Dn(samdb, dn))
    packed = ndr_pack(descriptor)
    name = "nTSecurityDescriptor"
    message[name] = ldb.MessageElement(packed, ldb.FLAG_MOD_REPLACE, name)
    samdb.modify(message, controls=CONTROLS)


if __name__ == "__main__":
    main(*sys.argv[1:])

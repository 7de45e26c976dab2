"""Fills a freshly provisioned domain controller's database, while it is stopped.

usage: populate.py SMB.CONF [EXTRA_USERS]

The people are made to be hard: names outside ASCII, no UPN, a UPN suffix that no tenant verified,
disabled, expired, must change the password, no password at all, a comma in the name. EXTRA_USERS
more are loaded into OU=Bulk with an NT hash only, for measurements.
"""

import random
import sys
import time

import ldb
from samba import dsdb
from samba.auth import system_session
from samba.crypto import md4_hash_blob
from samba.dcerpc import security
from samba.ndr import ndr_pack, ndr_unpack
from samba.param import LoadParm
from samba.samdb import SamDB

UF_ACCOUNTDISABLE = 0x2
UF_NORMAL_ACCOUNT = 0x200
UF_DONT_EXPIRE_PASSWD = 0x10000
UF_SMARTCARD_REQUIRED = 0x40000

GROUP_GLOBAL = 0x2
GROUP_DOMAIN_LOCAL = 0x4
GROUP_UNIVERSAL = 0x8
GROUP_SECURITY = -0x80000000

# MS-ADTS 5.1.3.2.1: the two extended rights that replication with secrets takes.
DS_REPLICATION_GET_CHANGES = "1131f6aa-9c07-11d1-f79f-00c04fc2dcd2"
DS_REPLICATION_GET_CHANGES_ALL = "1131f6ad-9c07-11d1-f79f-00c04fc2dcd2"

OWNER_ONLY = "sd_flags:1:1"
DACL_ONLY = "sd_flags:1:4"
SHOW_DELETED = "show_deleted:1"

# 2020-01-01 as a FILETIME: what expired then has expired.
LONG_AGO = "132223104000000000"
NEVER = "-9223372036854775808"

UNITS = [
    "OU=Staff",
    "OU=Engineering,OU=Staff",
    "OU=Finance,OU=Staff",
    "OU=Zürich,OU=Staff",
    "OU=Partners,OU=Staff",
    "OU=Contacts",
    "OU=Groups",
    "OU=Service",
]

# (account, unit, given name, surname, password, changes)
PEOPLE = [
    ("alice", "OU=Engineering,OU=Staff", "Alice", "Ångström", "Al1ce-Pass!", {}),
    ("bob", "OU=Engineering,OU=Staff", "Bob", "Baker", "B0b-Pass!word", {}),
    ("carol", "OU=Finance,OU=Staff", "Carol", "Chen", "Car0l-Pass!", {"flags": UF_ACCOUNTDISABLE}),
    ("dave", "OU=Finance,OU=Staff", "Dave", "Díaz", "Dav3-Pass!word", {"pwdLastSet": "0"}),
    ("erin", "OU=Finance,OU=Staff", "Erin", "O'Neill", "Er1n-Pass!word", {"accountExpires": LONG_AGO}),
    ("frank", "OU=Staff", "Frank", "Fischer", "Fr4nk-Pass!word", {"userPrincipalName": None}),
    ("grace", "OU=Partners,OU=Staff", "Grace", "Gómez", "Gr4ce-Pass!word",
     {"userPrincipalName": "grace@partner.example"}),
    ("heidi", "OU=Zürich,OU=Staff", "Heidi", "Müller-Lüdenscheidt", "He1di-Pass!word", {}),
    ("ivan", "OU=Zürich,OU=Staff", "Иван", "Иванов", "1van-Pass!word", {}),
    ("liwei", "OU=Engineering,OU=Staff", "伟", "李", "L1wei-Pass!word", {}),
    ("zoe", "OU=Zürich,OU=Staff", "Zoë", "Żółć", "Zo3-Pässword!", {}),
    ("sean", "OU=Staff", "Sean", "Smith", "Se4n-Pass!word", {"cn": "Smith, Sean"}),
    ("peggy", "OU=Finance,OU=Staff", "Peggy", "Park", "P3ggy-Pass!word", {"flags": UF_SMARTCARD_REQUIRED}),
    ("trent", "OU=Partners,OU=Staff", "Trent", "Turing", "Tr3nt-Pass!word", {"objectClass": "inetOrgPerson"}),
    ("walter", "OU=Partners,OU=Staff", "Walter", "Weiß", None, {"flags": UF_ACCOUNTDISABLE}),
]

SERVICE = ("svc_connect", "OU=Service", "Svc-C0nnect!")

# (name, scope, mail-enabled, members as names of people, groups or contacts)
GROUPS = [
    ("Engineers", GROUP_GLOBAL | GROUP_SECURITY, False, ["alice", "bob", "liwei"]),
    ("Accountants", GROUP_GLOBAL | GROUP_SECURITY, False, ["carol", "dave", "erin", "peggy"]),
    ("Zürich Büro", GROUP_UNIVERSAL | GROUP_SECURITY, True, ["heidi", "ivan", "zoe"]),
    ("All Staff", GROUP_UNIVERSAL | GROUP_SECURITY, True, ["Engineers", "Accountants", "Zürich Büro", "frank", "sean"]),
    ("Newsletter", GROUP_UNIVERSAL, True, ["All Staff", "trent", "Nina Nowak"]),
    ("Printers", GROUP_DOMAIN_LOCAL | GROUP_SECURITY, False, ["Engineers"]),
    ("Empty", GROUP_GLOBAL | GROUP_SECURITY, False, []),
]


class Directory:
    """The database and the names made so far."""

    def __init__(self, samdb):
        self.samdb = samdb
        self.base = str(samdb.domain_dn())
        self.placed = {}

    def place(self, name, unit, key=None):
        """The distinguished name of `name` in `unit`, remembered under `key`."""
        dn = ldb.Dn(self.samdb, f"{unit},{self.base}")
        dn.add_child(ldb.Dn(self.samdb, "CN=X"))
        dn.set_component(0, "CN", name)
        self.placed[key or name] = str(dn)
        return str(dn)

    def add(self, dn, **attributes):
        entry = {"dn": dn}
        entry.update({name: value for name, value in attributes.items() if value is not None})
        self.samdb.add(entry)

    def modify(self, dn, controls=(), **attributes):
        message = ldb.Message(ldb.Dn(self.samdb, dn))
        for name, value in attributes.items():
            message[name] = ldb.MessageElement(value, ldb.FLAG_MOD_REPLACE, name)
        self.samdb.modify(message, controls=list(controls))

    def sid(self, dn):
        found = self.samdb.search(dn, ldb.SCOPE_BASE, attrs=["objectSid"])
        return ndr_unpack(security.dom_sid, found[0]["objectSid"][0])


def add_person(directory, number, person):
    account, unit, given, surname, password, changes = person
    changes = dict(changes)
    flags = UF_NORMAL_ACCOUNT | changes.pop("flags", 0)
    common = changes.pop("cn", f"{given} {surname}")
    attributes = {
        "objectClass": "user",
        "sAMAccountName": account,
        "userPrincipalName": f"{account}@corp.example",
        "givenName": given,
        "sn": surname,
        "displayName": f"{given} {surname}",
        "mail": f"{account}@corp.example",
        "proxyAddresses": [f"SMTP:{account}@corp.example", f"smtp:{account}.old@corp.example"],
        "department": unit.split(",")[0][3:],
        "title": f"Título {number}",
        "company": "Corp",
        "telephoneNumber": f"+41 44 555 {number:04}",
        "mobile": f"+41 79 555 {number:04}",
        "streetAddress": f"Main Street {number}\nFloor 2",
        "l": "Zürich",
        "st": "ZH",
        "postalCode": f"{8000 + number}",
        "co": "Switzerland",
        "c": "CH",
        "countryCode": "756",
        "employeeID": f"{number:08}",
        "physicalDeliveryOfficeName": "B1",
        "description": f"Person {number}",
        "userAccountControl": str(flags),
    }
    last_set = changes.pop("pwdLastSet", None)
    attributes.update(changes)
    if password is not None:
        attributes["clearTextPassword"] = password.encode("utf-16le")
    dn = directory.place(common, unit, account)
    directory.add(dn, **attributes)
    if last_set is not None:
        directory.modify(dn, pwdLastSet=last_set)


def add_contact(directory, name, mail):
    dn = directory.place(name, "OU=Contacts")
    directory.add(
        dn,
        objectClass="contact",
        displayName=name,
        givenName=name.split()[0],
        sn=name.split()[-1],
        mail=mail,
        proxyAddresses=[f"SMTP:{mail}"],
    )


def add_group(directory, name, scope, mail_enabled, members):
    dn = directory.place(name, "OU=Groups")
    mail = f"{name.encode('ascii', 'ignore').decode().replace(' ', '-').lower()}@corp.example"
    directory.add(
        dn,
        objectClass="group",
        sAMAccountName=name,
        groupType=str(scope),
        displayName=name,
        description=f"The group {name}",
        mail=mail if mail_enabled else None,
        proxyAddresses=[f"SMTP:{mail}"] if mail_enabled else None,
        member=[directory.placed[member] for member in members] or None,
    )


def add_service_account(directory):
    """The sync server's account, with the rights it takes and no other."""
    account, unit, password = SERVICE
    dn = directory.place(account, unit)
    directory.add(
        dn,
        objectClass="user",
        sAMAccountName=account,
        userPrincipalName=f"{account}@corp.example",
        description="Reads the forest and its secrets for the sync server",
        userAccountControl=str(UF_NORMAL_ACCOUNT | UF_DONT_EXPIRE_PASSWD),
        clearTextPassword=password.encode("utf-16le"),
    )
    sid = directory.sid(dn)
    for right in DS_REPLICATION_GET_CHANGES, DS_REPLICATION_GET_CHANGES_ALL:
        grant(directory, directory.base, f"(OA;;CR;{right};;{sid})")
    # Without list and read here, DirSync tells the account of no deletion. The container's owner is
    # nobody who could be read of it, so it is given one first.
    deleted = f"CN=Deleted Objects,{directory.base}"
    owner = security.descriptor()
    owner.owner_sid = security.dom_sid(f"{directory.samdb.get_domain_sid()}-{security.DOMAIN_RID_ADMINS}")
    directory.modify(deleted, [OWNER_ONLY, SHOW_DELETED], nTSecurityDescriptor=ndr_pack(owner))
    grant(directory, deleted, f"(A;;RPLC;;;{sid})")


def grant(directory, dn, entry):
    """Adds one entry to an object's discretionary list, before the inherited ones."""
    controls = [DACL_ONLY, SHOW_DELETED]
    found = directory.samdb.search(dn, ldb.SCOPE_BASE, attrs=["nTSecurityDescriptor"], controls=controls)
    descriptor = ndr_unpack(security.descriptor, found[0]["nTSecurityDescriptor"][0])
    domain = security.dom_sid(directory.samdb.get_domain_sid())
    new = security.descriptor.from_sddl(f"D:{entry}", domain).dacl.aces[0]
    descriptor.dacl_add(new, 0)
    directory.modify(dn, controls, nTSecurityDescriptor=ndr_pack(descriptor))


def delete_someone(directory):
    """Leaves a tombstone behind."""
    dn = directory.place("Gone Gustav", "OU=Staff")
    directory.add(
        dn, objectClass="user", sAMAccountName="gustav", userPrincipalName="gustav@corp.example"
    )
    directory.samdb.delete(dn)


def load_bulk(directory, count):
    """Adds many plain people by NT hash, each in a known way: `u000042` has `Pw-000042!x`."""
    dice = random.Random(42)
    given = "James Mary Robert Patricia John Jennifer Michael Zoë".split()
    surnames = "Smith García Johnson Müller Brown Rodríguez Davis Łukasz".split()
    now = str(int((time.time() + 11644473600) * 10**7))
    unit = f"OU=Bulk,{directory.base}"
    directory.add(unit, objectClass="organizationalUnit")
    members = []
    for number in range(count):
        account = f"u{number:06}"
        first, last = dice.choice(given), dice.choice(surnames)
        digest = md4_hash_blob(f"Pw-{number:06}!x".encode("utf-16le"))
        dn = f"CN={first} {last} {number},{unit}"
        directory.samdb.add(
            {
                "dn": dn,
                "objectClass": "user",
                "sAMAccountName": account,
                "userPrincipalName": f"{account}@corp.example",
                "givenName": first,
                "sn": last,
                "displayName": f"{first} {last}",
                "mail": f"{account}@corp.example",
                "proxyAddresses": [f"SMTP:{account}@corp.example"],
                "department": dice.choice(["Sales", "Legal", "Support"]),
                "employeeID": f"{number:08}",
                "userAccountControl": str(UF_NORMAL_ACCOUNT),
                "unicodePwd": digest,
                "ntPwdHistory": digest,
                "pwdLastSet": now,
            },
            controls=[f"local_oid:{dsdb.DSDB_CONTROL_BYPASS_PASSWORD_HASH_OID}:0"],
        )
        members.append(dn)
    directory.placed["bulk"] = members


def main(arguments):
    extra = int(arguments[1]) if len(arguments) > 1 else 0
    settings = LoadParm()
    settings.load(arguments[0])
    samdb = SamDB(
        url=settings.private_path("sam.ldb"),
        lp=settings,
        session_info=system_session(),
        flags=ldb.FLG_NOSYNC,
        # Loading in one batch would otherwise slow down with the square of the number.
        options=["batch_mode:1", "transaction_index_cache_size:200000"] if extra else [],
    )
    directory = Directory(samdb)
    samdb.transaction_start()
    # An archive lives longer than the default of 42 days.
    directory.modify(directory.base, maxPwdAge=NEVER, minPwdAge="0")
    directory.modify(
        f"CN=Partitions,{samdb.get_config_basedn()}", uPNSuffixes=["partner.example"]
    )
    for unit in UNITS:
        directory.add(
            f"{unit},{directory.base}", objectClass="organizationalUnit", description=unit
        )
    for number, person in enumerate(PEOPLE, start=1):
        add_person(directory, number, person)
    add_contact(directory, "Nina Nowak", "nina@elsewhere.example")
    for group in GROUPS:
        add_group(directory, *group)
    add_service_account(directory)
    delete_someone(directory)
    samdb.transaction_commit()
    if extra:
        samdb.transaction_start()
        load_bulk(directory, extra)
        samdb.transaction_commit()


if __name__ == "__main__":
    main(sys.argv[1:])

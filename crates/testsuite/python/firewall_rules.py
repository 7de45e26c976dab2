#!/usr/bin/env python3
"""The permissions that a text of `portolan chart firewall` holds, as other people's parsers read it.

usage: firewall_rules.py terraform-aws|terraform-azure|cisco-asa|windows < text

Prints one JSON object: `rules`, a sorted list of [direction, transport, first port, last port, prefix];
`others`, what is no permission of TCP or UDP, in words; `notes`, the comments that a rule carries.
HCL is read by python-hcl2, a configuration of an ASA by ciscoconfparse2, PowerShell by tree-sitter.
"""

import ipaddress
import json
import sys

DIRECTIONS = {"egress": "out", "ingress": "in", "Outbound": "out", "Inbound": "in", "OUT": "out", "IN": "in"}


def prefix(text):
    return str(ipaddress.ip_network(text))


def ports(text):
    first, _, last = str(text).partition("-")
    return int(first), int(last or first)


def unquoted(value):
    """python-hcl2 leaves a text's quotes."""
    if isinstance(value, list):
        return [unquoted(one) for one in value]
    return value.strip('"') if isinstance(value, str) else value


def resources(text):
    import hcl2

    for block in hcl2.loads(text)["resource"]:
        for kind, named in block.items():
            for name, body in named.items():
                yield unquoted(kind), unquoted(name), {key: unquoted(value) for key, value in body.items()}


def terraform_aws(text, found):
    names = set()
    for kind, name, body in resources(text):
        assert (kind, name) not in names, f"{kind} {name} stands twice"
        names.add((kind, name))
        if kind == "aws_security_group":
            group = "${aws_security_group.%s.id}" % name
            continue
        direction = DIRECTIONS[kind.removeprefix("aws_vpc_security_group_").removesuffix("_rule")]
        assert body["security_group_id"] == group
        if body["ip_protocol"] not in ("tcp", "udp"):
            found["others"].append(f"{direction} {body['ip_protocol']}")
            continue
        address = body.get("cidr_ipv4") or body["cidr_ipv6"]
        found["notes"].add(body["description"])
        found["rules"].append([direction, body["ip_protocol"], body["from_port"], body["to_port"], prefix(address)])


def terraform_azure(text, found):
    places = set()
    for kind, name, body in resources(text):
        if kind != "azurerm_network_security_rule":
            continue
        direction = DIRECTIONS[body["direction"]]
        place = (direction, body["priority"])
        assert place not in places and 100 <= body["priority"] <= 4096 and body["name"] == name
        places.add(place)
        if body["access"] != "Allow" or body["protocol"] not in ("Tcp", "Udp"):
            found["others"].append(f"{direction} {body['access']} {body['protocol']} {body['priority']}")
            continue
        theirs, own = ("source", "destination") if direction == "in" else ("destination", "source")
        assert body[f"{own}_address_prefix"] == "*" and body["source_port_range"] == "*"
        found["notes"].add(body["description"])
        assert len(body["description"]) <= 140
        for address in body[f"{theirs}_address_prefixes"]:
            for one in body["destination_port_ranges"]:
                rule = [direction, body["protocol"].lower(), *ports(one), prefix(address)]
                found["rules"].append(rule)


def members(group):
    """A group's prefixes. The parser knows hosts of both families, and masks; not lengths of IPv6."""
    try:
        return [prefix(one) for one in group.network_strings]
    except NotImplementedError:
        return [prefix("/".join(child.text.removeprefix(" network-object ").removeprefix("host ").split())) for child in group.children]


def cisco_asa(text, found):
    from ciscoconfparse2 import CiscoConfParse
    from loguru import logger

    logger.remove()
    # The parser does not know ICMP of IPv6 among the protocols of a list.
    is_known = lambda line: " extended permit icmp6 " not in line
    lines = text.splitlines()
    found["others"] += [line.split(" ", 2)[2] for line in lines if not is_known(line)]
    known = [line for line in lines if is_known(line) and not line.startswith("!")]
    parsed = CiscoConfParse(known, syntax="asa", factory=True)
    groups = {group.name: members(group) for group in parsed.find_objects(r"^object-group network")}
    for line in parsed.find_objects(r"^access-list"):
        fields = {key: value for key, value in line._mm_results.items() if value is not None}
        if "remark" in fields:
            found["notes"].add(fields["remark"])
            continue
        if fields.get("protocol2") not in ("tcp", "udp"):
            found["others"].append(line.text.split(" ", 2)[2])
            continue
        assert fields["action2"] == "permit"
        direction = DIRECTIONS[fields["acl_name2"].rsplit("-", 1)[1]]
        ends = groups[fields["src_networkobject2"]], groups[fields["dst_networkobject2"]]
        own, theirs = ends if direction == "out" else reversed(ends)
        found["own"].update(own)
        first = fields.get("dst_port") or fields["dst_port_low"]
        last = fields.get("dst_port") or fields["dst_port_high"]
        for address in theirs:
            rule = [direction, fields["protocol2"], int(first), int(last), address]
            found["rules"].append(rule)


def windows(text, found):
    import tree_sitter
    import tree_sitter_powershell

    parser = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))
    root = parser.parse(text.encode()).root_node
    assert not root.has_error, "this is no PowerShell"

    def nodes(node, kinds):
        if node.type in kinds:
            yield node
            return
        for child in node.children:
            yield from nodes(child, kinds)

    groups = set()
    for command in nodes(root, {"command"}):
        name = next(nodes(command, {"command_name"})).text.decode()
        values, parameter = {}, None
        for part in nodes(command, {"command_parameter", "generic_token", "verbatim_string_characters", "decimal_integer_literal"}):
            word = part.text.decode()
            if part.type == "command_parameter":
                parameter = word
                values[parameter] = []
            elif parameter:
                values[parameter].append(word.strip("'"))
        if name != "New-NetFirewallRule":
            arguments = " ".join(f"{key} {','.join(value)}".strip() for key, value in values.items())
            found["others"].append(f"{name} {arguments}".strip())
            continue
        groups.add(*values["-Group"])
        assert values["-Action"] == ["Allow"] and values["-Profile"] == ["Any"]
        (direction,) = values["-Direction"]
        direction = DIRECTIONS[direction]
        (protocol,) = values["-Protocol"]
        if protocol not in ("TCP", "UDP"):
            found["others"].append(f"{direction} {protocol} {','.join(values['-IcmpType'])}")
            continue
        found["notes"].add(*values["-Description"])
        own, theirs = ("-LocalPort", "-RemotePort")
        known, absent = (own, theirs) if direction == "in" else (theirs, own)
        assert absent not in values
        for address in values["-RemoteAddress"]:
            for one in values[known]:
                both = ["0.0.0.0/0", "::/0"] if address == "Any" else [address]
                rules = [[direction, protocol.lower(), *ports(one), prefix(each)] for each in both]
                found["rules"] += rules
    assert len(groups) == 1, groups


READERS = {
    "terraform-aws": terraform_aws,
    "terraform-azure": terraform_azure,
    "cisco-asa": cisco_asa,
    "windows": windows,
}

found = {"rules": [], "others": [], "notes": set(), "own": set()}
READERS[sys.argv[1]](sys.stdin.read(), found)
print(json.dumps({key: sorted(value) for key, value in found.items()}))

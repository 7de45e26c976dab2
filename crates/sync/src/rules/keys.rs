//! The keys of a rule file: each a row, from which files are read and the reference page is made.

/// One key of a table of rule files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key {
    /// The table, as a file heads it; of inline tables what the page calls them.
    pub(super) table: &'static str,
    /// The name.
    pub(super) name: &'static str,
    /// What it takes.
    pub(super) takes: &'static str,
    /// What stands for it when it is absent; empty when it has to be given.
    pub(super) default: &'static str,
    /// What it says.
    pub(super) sentence: &'static str,
    /// An example of its value.
    pub(super) example: &'static str,
}

/// Tables of a file, and what each is for.
pub(super) const TABLES: &[(&str, &str)] = &[
    (FILE, "What a rule file may have at its top."),
    (RULE, "A rule: which objects, how they are linked, what flows."),
    (
        CLAUSE,
        "One condition on an attribute, in `scope`, in an exception and in an attribute filter.",
    ),
    (EXCEPTION, "Objects that a rule leaves out although its scope holds, in `except`."),
    (JOIN, "One condition of a join group, in `joins`."),
    (FLOW, "A flow of values to an attribute, in `flows`."),
    (REFERENCE, "A flow of references, in `references`."),
    (DISABLE, "A rule of the default set that is not in force."),
    (FILTER, "Objects of a forest that are left out, or the only ones that are taken."),
    (ATTRIBUTE, "What the values of an attribute are that the schema's table does not have."),
];

pub(super) const FILE: &str = "file";
pub(super) const RULE: &str = "rule";
pub(super) const CLAUSE: &str = "clause";
pub(super) const EXCEPTION: &str = "exception";
pub(super) const JOIN: &str = "join";
pub(super) const FLOW: &str = "flow";
pub(super) const REFERENCE: &str = "reference";
pub(super) const DISABLE: &str = "disable";
pub(super) const FILTER: &str = "filter";
pub(super) const ATTRIBUTE: &str = "attribute";

const fn key(
    table: &'static str,
    name: &'static str,
    takes: &'static str,
    default: &'static str,
    sentence: &'static str,
    example: &'static str,
) -> Key {
    Key { table, name, takes, default, sentence, example }
}

/// Every key.
pub(super) const KEYS: &[Key] = &[
    key(FILE, "rule", "tables", "none", "The rules, each under `[[rule]]`.", "[[rule]]"),
    key(FILE, "disable", "tables", "none", "Rules of the default set that are off.", "[[disable]]"),
    key(FILE, "filter", "tables", "none", "Filters, each under `[[filter]]`.", "[[filter]]"),
    key(FILE, "attribute", "tables", "none", "Declared attributes.", "[[attribute]]"),
    key(
        RULE,
        "key",
        "text",
        "",
        "What identifies the rule for ever: letters, digits, `.`, `-` and `_`.",
        "\"corp.title\"",
    ),
    key(
        RULE,
        "name",
        "text",
        "the key",
        "The rule's name for people.",
        "\"Titles of the head office\"",
    ),
    key(
        RULE,
        "clone",
        "text",
        "none",
        "The key of another rule, whose every key stands here unless it is given.",
        "\"in.user.common\"",
    ),
    key(
        RULE,
        "direction",
        "`inbound` or `outbound`",
        "",
        "From a forest into the metaverse, or from the metaverse to a target.",
        "\"inbound\"",
    ),
    key(
        RULE,
        "connected",
        "text",
        "every one",
        "The name of the one connected system that the rule is for.",
        "\"corp.example\"",
    ),
    key(
        RULE,
        "object",
        "text or texts",
        "",
        "What the object is in the connected system.",
        "[\"user\", \"inetOrgPerson\"]",
    ),
    key(
        RULE,
        "metaverse",
        "`person`, `group` or `device`",
        "",
        "What it is in the metaverse.",
        "\"person\"",
    ),
    key(
        RULE,
        "linking",
        "`provision`, `join` or `sticky-join`",
        "join",
        "Whether the rule makes the object at the other end when none is joined, and whether the link outlives the scope.",
        "\"provision\"",
    ),
    key(
        RULE,
        "precedence",
        "number",
        "",
        "Of two rules that give an attribute, the one with the lower number wins. 1000 to 99999 are the default set's.",
        "100",
    ),
    key(
        RULE,
        "scope",
        "arrays of clauses",
        "all objects",
        "Groups of clauses: of one group every clause has to hold.",
        "[[{ attribute = \"title\", operator = \"ISNOTNULL\" }]]",
    ),
    key(
        RULE,
        "except",
        "exceptions",
        "none",
        "Objects that are left out all the same, each with the reason.",
        "[{ reason = \"a test\", where = [{ attribute = \"cn\", operator = \"STARTSWITH\", value = \"test-\" }] }]",
    ),
    key(
        RULE,
        "joins",
        "arrays of conditions",
        "none",
        "Groups of conditions, tried in order until one finds exactly one object.",
        "[[{ source = \"mail\", target = \"mail\" }]]",
    ),
    key(
        RULE,
        "flows",
        "flows",
        "none",
        "What the rule gives.",
        "[{ target = \"title\", source = \"title\" }]",
    ),
    key(
        RULE,
        "references",
        "reference flows",
        "none",
        "References that the rule passes on.",
        "[{ target = \"member\", source = \"member\" }]",
    ),
    key(
        RULE,
        "password",
        "true or false",
        "false",
        "Whether users that it brings into scope have their password hash synchronised.",
        "true",
    ),
    key(RULE, "disabled", "true or false", "false", "Whether the rule is off.", "true"),
    key(
        CLAUSE,
        "attribute",
        "text",
        "",
        "The attribute: inbound of the forest's object, outbound of the metaverse's.",
        "\"adminDescription\"",
    ),
    key(CLAUSE, "operator", "text", "", "The operator.", "\"NOTSTARTSWITH\""),
    key(
        CLAUSE,
        "value",
        "text, number, true or false",
        "none",
        "What the attribute is compared to.",
        "\"User_\"",
    ),
    key(
        CLAUSE,
        "values",
        "the same, several",
        "none",
        "Likewise several, of which one has to hold; of a negated operator none may.",
        "[\"AAD_\", \"MSOL_\"]",
    ),
    key(CLAUSE, "case", "true or false", "false", "Whether case counts.", "true"),
    key(
        EXCEPTION,
        "reason",
        "text",
        "",
        "Why these objects are left out: what an administrator is told.",
        "\"a mailbox of Exchange itself\"",
    ),
    key(
        EXCEPTION,
        "where",
        "clauses",
        "",
        "The clauses, all of which have to hold.",
        "[{ attribute = \"cn\", operator = \"EQUAL\", value = \"x\" }]",
    ),
    key(JOIN, "source", "text", "", "The object's attribute.", "\"mail\""),
    key(
        JOIN,
        "target",
        "text",
        "",
        "The attribute at the other end that has to be equal: inbound the metaverse's.",
        "\"mail\"",
    ),
    key(JOIN, "case", "true or false", "false", "Whether case counts.", "true"),
    key(FLOW, "target", "text", "", "The attribute that gets the values.", "\"displayName\""),
    key(
        FLOW,
        "source",
        "text",
        "none",
        "The attribute whose values flow as they are.",
        "\"displayName\"",
    ),
    key(FLOW, "constant", "text, number, true or false", "none", "A value.", "\"DE\""),
    key(
        FLOW,
        "expression",
        "text",
        "none",
        "An expression, whose value flows.",
        "'Trim([displayName])'",
    ),
    key(
        FLOW,
        "once",
        "true or false",
        "false",
        "Whether the values are given when the object is made there, and never again.",
        "true",
    ),
    key(
        FLOW,
        "merge",
        "`update`, `merge` or `merge-case-insensitive`",
        "update",
        "How the values of several rules go together: those of the rule that wins, or all.",
        "\"merge\"",
    ),
    key(REFERENCE, "target", "text", "", "The attribute that gets the references.", "\"manager\""),
    key(REFERENCE, "source", "text", "", "The attribute that has them.", "\"manager\""),
    key(DISABLE, "key", "text", "", "The key of a rule of the default set.", "\"in.user.photo\""),
    key(
        DISABLE,
        "reason",
        "text",
        "none",
        "Why it is off, for people.",
        "\"photos come from the intranet\"",
    ),
    key(
        FILTER,
        "connected",
        "text",
        "every forest",
        "The name of the forest that the filter is for.",
        "\"corp.example\"",
    ),
    key(
        FILTER,
        "domain",
        "text",
        "none",
        "Leaves out the objects of this domain.",
        "\"lab.corp.example\"",
    ),
    key(
        FILTER,
        "unit",
        "text",
        "none",
        "The name or the objectGUID of an organizational unit, whose objects are left out with all below it.",
        "\"OU=Service,DC=corp,DC=example\"",
    ),
    key(
        FILTER,
        "guid",
        "text",
        "none",
        "The objectGUID of the unit or group, which stays the same when it is renamed. Without one the name is looked up.",
        "\"5b1a…\"",
    ),
    key(
        FILTER,
        "group",
        "text",
        "none",
        "The name or the objectGUID of a group: of users, contacts and groups, its direct members alone are taken. For pilots.",
        "\"CN=Pilot,OU=Groups,DC=corp,DC=example\"",
    ),
    key(
        FILTER,
        "where",
        "clauses",
        "none",
        "Leaves out the objects for which every clause holds.",
        "[{ attribute = \"employeeType\", operator = \"EQUAL\", value = \"test\" }]",
    ),
    key(
        FILTER,
        "include",
        "true or false",
        "false",
        "Of a domain or unit: takes what is in it although a filter above it leaves it out.",
        "true",
    ),
    key(
        FILTER,
        "reason",
        "text",
        "what the filter says",
        "Why these objects are left out: what an administrator is told.",
        "\"service accounts\"",
    ),
    key(ATTRIBUTE, "name", "text", "", "The attribute.", "\"corpBadge\""),
    key(
        ATTRIBUTE,
        "syntax",
        "text",
        "",
        "What its values are: `text`, `integer`, `boolean`, `octets`, `sid`, `guid`, `time` or `reference`.",
        "\"integer\"",
    ),
    key(ATTRIBUTE, "many", "true or false", "false", "Whether it has several values.", "true"),
];

/// The names of a table's keys.
pub(super) fn of(table: &str) -> impl Iterator<Item = &'static str> {
    KEYS.iter().filter(move |key| key.table == table).map(|key| key.name)
}

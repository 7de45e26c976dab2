//! The examples of the published pages, and expressions of the published default rules.

use super::*;

const PROXIES: Attributes<'_> =
    &[("proxyAddresses", &[t("SMTP:john.doe@contoso.com"), t("smtp:jd@contoso.com")])];
const JOE: Attributes<'_> = &[("dn", &[t("cn=Joe,ou=Atlanta,ou=GA,ou=US, dc=contoso,dc=com")])];
const CERTIFICATE: &[u8] = include_bytes!("../example.der");
const CERTIFICATES: Attributes<'_> = &[("userCertificate", &[ValueRef::Octets(CERTIFICATE)])];

/// The examples of the functions' reference: the expression, the attributes, the result. Where the
/// page prints an expression with a slip (a missing quote or parenthesis), it is mended here.
const FUNCTIONS: &[(&str, Attributes<'_>, &str)] = &[
    ("BitAnd(&HF, &HF7)", &[], "7"),
    ("CBool([attrib1] = [attrib2])", &[("attrib1", &[t("a")]), ("attrib2", &[t("a")])], "True"),
    ("CBool([attrib1] = [attrib2])", &[("attrib1", &[t("a")]), ("attrib2", &[t("b")])], "False"),
    (
        "CDate([employeeStartTime])",
        &[("employeeStartTime", &[t("2023-05-01T08:00:00+02:00")])],
        "\"2023-05-01T06:00:00Z\"",
    ),
    ("CDate(\"2013-01-10 4:00 PM -8\")", &[], "\"2013-01-11T00:00:00Z\""),
    (
        "IIF(Contains([proxyAddresses],\"SMTP:\")>0,[proxyAddresses],Error(\"No primary SMTP address found.\"))",
        PROXIES,
        "\"SMTP:john.doe@contoso.com\"; \"smtp:jd@contoso.com\"",
    ),
    (
        "IIF(Contains([proxyAddresses],\"SMTP:\")>0,[proxyAddresses],Error(\"No primary SMTP address found.\"))",
        &[("proxyAddresses", &[t("smtp:jd@contoso.com")])],
        "error: No primary SMTP address found.",
    ),
    ("ConvertFromBase64(\"SABlAGwAbABvACAAdwBvAHIAbABkACEA\")", &[], "\"Hello world!\""),
    ("ConvertFromBase64(\"SGVsbG8gd29ybGQh\", UTF8)", &[], "\"Hello world!\""),
    ("ConvertFromUTF8Hex(\"48656C6C6F20776F726C6421\")", &[], "\"Hello world!\""),
    ("ConvertToBase64(\"Hello world!\")", &[], "\"SABlAGwAbABvACAAdwBvAHIAbABkACEA\""),
    ("ConvertToUTF8Hex(\"Hello world!\")", &[], "\"48656C6C6F20776F726C6421\""),
    (
        "CRef(\"CN=LC Services,CN=Microsoft,CN=lcspool01,CN=Pools,CN=RTC Service,\" & %Forest.LDAP%)",
        &[],
        "-> CN=LC Services,CN=Microsoft,CN=lcspool01,CN=Pools,CN=RTC Service,DC=contoso,DC=com",
    ),
    ("CStr([dn])", &[("dn", &[t("cn=Joe,dc=contoso,dc=com")])], "\"cn=Joe,dc=contoso,dc=com\""),
    ("DateAdd(\"m\", 3, CDate(\"2001-01-01\"))", &[], "\"2001-04-01T00:00:00Z\""),
    (
        "DateFromNum([lastLogonTimestamp])",
        &[("lastLogonTimestamp", &[n(129_699_324_000_000_000)])],
        "\"2012-01-01T23:00:00Z\"",
    ),
    ("DateFromNum(129699324000000000)", &[], "\"2012-01-01T23:00:00Z\""),
    ("DNComponent(CRef([dn]),1)", JOE, "\"Joe\""),
    ("DNComponentRev(CRef([dn]),3)", JOE, "\"US\""),
    ("DNComponentRev(CRef([dn]),1,\"DC\")", JOE, "\"US\""),
    (
        "IIF(IsPresent([accountName]),[accountName],Error(\"AccountName is required\"))",
        &[],
        "error: AccountName is required",
    ),
    (
        "EscapeDNComponent(\"cn=\" & [displayName]) & \",\" & %Forest.LDAP%",
        &[("displayName", &[t("Doe, John")])],
        "\"cn=Doe\\, John,DC=contoso,DC=com\"",
    ),
    ("FormatDateTime(CDate(\"12/25/2007\"),\"yyyy-MM-dd\")", &[], "\"2007-12-25\""),
    (
        "FormatDateTime(DateFromNum([pwdLastSet]),\"yyyyMMddHHmmss.0Z\")",
        &[("pwdLastSet", &[n(130_543_784_930_000_000)])],
        "\"20140905081453.0Z\"",
    ),
    (
        "IIF([employeeType]=\"Intern\",\"t-\" & [alias],[alias])",
        &[("employeeType", &[t("Intern")]), ("alias", &[t("joe")])],
        "\"t-joe\"",
    ),
    (
        "IIF([employeeType]=\"Intern\",\"t-\" & [alias],[alias])",
        &[("alias", &[t("joe")])],
        "\"joe\"",
    ),
    ("InStr(\"The quick brown fox\",\"quick\")", &[], "5"),
    ("InStr(\"repEated\",\"e\",3,vbBinaryCompare)", &[], "7"),
    ("InStrRev(\"abbcdbbbef\",\"bb\")", &[], "7"),
    ("IsBitSet(&HF,4)", &[], "True"),
    (
        "IIF(IsGuid([strAttribute]),CGuid([strAttribute]),NULL)",
        &[("strAttribute", &[t("{00001111-aaaa-2222-bbbb-3333cccc4444}")])],
        "0x11110000aaaa2222bbbb3333cccc4444",
    ),
    (
        "IIF(IsGuid([strAttribute]),CGuid([strAttribute]),NULL)",
        &[("strAttribute", &[t("00001111")])],
        "NULL",
    ),
    ("IsNull([displayName])", &[], "True"),
    ("IsNullOrEmpty([displayName])", &[("displayName", &[t("")])], "True"),
    (
        "Switch(IsPresent([directManager]),[directManager], IsPresent([skiplevelManager]),[skiplevelManager], IsPresent([director]),[director])",
        &[("skiplevelManager", &[t("Ann")]), ("director", &[t("Bob")])],
        "\"Ann\"",
    ),
    (
        "Mid(Item([proxyAddresses],Contains([proxyAddresses], \"SMTP:\")),6)",
        PROXIES,
        "\"john.doe@contoso.com\"",
    ),
    ("Join([proxyAddresses],\",\")", PROXIES, "\"SMTP:john.doe@contoso.com,smtp:jd@contoso.com\""),
    ("LCase(\"TeSt\")", &[], "\"test\""),
    ("Left(\"John Doe\", 3)", &[], "\"Joh\""),
    ("Len(\"John Doe\")", &[], "8"),
    ("LTrim(\" Test \")", &[], "\"Test \""),
    ("Mid(\"John Doe\", 3, 5)", &[], "\"hn Do\""),
    ("Mid(\"John Doe\", 6, 999)", &[], "\"Doe\""),
    ("NumFromDate(CDate(\"2012-01-01 23:00:00\"))", &[], "129699324000000000"),
    ("PadLeft(\"User\", 10, \"0\")", &[], "\"000000User\""),
    ("PadRight(\"User\", 10, \"0\")", &[], "\"User000000\""),
    ("PCase(\"TEsT\")", &[], "\"Test\""),
    ("PCase(LCase(\"TEST\"))", &[], "\"Test\""),
    (
        "RemoveDuplicates([proxyAddresses])",
        &[("proxyAddresses", &[t("smtp:a@x"), t("smtp:b@x"), t("smtp:a@x")])],
        "\"smtp:a@x\"; \"smtp:b@x\"",
    ),
    (
        "Replace([address],\"\\r\\n\",\", \")",
        &[("address", &[t("One Microsoft Way\r\nRedmond\r\nWA\r\nUSA")])],
        "\"One Microsoft Way, Redmond, WA, USA\"",
    ),
    ("ReplaceChars(\"Räksmörgås\",%ReplaceString%)", &[], "\"Raksmorgas\""),
    ("ReplaceChars(\"O’Neil\",%ReplaceString%)", &[], "\"ONeil\""),
    ("Right(\"John Doe\", 3)", &[], "\"Doe\""),
    ("RTrim(\" Test \")", &[], "\" Test\""),
    (
        "Select($item,[otherPhone],Replace($item,\"-\",\"\"))",
        &[("otherPhone", &[t("1-23"), t("4-5-6")])],
        "\"123\"; \"456\"",
    ),
    (
        "Split(\"SMTP:john.doe@contoso.com,smtp:jd@contoso.com\",\",\")",
        &[],
        "\"SMTP:john.doe@contoso.com\"; \"smtp:jd@contoso.com\"",
    ),
    (
        "Switch([city] = \"London\", \"English\", [city] = \"Rome\", \"Italian\", [city] = \"Paris\", \"French\", True, Error(\"Unknown city\"))",
        &[("city", &[t("Rome")])],
        "\"Italian\"",
    ),
    (
        "Switch([city] = \"London\", \"English\", [city] = \"Rome\", \"Italian\", [city] = \"Paris\", \"French\", True, Error(\"Unknown city\"))",
        &[("city", &[t("Oslo")])],
        "error: Unknown city",
    ),
    ("Trim(\" Test \")", &[], "\"Test\""),
    (
        "Trim([proxyAddresses])",
        &[("proxyAddresses", &[t(" smtp:a@x"), t("smtp:b@x ")])],
        "\"smtp:a@x\"; \"smtp:b@x\"",
    ),
    ("UCase(\"TeSt\")", &[], "\"TEST\""),
    ("Count(Where($item,[userCertificate],CertNotAfter($item)>Now()))", CERTIFICATES, "1"),
    (
        "With($unExpiredCerts,Where($item,[userCertificate],CertNotAfter($item)>Now()),IIF(Count($unExpiredCerts)>0,$unExpiredCerts,NULL))",
        CERTIFICATES,
        "0x30820254308201faa003020102020400…",
    ),
    (
        "With($unExpiredCerts,Where($item,[userCertificate],CertNotAfter($item)<Now()),IIF(Count($unExpiredCerts)>0,$unExpiredCerts,NULL))",
        CERTIFICATES,
        "NULL",
    ),
    ("Word(\"The quick brown fox\",3,\" \")", &[], "\"brown\""),
    ("Word(\"This,string!has&many separators\",3,\",!&#\")", &[], "\"has\""),
];

/// The examples of the page on expressions: numbers, operators, several values, parameters.
const CONCEPTS: &[(&str, Attributes<'_>, &str)] = &[
    ("98052", &[], "98052"),
    ("&HFF", &[], "255"),
    ("2*5+3", &[], "13"),
    ("2*(5+3)", &[], "16"),
    ("2+5*3", &[], "21"),
    ("%Domain.Netbios%", &[], "\"CONTOSO\""),
    (
        "Word([proxyAddresses],1,\"@\") & \"@contoso.com\"",
        &[("proxyAddresses", &[t("smtp:a@x"), t("smtp:b@y")])],
        "\"smtp:a@contoso.com\"; \"smtp:b@contoso.com\"",
    ),
    (
        "IIF(InStr([proxyAddresses],\"SIP:\")=1,NULL,[proxyAddresses])",
        &[("proxyAddresses", &[t("SIP:a@x"), t("SMTP:a@x"), t("smtp:b@x")])],
        "\"SMTP:a@x\"; \"smtp:b@x\"",
    ),
];

/// The filter of users in the published default rules.
const CLOUD_FILTERED: &str = "IIF(IsPresent([isCriticalSystemObject]) \
    || IsPresent([sAMAccountName]) = False || [sAMAccountName] = \"SUPPORT_388945a0\" \
    || Left([mailNickname], 14) = \"SystemMailbox{\" || Left([sAMAccountName], 4) = \"AAD_\" \
    || (Left([mailNickname], 4) = \"CAS_\" && (InStr([mailNickname], \"}\") > 0)) \
    || Left([sAMAccountName], 5) = \"MSOL_\" \
    || CBool(IIF(IsPresent([msExchRecipientTypeDetails]),\
    BitAnd([msExchRecipientTypeDetails],&H21C07000) > 0,NULL)) \
    || CBool(InStr(DNComponent(CRef([dn]),1),\"\\\\0ACNF:\")>0), True, NULL)";

#[test]
fn the_published_functions_give_what_their_page_says() {
    for (text, attributes, expected) in FUNCTIONS {
        check(text, attributes, expected);
    }
}

#[test]
fn the_published_concepts_hold() {
    for (text, attributes, expected) in CONCEPTS {
        check(text, attributes, expected);
    }
}

#[test]
fn the_published_filter_of_users_takes_out_whom_it_names() {
    let user = |name: &'static str, more: (&'static str, ValueRef<'static>), expected: &str| {
        let dn = ("dn", &[t("CN=Zoe,DC=contoso,DC=com")][..]);
        let attributes = [dn, ("sAMAccountName", &[t(name)]), (more.0, &[more.1])];
        check(CLOUD_FILTERED, &attributes, expected);
    };
    user("zoe", ("cn", t("Zoe")), "NULL");
    user("MSOL_1", ("cn", t("Zoe")), "True");
    user("zoe", ("isCriticalSystemObject", ValueRef::Boolean(true)), "True");
    user("zoe", ("mailNickname", t("CAS_{1}")), "True");
    user("zoe", ("mailNickname", t("CAS_1")), "NULL");
    user("zoe", ("msExchRecipientTypeDetails", n(0x1000)), "True");
    user("zoe", ("msExchRecipientTypeDetails", n(1)), "NULL");
    check(CLOUD_FILTERED, &[("dn", &[t("CN=Zoe,DC=x")])], "True");
    let conflict = t("CN=Zoe\\0ACNF:9e2a,DC=contoso,DC=com");
    check(CLOUD_FILTERED, &[("dn", &[conflict]), ("sAMAccountName", &[t("zoe")])], "True");
}

#[test]
fn a_random_number_is_between_its_bounds_and_a_guid_is_one() {
    for _ in 0..100 {
        let number: i64 = evaluated("RandomNum(100,999)", &[]).parse().unwrap();
        assert!((100..=999).contains(&number), "{number}");
    }
    check("IsGuid(GUID())", &[], "True");
    check("GUID() = GUID()", &[], "False");
}

/// What `openssl x509 -text -fingerprint` says of the certificate of the examples.
#[test]
fn a_certificate_says_what_openssl_reads_in_it() {
    let key_algorithm = "\"1.2.840.10045.2.1\"";
    let name = "\"CN=Zoe Smith, OU=Staff, O=\"Corp, Example\", S=Berlin, C=DE\"";
    let hash = "\"B5251978A343F71FB8D520A9BC5CC9B0E445833E\"";
    for (call, expected) in [
        ("CertExtensionOids([userCertificate])", "\"2.5.29.15\"; \"2.5.29.19\""),
        ("CertFormat([userCertificate])", "\"X509\""),
        ("CertFriendlyName([userCertificate])", "\"\""),
        ("CertHashString([userCertificate])", hash),
        ("CertIssuer([userCertificate])", name),
        ("CertIssuerDN([userCertificate])", name),
        ("CertIssuerOid([userCertificate])", "NULL"),
        ("CertKeyAlgorithm([userCertificate])", key_algorithm),
        ("CertKeyAlgorithmParams([userCertificate])", "\"06082A8648CE3D030107\""),
        ("CertNameInfo([userCertificate], \"SimpleName\", False)", "\"Zoe Smith\""),
        ("CertNameInfo([userCertificate], \"EmailName\", False)", "\"zoe@corp.example\""),
        ("CertNameInfo([userCertificate], UpnName, False)", "\"zoe@corp.example\""),
        ("CertNameInfo([userCertificate], DnsName, False)", "\"zoe.corp.example\""),
        ("CertNameInfo([userCertificate], DnsFromAlternativeName, True)", "\"\""),
        ("CertNameInfo([userCertificate], DnsName, True)", "\"Zoe Smith\""),
        ("CertNameInfo([userCertificate], UrlName, False)", "\"https://corp.example/zoe\""),
        ("CertNotAfter([userCertificate])", "\"2076-03-04T10:58:02Z\""),
        ("CertNotBefore([userCertificate])", "\"2026-11-22T10:58:02Z\""),
        ("CertPublicKeyOid([userCertificate])", key_algorithm),
        ("CertPublicKeyParametersOid([userCertificate])", "\"1.2.840.10045.3.1.7\""),
        ("CertSerialNumber([userCertificate])", "\"00A1B2C3\""),
        ("CertSignatureAlgorithmOid([userCertificate])", "\"1.2.840.10045.4.3.2\""),
        ("CertSubject([userCertificate])", name),
        ("CertSubjectNameDN([userCertificate])", name),
        ("CertSubjectNameOid([userCertificate])", "NULL"),
        ("CertThumbprint([userCertificate])", hash),
        ("CertVersion([userCertificate])", "\"3\""),
        ("IsCert([userCertificate])", "True"),
        ("IsCert([absent])", "False"),
    ] {
        check(call, CERTIFICATES, expected);
    }
}

#[test]
fn a_certificate_in_base64_is_one_and_one_that_is_cut_off_is_none() {
    use base64::Engine as _;
    let text = base64::prelude::BASE64_STANDARD.encode(CERTIFICATE);
    check("CertVersion([c])", &[("c", &[t(&text)])], "\"3\"");
    let cut = ValueRef::Octets(&CERTIFICATE[..599]);
    check("IsCert([c])", &[("c", &[cut])], "False");
    let error = "error: CertSubject, certificate: the octets are no certificate";
    check("CertSubject([c])", &[("c", &[cut])], error);
    let long = [CERTIFICATE, &[0]].concat();
    check("CertSubject([c])", &[("c", &[ValueRef::Octets(&long)])], error);
}

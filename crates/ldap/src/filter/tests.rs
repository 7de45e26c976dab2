//! The examples of RFC 4515 section 4, and every filter there and back.

use proptest::prelude::*;

use super::*;

fn encoded(filter: &Filter) -> Vec<u8> {
    let mut encoder = Encoder::new();
    filter.encode(&mut encoder);
    encoder.into_vec()
}

/// RFC 4515 section 4, in the order of its page.
const EXAMPLES: &[&str] = &[
    "(cn=Babs Jensen)",
    "(!(cn=Tim Howes))",
    "(&(objectClass=Person)(|(sn=Jensen)(cn=Babs J*)))",
    "(o=univ*of*mich*)",
    "(seeAlso=)",
    "(cn:caseExactMatch:=Fred Flintstone)",
    "(cn:=Betty Rubble)",
    "(sn:dn:2.4.6.8.10:=Barney Rubble)",
    "(o:dn:=Ace Industry)",
    "(:1.2.3:=Wilma Flintstone)",
    "(:DN:2.4.6.8.10:=Dino)",
    r"(o=Parens R Us \28for all your parenthetical needs\29)",
    r"(cn=*\2A*)",
    r"(filename=C:\5cMyFile)",
    r"(bin=\00\00\00\04)",
    r"(sn=Lu\c4\8di\c4\87)",
    r"(1.3.6.1.4.1.1466.0=\04\02\48\69)",
];

#[test]
fn the_examples_of_the_specification_are_read_and_return() {
    for text in EXAMPLES {
        let filter: Filter = text.parse().unwrap();
        let printed = filter.to_string();
        assert_eq!(printed.parse::<Filter>().unwrap(), filter, "{text} printed as {printed}");
        let octets = encoded(&filter);
        assert_eq!(Filter::decode(&mut Decoder::new(&octets)).unwrap(), filter, "{text}");
    }
}

#[test]
fn escapes_mean_the_octets_of_the_examples() {
    let check = |text: &str, attribute: &str, value: &[u8]| {
        let attribute = attribute.parse().unwrap();
        assert_eq!(text.parse(), Ok(Filter::Equality(attribute, value.to_vec())));
    };
    check(EXAMPLES[11], "o", b"Parens R Us (for all your parenthetical needs)");
    check(EXAMPLES[13], "filename", b"C:\\MyFile");
    check(EXAMPLES[14], "bin", &[0, 0, 0, 4]);
    check(EXAMPLES[15], "sn", "Lučić".as_bytes());
    check(EXAMPLES[16], "1.3.6.1.4.1.1466.0", &[4, 2, b'H', b'i']);
    let star = Substrings::new(None, vec![b"*".to_vec()], None).unwrap();
    assert_eq!(EXAMPLES[12].parse(), Ok(Filter::Substrings("cn".parse().unwrap(), star)));
}

#[test]
fn texts_that_are_no_filter_are_refused_with_the_place() {
    let check = |text: &str, message: &str| {
        assert_eq!(text.parse::<Filter>().unwrap_err().to_string(), message, "{text:?}");
    };
    check("", "no filter at octet 0: a filter begins with a parenthesis");
    check("cn=x", "no filter at octet 0: a filter begins with a parenthesis");
    check("(cn=x", "no filter at octet 5: a filter ends with a parenthesis");
    check("(cn=x))", "no filter at octet 6: nothing follows the last parenthesis");
    check("(cn)", "no filter at octet 3: an attribute is followed by =, >=, <=, ~= or :=");
    check(
        "(=x)",
        "no filter at octet 1: an attribute or a rule is a name or a dotted object identifier",
    );
    check("(cn=a(b)", "no filter at octet 5: this octet is written as an escape in a value");
    check("(cn>=a*)", "no filter at octet 6: this octet is written as an escape in a value");
    check(r"(cn=a\2)", "no filter at octet 5: a backslash is followed by two hexadecimal digits");
    check(r"(cn=\ü)", "no filter at octet 4: a backslash is followed by two hexadecimal digits");
    check("(cn=a**b)", "no filter at octet 8: something stands between two asterisks");
    check("(:=x)", "no filter at octet 1: an extensible match names an attribute or a rule");
    check(
        "(a:b:c:=x)",
        "no filter at octet 1: an extensible match is [attribute][:dn][:rule]:=value",
    );
    let deep = format!("{}(a=b){}", "(!".repeat(25), ")".repeat(25));
    check(&deep, "no filter at octet 50: filters nest at most 24 deep");
}

#[test]
fn nesting_in_octets_ends_at_the_limit() {
    let mut octets = encoded(&"(a=*)".parse().unwrap());
    for _ in 0..=FILTER_DEPTH_MAX {
        let mut encoder = Encoder::new();
        encoder.constructed(NOT, |inner| inner.encoded(&octets));
        octets = encoder.into_vec();
    }
    let error = Filter::decode(&mut Decoder::new(&octets)).unwrap_err();
    assert_eq!(error.fault, Fault::AboveLimit { found: 25, limit: 24 });
}

#[test]
fn a_value_from_data_cannot_leave_its_place() {
    let value = b"x)(objectClass=*".to_vec();
    let filter = Filter::Equality("cn".parse().unwrap(), value);
    assert_eq!(filter.to_string(), r"(cn=x\29\28objectClass=\2a)");
}

fn description() -> impl Strategy<Value = AttributeDescription> {
    "[a-z]{3,9}(;[a-z]{1,4})?|2\\.5\\.[1-9][0-9]".prop_map(|text| text.parse().unwrap())
}

fn part() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![proptest::collection::vec(any::<u8>(), 1..6), "\\PC{1,4}".prop_map(String::into)]
}

fn leaf() -> impl Strategy<Value = Filter> {
    let value = || prop_oneof![part(), Just(Vec::new())];
    let parts = (proptest::option::of(part()), proptest::collection::vec(part(), 0..3))
        .prop_flat_map(|(initial, any)| {
            proptest::option::of(part()).prop_filter_map("some part", move |end| {
                Substrings::new(initial.clone(), any.clone(), end)
            })
        });
    let extensible = (
        proptest::option::of(description()),
        proptest::option::of(description()),
        any::<bool>(),
        value(),
    );
    prop_oneof![
        (description(), value()).prop_map(|(a, v)| Filter::Equality(a, v)),
        (description(), value()).prop_map(|(a, v)| Filter::GreaterOrEqual(a, v)),
        (description(), value()).prop_map(|(a, v)| Filter::LessOrEqual(a, v)),
        (description(), value()).prop_map(|(a, v)| Filter::Approximate(a, v)),
        description().prop_map(Filter::Present),
        (description(), parts).prop_map(|(a, p)| Filter::Substrings(a, p)),
        extensible.prop_filter_map("named", |(attribute, rule, dn, value)| {
            Extensible::new(attribute, rule, dn, value).map(Filter::Extensible)
        }),
    ]
}

fn filter() -> impl Strategy<Value = Filter> {
    leaf().prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::And),
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Filter::Or),
            inner.prop_map(|filter| Filter::Not(Box::new(filter))),
        ]
    })
}

proptest! {
    #[test]
    fn every_filter_returns_from_text_and_octets(filter in filter()) {
        let text = filter.to_string();
        prop_assert_eq!(text.parse::<Filter>(), Ok(filter.clone()), "{}", text);
        let octets = encoded(&filter);
        prop_assert_eq!(Filter::decode(&mut Decoder::new(&octets)).unwrap(), filter);
    }

    #[test]
    fn arbitrary_text_never_panics(text in "[()&|!=<>~:*\\\\a-f0-9ü.;-]{0,24}") {
        let _ = text.parse::<Filter>();
    }

    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..64)) {
        let _ = Filter::decode(&mut Decoder::new(&octets));
    }
}

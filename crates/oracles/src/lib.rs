//! What must hold of every decoder, whatever octets it is given.
//!
//! An oracle is a function that takes octets, hands them to decoders, and panics when a rule is
//! broken. The rules are the same everywhere: no decoder panics; what it accepted is encoded and
//! decoded to the same again; memory stays within a multiple of the input; a machine consumes octets
//! or waits for more; what a peer can sign only with a key is not accepted without it.
//!
//! The same oracles run over the corpus and seeded mutations of it in `cargo test`, and under
//! libFuzzer with `cargo xtask fuzz`. An input that broke one is kept in the corpus.

mod bytes;
mod crypto;
mod directory;
mod expression;
mod firewall;
mod graph;
mod gss;
mod kerberos;
mod lab;
mod ldap;
mod names;
mod net;
mod peers;
mod probe;
mod rpc;
mod store;
mod tenant;
mod token;
mod web;

/// Octets that an oracle may hold whatever its input is: buffers of a fixed size, and its own work.
const HELD_OCTETS_BASE: u64 = 512 * 1024;

/// One thing to fuzz.
#[derive(Debug)]
pub struct Target {
    /// Its name, which is also that of its folder in the corpus.
    pub name: &'static str,
    /// Octets of memory that may be held at once for each octet of the input.
    held_octets_per_octet: u64,
    /// Octets that may be held whatever the input is.
    held_octets_base: u64,
    oracle: fn(&[u8]),
}

impl Target {
    const fn new(name: &'static str, oracle: fn(&[u8])) -> Self {
        let held_octets_base = HELD_OCTETS_BASE;
        Self { name, held_octets_per_octet: 64, held_octets_base, oracle }
    }

    /// A target that computes: what it may make is bounded by limits of its own.
    const fn making(self, held_octets_base: u64) -> Self {
        Self { held_octets_base, ..self }
    }

    /// A target whose values are larger than their text.
    const fn holding(self, held_octets_per_octet: u64) -> Self {
        Self { held_octets_per_octet, ..self }
    }

    /// Runs the oracle.
    ///
    /// # Panics
    /// When a rule is broken.
    pub fn check(&self, octets: &[u8]) {
        // The chart is read once, by whichever oracle is first: that is none of an input's memory.
        let _ = portolan_chart::Chart::editions();
        let held = allocation_counter::measure(|| (self.oracle)(octets)).bytes_max;
        let limit = self.held_octets_base + self.held_octets_per_octet * octets.len() as u64;
        assert!(held <= limit, "{held} octets are held for {} octets of input", octets.len());
    }
}

/// Every target.
pub const TARGETS: &[Target] = &[
    Target::new("codec_reader", bytes::reader),
    Target::new("model_names", names::texts),
    Target::new("model_sid", names::sid),
    Target::new("chart_words", names::chart),
    Target::new("ldap_ber", ldap::ber),
    Target::new("ldap_message", ldap::message),
    Target::new("ldap_controls", ldap::controls),
    Target::new("ldap_filter", ldap::filter),
    Target::new("ldap_filter_text", ldap::filter_text),
    Target::new("ldap_words", ldap::words),
    Target::new("ldap_netlogon", ldap::netlogon),
    Target::new("ldap_session", ldap::session).holding(256),
    Target::new("forest_entry", directory::entry).holding(256),
    Target::new("sync_expression", expression::texts).holding(256).making(32 * 1024 * 1024),
    Target::new("rules_export", expression::export).holding(4096).making(32 * 1024 * 1024),
    Target::new("rpc_fragments", rpc::fragments),
    Target::new("rpc_bind", rpc::bind),
    Target::new("rpc_call", rpc::call),
    Target::new("rpc_endpoints", rpc::endpoints),
    Target::new("drsr_bind", rpc::drs_bind),
    Target::new("drsr_changes", rpc::changes),
    Target::new("drsr_words", rpc::words),
    Target::new("gss_unwrap", gss::unwrap),
    Target::new("gss_fragment", gss::fragment),
    Target::new("gss_layer", gss::layer),
    Target::new("krb_error", kerberos::refusal),
    Target::new("krb_keytab", kerberos::keys),
    Target::new("krb_messages", kerberos::messages),
    Target::new("crypto_secrets", crypto::secrets),
    Target::new("crypto_credential", crypto::credential),
    Target::new("krb_kpasswd", kerberos::kpasswd),
    Target::new("probe_smb", probe::smb),
    Target::new("probe_adws", probe::adws),
    Target::new("token_jws", token::jws),
    Target::new("token_keys", token::keys).holding(256),
    Target::new("graph_writes", graph::writes).holding(256),
    Target::new("graph_replies", graph::replies).holding(1024),
    Target::new("tenant_wire", tenant::wire).holding(256),
    Target::new("tenant_forms", tenant::forms).holding(256),
    Target::new("tenant_words", tenant::words),
    Target::new("net_certificate", net::certificate).holding(256),
    Target::new("net_revocation", net::revocation).holding(256),
    Target::new("net_tunnel", net::tunnel),
    Target::new("store_record", store::record).holding(256),
    Target::new("web_http", web::http),
    Target::new("web_amqp", web::amqp),
    Target::new("web_hello", web::hello),
    Target::new("web_ocsp", web::ocsp).holding(256),
    Target::new("lab_recording", lab::recording),
    Target::new("lab_packet", lab::packet),
    Target::new("firewall_listing", firewall::listing).holding(1024),
];

/// The target of a name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Target> {
    TARGETS.iter().find(|target| target.name == name)
}

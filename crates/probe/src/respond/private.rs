//! What is spoken inside TLS where a port serves several rows: the first octets say.

use super::adws::Framing;
use super::amqp::{self, Amqp};
use super::http::Http;
use super::opening::{Opening, Scene, Step};

/// AMQP, the framing of relays, or HTTP.
#[derive(Default)]
pub(super) struct Private(Option<Box<dyn Opening>>);

impl Opening for Private {
    fn hear(&mut self, heard: &[u8], scene: &Scene<'_>) -> Step {
        let Some(first) = heard.first() else { return Step::More };
        let opening = self.0.get_or_insert_with(|| match first {
            0 => Box::new(Framing),
            octet if Some(octet) == amqp::NAME.first() => Box::<Amqp>::default(),
            _ => Box::<Http>::default(),
        });
        opening.hear(heard, scene)
    }
}

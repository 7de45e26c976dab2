//! The parameters of a request, each at most once (RFC 6749 sections 3.1 and 3.2).

use std::collections::BTreeMap;
use std::fmt;

use portolan_model::SecretString;

use crate::Rule;

/// Parameters that a request may have.
const PARAMETERS_MAX: usize = 64;

/// Octets that a value may have.
const VALUE_OCTETS_MAX: usize = 16 * 1024;

/// The parameters of a query string or a form. Passwords, codes and tokens are among them: `Debug`
/// shows the names only, and the values are wiped.
#[derive(Clone, Default)]
pub struct Parameters(BTreeMap<String, SecretString>);

impl Parameters {
    /// From the decoded pairs.
    ///
    /// # Errors
    /// [`Rule::InvalidRequest`] when one comes twice, is too long, or there are too many.
    pub fn from_pairs(pairs: impl IntoIterator<Item = (String, String)>) -> Result<Self, Rule> {
        let mut map = BTreeMap::new();
        for (name, value) in pairs {
            let fits = map.len() < PARAMETERS_MAX && value.len() <= VALUE_OCTETS_MAX;
            if !fits || map.insert(name, SecretString::new(value)).is_some() {
                return Err(Rule::InvalidRequest);
            }
        }
        Ok(Self(map))
    }

    /// A value; an empty one counts as absent.
    #[must_use]
    pub fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(SecretString::expose).filter(|value| !value.is_empty())
    }

    /// A value that has to be there.
    ///
    /// # Errors
    /// [`Rule::InvalidRequest`] when it is not.
    pub fn required(&self, name: &str) -> Result<&str, Rule> {
        self.optional(name).ok_or(Rule::InvalidRequest)
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

impl fmt::Debug for Parameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_comes_twice_is_refused() {
        let pairs = |names: &[&str]| {
            Parameters::from_pairs(names.iter().map(|&name| (name.to_owned(), "1".to_owned())))
                .map(|_| ())
        };
        assert_eq!(pairs(&["a", "b"]), Ok(()));
        assert_eq!(pairs(&["a", "b", "a"]), Err(Rule::InvalidRequest));
    }

    #[test]
    fn parameters_print_their_names_only() {
        let pairs = [("passwd".to_owned(), "Al1ce-Pass!".to_owned())];
        let parameters = Parameters::from_pairs(pairs).unwrap();
        assert_eq!(format!("{parameters:?}"), r#"{"passwd"}"#);
        assert_eq!(parameters.required("passwd"), Ok("Al1ce-Pass!"));
    }
}

//! Redirect URIs: which may be registered, and which one of a request fits a registered one.
//!
//! They match by every character ([RFC 6749] section 3.1.2.3). The one exception is an application
//! on the person's own machine, `http://localhost` or a loopback address: it may use any port
//! ([RFC 8252] section 7.3).
//!
//! [RFC 6749]: https://www.rfc-editor.org/rfc/rfc6749#section-3.1.2.3
//! [RFC 8252]: https://www.rfc-editor.org/rfc/rfc8252#section-7.3

use std::fmt;
use std::str::FromStr;

/// Characters that a redirect URI may have.
const URI_CHARS_MAX: usize = 1024;

/// The hosts that are the person's own machine.
const LOOPBACK_HOSTS: [&str; 3] = ["localhost", "127.0.0.1", "[::1]"];

/// Schemes that a browser treats specially: none is an application's.
const FORBIDDEN_SCHEMES: [&str; 8] =
    ["about", "blob", "data", "file", "filesystem", "ftp", "javascript", "vbscript"];

/// A URI to which the tenant may send people: `https`, `http` on a loopback host, or an
/// application's own scheme with a dot in it (RFC 8252 section 7.1). It has no fragment, and no
/// character that would mean something in a header, a policy or a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedirectUri(String);

/// A text that may not be registered as a redirect URI.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no redirect URI: {rule}")]
pub struct InvalidRedirectUri {
    text: String,
    rule: &'static str,
}

impl portolan_model::Hint for InvalidRedirectUri {
    fn hint(&self) -> Option<String> {
        Some(
            "give https://…, http://localhost, or the application's own com.example.app://…".into(),
        )
    }
}

impl RedirectUri {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Scheme, host and port for `http` and `https`; the scheme and a colon otherwise. It is what
    /// a page's `form-action` has to allow.
    #[must_use]
    pub fn origin(&self) -> &str {
        match self.0.find("://") {
            Some(at) if self.is_web() => {
                let rest = &self.0[at + 3..];
                let end = rest.find(['/', '?']).unwrap_or(rest.len());
                &self.0[..at + 3 + end]
            }
            _ => &self.0[..=self.0.find(':').unwrap_or(0)],
        }
    }

    /// Whether a request's URI is this registered one.
    #[must_use]
    pub fn matches(&self, requested: &Self) -> bool {
        self == requested
            || match (loopback(&self.0), loopback(&requested.0)) {
                (Some(registered), Some(requested)) => registered == requested,
                _ => false,
            }
    }

    fn is_web(&self) -> bool {
        self.0.starts_with("https://") || self.0.starts_with("http://")
    }
}

/// The host and what follows the port, of a URI on a loopback host. An empty path is `/`
/// (RFC 3986 section 6.2.3).
fn loopback(uri: &str) -> Option<(&'static str, &str)> {
    let rest = uri.strip_prefix("http://")?;
    let (host, rest) =
        LOOPBACK_HOSTS.iter().find_map(|host| rest.strip_prefix(host).map(|rest| (*host, rest)))?;
    let path = match rest.strip_prefix(':') {
        Some(rest) => {
            let path = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            let port = &rest[..rest.len() - path.len()];
            port.parse::<u16>().ok()?;
            path
        }
        None => rest,
    };
    match path {
        "" => Some((host, "/")),
        _ if path.starts_with(['/', '?']) => Some((host, path)),
        _ => None,
    }
}

impl FromStr for RedirectUri {
    type Err = InvalidRedirectUri;

    fn from_str(text: &str) -> Result<Self, InvalidRedirectUri> {
        let refuse = |rule| Err(InvalidRedirectUri { text: text.to_owned(), rule });
        if text.is_empty() || text.len() > URI_CHARS_MAX {
            return refuse("1 to 1,024 characters");
        }
        let forbidden = |c: char| !c.is_ascii_graphic() || r#""'<>\^`{|};,#*"#.contains(c);
        if text.contains(forbidden) {
            return refuse("printable ASCII without fragments, quotes, brackets, wildcards");
        }
        let Some((scheme, rest)) = text.split_once(':') else {
            return refuse("a scheme in front");
        };
        match scheme {
            "https" => {
                let authority = rest.strip_prefix("//").unwrap_or_default();
                let end = authority.find(['/', '?']).unwrap_or(authority.len());
                let host = &authority[..end];
                if host.is_empty() || host.contains('@') {
                    return refuse("https:// and a host without user information");
                }
            }
            "http" if loopback(text).is_some() => {}
            "http" => return refuse("http is for the person's own machine only: localhost"),
            _ => {
                let well_formed = scheme.starts_with(|c: char| c.is_ascii_lowercase())
                    && scheme.bytes().all(|c| {
                        c.is_ascii_lowercase() || c.is_ascii_digit() || b"+-.".contains(&c)
                    });
                if !well_formed
                    || !scheme.contains('.')
                    || FORBIDDEN_SCHEMES.contains(&scheme)
                    || rest.is_empty()
                {
                    return refuse("an application's own scheme is a domain name backwards");
                }
            }
        }
        Ok(Self(text.to_owned()))
    }
}

impl fmt::Display for RedirectUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uri(text: &str) -> RedirectUri {
        text.parse().unwrap()
    }

    #[test]
    fn uris_match_by_every_character_except_for_a_loopback_port() {
        let check = |registered: &str, requested: &str, expected: bool| {
            assert_eq!(uri(registered).matches(&uri(requested)), expected, "{requested}");
        };
        check("https://app.example/cb", "https://app.example/cb", true);
        check("https://app.example/cb", "https://app.example/cb/", false);
        check("https://app.example/cb", "https://app.example/cb?x=1", false);
        check("https://app.example/cb", "https://app.example:444/cb", false);
        check("http://localhost", "http://localhost:51234", true);
        check("http://localhost", "http://localhost:51234/", true);
        check("http://localhost", "http://localhost:51234/other", false);
        check("http://localhost/cb", "http://localhost:1/cb", true);
        check("http://localhost", "http://127.0.0.1:51234", false);
        check("http://127.0.0.1/cb", "http://127.0.0.1:51234/cb", true);
        check("http://[::1]/cb", "http://[::1]:51234/cb", true);
        check("com.example.app://auth", "com.example.app://auth", true);
    }

    #[test]
    fn uris_that_lead_elsewhere_are_refused() {
        for text in [
            "",
            "app.example/cb",
            "http://app.example/cb",
            "http://localhost.evil.example/",
            "http://localhost:51234@evil.example/",
            "http://localhost:99999/",
            "https://",
            "https://user@app.example/",
            "https://app.example/#fragment",
            "https://app.example/ b",
            "https://app.example/;script-src",
            "https://*.app.example/",
            "javascript:alert(1)",
            "data:text/html,x",
            "myapp://auth",
        ] {
            assert!(text.parse::<RedirectUri>().is_err(), "{text}");
        }
    }

    #[test]
    fn the_origin_is_what_a_policy_names() {
        assert_eq!(uri("https://app.example:444/cb?x=1").origin(), "https://app.example:444");
        assert_eq!(uri("http://localhost:51234").origin(), "http://localhost:51234");
        assert_eq!(uri("com.example.app://auth").origin(), "com.example.app:");
    }
}

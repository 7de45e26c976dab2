//! An answer of HTTP/1.1 ([RFC 9112]), out of the octets that have come so far.
//!
//! [RFC 9112]: https://www.rfc-editor.org/rfc/rfc9112

/// Octets of a head.
const HEAD_OCTETS_MAX: usize = 16 * 1024;
/// Fields of a head.
const FIELDS_MAX: usize = 64;

/// The head of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The status.
    pub status: u16,
    fields: Vec<(String, Vec<u8>)>,
    /// Octets that it takes.
    octets: usize,
}

/// What came is no answer of HTTP, or one above the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotHttp;

/// Reads the head; nothing until it is whole.
///
/// # Errors
/// [`NotHttp`].
pub fn head(octets: &[u8]) -> Result<Option<Head>, NotHttp> {
    let mut fields = [httparse::EMPTY_HEADER; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut fields);
    match response.parse(octets) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_OCTETS_MAX => {
            let field = |field: &httparse::Header<'_>| {
                (field.name.to_ascii_lowercase(), field.value.to_vec())
            };
            Ok(Some(Head {
                status: response.code.ok_or(NotHttp)?,
                fields: response.headers.iter().map(field).collect(),
                octets: length,
            }))
        }
        Ok(httparse::Status::Partial) if octets.len() < HEAD_OCTETS_MAX => Ok(None),
        _ => Err(NotHttp),
    }
}

/// The head of an answer that a library read.
pub(crate) fn of_response<B>(response: &http::Response<B>) -> Head {
    let field = |(name, value): (&http::HeaderName, &http::HeaderValue)| {
        (name.as_str().to_owned(), value.as_bytes().to_vec())
    };
    let fields = response.headers().iter().map(field).collect();
    Head { status: response.status().as_u16(), fields, octets: 0 }
}

impl Head {
    /// The values of a field, whose name is given in small letters, as far as they are text.
    pub fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.fields.iter().filter(move |(field, _)| field == name);
        named.filter_map(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The first of them.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&str> {
        let named = self.fields.iter().find(|(field, _)| field == name);
        named.and_then(|(_, value)| std::str::from_utf8(value).ok())
    }

    /// The body, of the octets of the whole answer; nothing until it is whole. An answer without a
    /// length is whole at the stream's end.
    ///
    /// # Errors
    /// [`NotHttp`] when its chunks are none.
    pub fn body(&self, answer: &[u8], is_end: bool) -> Result<Option<Vec<u8>>, NotHttp> {
        let rest = answer.get(self.octets..).unwrap_or_default();
        if self.status == 204 || self.status == 304 {
            return Ok(Some(Vec::new()));
        }
        let is_chunked = self.values("transfer-encoding").any(|value| {
            value.rsplit(',').next().is_some_and(|last| last.trim().eq_ignore_ascii_case("chunked"))
        });
        if is_chunked {
            return chunks(rest);
        }
        let Some(length) = self.value("content-length") else {
            return Ok(is_end.then(|| rest.to_vec()));
        };
        let length: usize = length.trim().parse().map_err(|_| NotHttp)?;
        Ok(rest.get(..length).map(<[u8]>::to_vec))
    }
}

/// A body in chunks (section 7.1); nothing until the last one is there.
fn chunks(octets: &[u8]) -> Result<Option<Vec<u8>>, NotHttp> {
    let mut rest = octets;
    let mut body = Vec::new();
    loop {
        let (head, size) = match httparse::parse_chunk_size(rest) {
            Ok(httparse::Status::Complete((head, size))) => (head, size),
            Ok(httparse::Status::Partial) => return Ok(None),
            Err(_) => return Err(NotHttp),
        };
        if size == 0 {
            return Ok(Some(body));
        }
        let size = usize::try_from(size).map_err(|_| NotHttp)?;
        let end = head.checked_add(size).ok_or(NotHttp)?;
        let Some(chunk) = rest.get(head..end) else { return Ok(None) };
        body.extend_from_slice(chunk);
        // A line's end follows the chunk.
        let Some(after) = end.checked_add(2).and_then(|next| rest.get(next..)) else {
            return Ok(None);
        };
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_read_when_it_is_whole() {
        let answer = b"HTTP/1.1 401 Who\r\nServer: nginx\r\nWWW-Authenticate: Negotiate\r\n\
                       www-authenticate: Kerberos\r\nContent-Length: 2\r\n\r\nhi";
        for length in 0..answer.len() - 2 {
            assert_eq!(head(&answer[..length]), Ok(None), "{length}");
        }
        let read = head(answer).unwrap().unwrap();
        assert_eq!((read.status, read.value("server")), (401, Some("nginx")));
        let schemes: Vec<_> = read.values("www-authenticate").collect();
        assert_eq!(schemes, ["Negotiate", "Kerberos"]);
        assert_eq!(read.body(answer, false), Ok(Some(b"hi".to_vec())));
        assert_eq!(head(b"SSH-2.0-OpenSSH\r\n"), Err(NotHttp));
        assert_eq!(head(&[b'a'; HEAD_OCTETS_MAX]), Err(NotHttp));
        let endless = [b"HTTP/1.1 200 OK\r\nA: ".as_slice(), &[b'a'; HEAD_OCTETS_MAX]].concat();
        assert_eq!(head(&endless), Err(NotHttp));
    }

    #[test]
    fn a_body_is_read_by_its_length_its_chunks_or_the_end() {
        let check = |answer: &[u8], is_end: bool, expected: Result<Option<&[u8]>, NotHttp>| {
            let head = head(answer).unwrap().unwrap();
            let body = head.body(answer, is_end);
            assert_eq!(body, expected.map(|body| body.map(<[u8]>::to_vec)));
        };
        check(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nab", true, Ok(None));
        check(b"HTTP/1.1 200 OK\r\n\r\nab", false, Ok(None));
        check(b"HTTP/1.1 200 OK\r\n\r\nab", true, Ok(Some(b"ab")));
        let chunked =
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n1\r\nc\r\n0\r\n\r\n";
        check(chunked, false, Ok(Some(b"abc")));
        check(&chunked[..chunked.len() - 8], false, Ok(None));
        let wrong = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n";
        check(wrong, false, Err(NotHttp));
        let endless = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n";
        check(endless, false, Err(NotHttp));
    }
}

//! The photo of a user: octets that a browser is told to be a picture, so of few known formats alone.

/// Octets of a photo: what the forest's `thumbnailPhoto` may have.
pub const PHOTO_OCTETS_MAX: usize = 100 * 1024;

/// A photo, of a format that is known and of a size that fits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Photo {
    octets: Vec<u8>,
    media_type: &'static str,
}

/// Why octets are no photo.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPhoto {
    /// Too many octets.
    #[error("the photo has more than 102400 octets")]
    TooLarge,
    /// None of the known formats.
    #[error("the photo is no JPEG, PNG or GIF")]
    UnknownFormat,
    /// Not base64.
    #[error("the photo is not base64")]
    NotBase64,
}

/// The first octets of each format, and its media type.
const FORMATS: [(&[u8], &str); 4] = [
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"),
];

impl Photo {
    /// Takes octets for what they begin as.
    ///
    /// # Errors
    /// When they are too many, or of no known format.
    pub fn new(octets: Vec<u8>) -> Result<Self, InvalidPhoto> {
        if octets.len() > PHOTO_OCTETS_MAX {
            return Err(InvalidPhoto::TooLarge);
        }
        let format = FORMATS.iter().find(|(first, _)| octets.starts_with(first));
        let (_, media_type) = format.ok_or(InvalidPhoto::UnknownFormat)?;
        Ok(Self { octets, media_type })
    }

    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Its media type.
    #[must_use]
    pub const fn media_type(&self) -> &'static str {
        self.media_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_a_photo_by_how_they_begin_and_up_to_a_size() {
        let check = |first: &[u8], length: usize, expected: Result<&str, InvalidPhoto>| {
            let mut octets = first.to_vec();
            octets.resize(length, 0);
            assert_eq!(Photo::new(octets).map(|photo| photo.media_type()), expected, "{first:?}");
        };
        check(b"\xff\xd8\xff\xe0", 100, Ok("image/jpeg"));
        check(b"\x89PNG\r\n\x1a\n", PHOTO_OCTETS_MAX, Ok("image/png"));
        check(b"GIF89a", 100, Ok("image/gif"));
        check(b"GIF89a", PHOTO_OCTETS_MAX + 1, Err(InvalidPhoto::TooLarge));
        check(b"<svg", 100, Err(InvalidPhoto::UnknownFormat));
        check(b"", 0, Err(InvalidPhoto::UnknownFormat));
    }
}

//! Values that wipe themselves and never print.

use std::fmt;

use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A secret of a fixed size, wiped when dropped. `Debug` shows its size only.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct Secret<const N: usize>([u8; N]);

impl<const N: usize> Secret<N> {
    /// Takes the octets in.
    #[must_use]
    pub const fn new(octets: [u8; N]) -> Self {
        Self(octets)
    }

    /// The octets, for the algorithm that needs them.
    #[must_use]
    pub const fn expose(&self) -> &[u8; N] {
        &self.0
    }
}

impl<const N: usize> fmt::Debug for Secret<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret([{N} octets])")
    }
}

/// A secret text, such as a password, wiped when dropped. `Debug` shows nothing of it.
#[derive(Clone, Default)]
pub struct SecretString(Zeroizing<String>);

impl SecretString {
    /// Takes the text in.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(Zeroizing::new(text))
    }

    /// The text, for the algorithm that needs it.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for SecretString {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretString([hidden])")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_never_print_their_value() {
        assert_eq!(format!("{:?}", Secret::new([7u8; 16])), "Secret([16 octets])");
        let password = SecretString::new("Al1ce-Pass!".to_owned());
        assert_eq!(format!("{password:?}"), "SecretString([hidden])");
    }
}

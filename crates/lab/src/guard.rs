//! A lab that does not outlive its user.

use std::ops::Deref;

use crate::error::LabError;
use crate::lab::Lab;

/// A lab that is taken away when this is dropped, also by a panic.
#[derive(Debug)]
pub struct Guard {
    lab: Lab,
    armed: bool,
}

impl Guard {
    /// Lets the lab run on when the guard is gone.
    pub fn release(mut self) {
        self.armed = false;
    }

    pub(crate) fn new(lab: Lab) -> Self {
        Self { lab, armed: true }
    }

    /// Takes the lab away and says whether that worked.
    ///
    /// # Errors
    /// As [`Lab::down`].
    pub fn down(mut self) -> Result<(), LabError> {
        self.armed = false;
        self.lab.take_away()
    }
}

impl Deref for Guard {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if !self.armed {
            return;
        }
        if let Err(error) = self.lab.take_away() {
            eprintln!("the lab {} could not be taken away: {error}", self.lab.name());
        }
    }
}

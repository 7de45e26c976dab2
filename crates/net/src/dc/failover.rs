//! The first controller that a connection can be made to.

use std::fmt;
use std::time::Duration;

use tokio::time::timeout;

use super::DomainController;

/// How long one controller may take for a connection that is ready for use, while another is left to
/// be tried: with the pings before it, the next controller is in use within two seconds.
const HASTE_TIME_MAX: Duration = Duration::from_millis(1200);
/// Controllers that are tried in haste. Each may have seen the password before it was given up.
const HASTY_MAX: usize = 4;

/// A controller that was passed over, and why.
#[derive(Debug)]
pub struct PassedOver<'c, E> {
    /// The controller.
    pub controller: &'c DomainController,
    /// What happened; nothing when it was only slow, and may be tried again.
    pub error: Option<E>,
}

impl<E: fmt::Display> fmt::Display for PassedOver<'_, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.error {
            Some(error) => write!(f, "passed over {}: {error}", self.controller.host),
            None => write!(
                f,
                "passed over {}: not ready within {:.1} s",
                self.controller.host,
                HASTE_TIME_MAX.as_secs_f32()
            ),
        }
    }
}

/// Connects to one controller after the other until one is reached. One that takes long is left for
/// the next, and tried without haste when no other one is reached either.
///
/// `elsewhere` says whether after an error another controller may do better; after any other error
/// none is tried. `passed` hears of each that was passed over for another.
///
/// # Errors
/// The last one, or nothing when there is no controller.
pub async fn first<C, E, F>(
    controllers: &[DomainController],
    connect: impl Fn(DomainController) -> F,
    elsewhere: impl Fn(&E) -> bool,
    mut passed: impl FnMut(PassedOver<'_, E>),
) -> Result<C, Option<E>>
where
    F: Future<Output = Result<C, E>>,
{
    let mut slow = Vec::new();
    let mut last = None;
    let hasty = if controllers.len() > 1 { controllers.len().min(HASTY_MAX) } else { 0 };
    let (hasty, rest) = controllers.split_at_checked(hasty).unwrap_or((&[], controllers));
    for controller in hasty {
        // Whoever failed last is passed over only now that there is another.
        if let Some(failed) = last.take() {
            passed(failed);
        }
        let error = match timeout(HASTE_TIME_MAX, connect(controller.clone())).await {
            Ok(Ok(connection)) => return Ok(connection),
            Ok(Err(error)) if !elsewhere(&error) => return Err(Some(error)),
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        if error.is_none() {
            slow.push(controller);
        }
        last = Some(PassedOver { controller, error });
    }
    for controller in slow.into_iter().chain(rest) {
        if let Some(failed) = last.take() {
            passed(failed);
        }
        match connect(controller.clone()).await {
            Ok(connection) => return Ok(connection),
            Err(error) if !elsewhere(&error) => return Err(Some(error)),
            Err(error) => last = Some(PassedOver { controller, error: Some(error) }),
        }
    }
    Err(last.and_then(|last| last.error))
}

//! Ctrl-c.

use std::fmt;

use tokio::sync::watch;

use crate::note;

/// The work was given up because of ctrl-c.
#[derive(Clone, Copy, Debug)]
pub struct Interrupted;

impl Interrupted {
    /// What a shell says of a program that ended by ctrl-c: 128 and the number of the signal.
    pub(crate) const EXIT_CODE: u8 = 130;
}

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// Whether ctrl-c was pressed since it was made. The second time ends the program at once.
#[derive(Debug)]
pub struct Interrupt(watch::Receiver<bool>);

impl Interrupt {
    /// Listens from now on; in a runtime.
    pub fn watch() -> Self {
        let (pressed, seen) = watch::channel(false);
        tokio::spawn(async move {
            if tokio::signal::ctrl_c().await.is_ok() {
                note("Interrupted: tidying up; ctrl-c once more does not wait for it.");
                pressed.send_replace(true);
            }
            match tokio::signal::ctrl_c().await {
                Ok(()) => std::process::exit(Interrupted::EXIT_CODE.into()),
                // Without signals there is nothing to wait for, and dropping the sender must not look like one.
                Err(_) => pressed.closed().await,
            }
        });
        Self(seen)
    }

    /// Does some work unless it is pressed.
    ///
    /// # Errors
    /// The work's own, or [`Interrupted`].
    pub async fn unless_pressed<T, E: Into<anyhow::Error>>(
        &self,
        work: impl IntoFuture<Output = Result<T, E>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            biased;
            () = self.pressed() => Err(Interrupted.into()),
            outcome = work.into_future() => outcome.map_err(Into::into),
        }
    }

    pub(crate) fn is_pressed(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for it.
    pub async fn pressed(&self) {
        if self.0.clone().wait_for(|pressed| *pressed).await.is_err() {
            std::future::pending().await
        }
    }
}

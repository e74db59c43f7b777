use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::BoxFuture;
use tokio::net::UnixStream;

use super::{ConnectError, Line, Port};
use crate::greeting::{Answer, Wish, hear, say};

/// The bridge of another program, which it serves with [`serve::peers`](crate::serve::peers).
///
/// Where that does not give the input away, [`ConnectError::Refused`] ends the bridge that has this line.
#[derive(Debug)]
pub struct BridgeLine {
    path: PathBuf,
    wish: Wish,
    was_there: AtomicBool,
}

impl BridgeLine {
    /// The socket's path, and what is wanted there.
    pub fn new(path: impl Into<PathBuf>, wish: Wish) -> Self {
        Self {
            path: path.into(),
            wish,
            was_there: AtomicBool::new(false),
        }
    }

    fn wish(&self) -> Wish {
        match self.was_there.load(Ordering::Relaxed) {
            // The lines are known already.
            true => self.wish.clone().lines(0),
            false => self.wish.clone(),
        }
    }
}

impl Line for BridgeLine {
    fn connect(&self) -> BoxFuture<'_, Result<Port, ConnectError>> {
        Box::pin(async {
            let ask = async {
                let mut stream = UnixStream::connect(&self.path).await?;
                say(&mut stream, &self.wish()).await?;
                let answer = hear(&mut stream).await?;
                Ok((stream, answer))
            };
            let (stream, answer) = ask.await.map_err(|source| ConnectError::Socket {
                line: self.name(),
                source,
            })?;
            match answer {
                Answer::Granted => {
                    self.was_there.store(true, Ordering::Relaxed);
                    Ok(Port::new(stream))
                }
                Answer::Refused { reason } => Err(ConnectError::Refused {
                    line: self.name(),
                    reason,
                }),
            }
        })
    }

    fn name(&self) -> String {
        format!("the bridge at {}", self.path.display())
    }
}

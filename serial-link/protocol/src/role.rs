use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::link::encoded;
use crate::message::{Failure, FailureKind, Reply, Request};

/// Which end of the line this is: [`Host`] or [`Agent`].
pub trait Role: sealed::Sealed + 'static {
    /// What the other end says.
    type Incoming: DeserializeOwned + std::fmt::Debug + Send;
    #[doc(hidden)]
    type Outgoing: Serialize;
    #[doc(hidden)]
    const IS_HOST: bool;
    #[doc(hidden)]
    fn answer_to_nonsense() -> Option<Vec<u8>>;
}

/// The end that asks: it opens sessions and channels.
#[derive(Clone, Copy, Debug)]
pub enum Host {}

/// The end that serves: it speaks when it is spoken to.
#[derive(Clone, Copy, Debug)]
pub enum Agent {}

impl Role for Host {
    type Incoming = Reply;
    type Outgoing = Request;
    const IS_HOST: bool = true;

    fn answer_to_nonsense() -> Option<Vec<u8>> {
        None
    }
}

impl Role for Agent {
    type Incoming = Request;
    type Outgoing = Reply;
    const IS_HOST: bool = false;

    fn answer_to_nonsense() -> Option<Vec<u8>> {
        let failure = Failure::new(
            FailureKind::Unsupported,
            "the agent does not know this request; is it older than the host's end?",
        );
        Some(encoded(&Reply::Failed(failure)))
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for super::Host {}
    impl Sealed for super::Agent {}
}

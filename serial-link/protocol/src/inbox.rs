use std::collections::{BTreeMap, VecDeque};

use crate::client_error::ClientError;
use crate::error::LinkError;
use crate::link::Event;
use crate::message::{Exit, Reply};
use crate::packet::Refusal;

/// So many replies of a channel may wait.
const MOST: usize = 4;

/// The replies that have come, by channel: what a client keeps beside its link until somebody asks for them.
#[derive(Debug, Default)]
pub struct Inbox {
    replies: BTreeMap<u32, VecDeque<Reply>>,
    refused: Option<Refusal>,
}

impl Inbox {
    /// Keeps what an event says for somebody. Nobody else gets the replies, so every event has to come here. A channel with
    /// more replies than any request has is closed.
    pub fn take(&mut self, event: Event<Reply>) {
        match event {
            Event::Message { channel, message } => {
                // No request has so many answers: whoever sends them fills the memory of this end.
                if let Some(replies) = self.replies.get_mut(&channel) {
                    match replies.len() < MOST {
                        true => replies.push_back(message),
                        false => drop(self.replies.remove(&channel)),
                    }
                }
            }
            Event::Connected { .. } => self.refused = None,
            Event::Ended { .. } => self.replies.clear(),
            Event::Refused(refusal) => self.refused = Some(refusal),
            _ => {}
        }
    }

    /// Keeps the replies of a channel from now on.
    pub fn open(&mut self, channel: u32) {
        self.replies.insert(channel, VecDeque::new());
    }

    /// The next reply in a channel, if it has come. The last one ends the channel's place here.
    ///
    /// # Errors
    /// If the channel's session has ended, or its last reply was given out.
    pub fn reply(&mut self, channel: u32) -> Result<Option<Reply>, LinkError> {
        let replies = self.replies.get_mut(&channel).ok_or(LinkError::Closed { channel })?;
        let reply = replies.pop_front();
        if reply.as_ref().is_some_and(Reply::is_last) {
            self.replies.remove(&channel);
        }
        Ok(reply)
    }

    /// Forgets a channel, and says whether its last reply was still to come.
    pub fn forget(&mut self, channel: u32) -> bool {
        self.replies.remove(&channel).is_some()
    }

    /// Why the agent does not talk with this end, if it said so; told once.
    pub fn refusal(&mut self) -> Option<Refusal> {
        self.refused.take()
    }
}

/// What a command said and how it ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Output {
    /// How it ended.
    pub exit: Exit,
    /// Its standard output.
    pub stdout: Vec<u8>,
    /// Its standard error.
    pub stderr: Vec<u8>,
}

impl From<Reply> for ClientError {
    /// What is wrong with a reply that was not expected.
    fn from(reply: Reply) -> Self {
        match reply {
            Reply::Failed(failure) => failure.into(),
            reply => Self::Unexpected {
                answer: format!("{reply:?}"),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_that_answers_without_end_is_not_heard() {
        let mut inbox = Inbox::default();
        inbox.open(1);
        inbox.open(3);
        let started = |channel| Event::Message {
            channel,
            message: Reply::Started { pid: 7 },
        };
        inbox.take(started(3));
        for _ in 0..100_000 {
            inbox.take(started(1));
        }
        assert!(inbox.reply(1).is_err());
        assert!(inbox.replies.values().all(|replies| replies.len() <= MOST));
        assert!(matches!(inbox.reply(3), Ok(Some(Reply::Started { .. }))));
    }
}

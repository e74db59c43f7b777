use std::io::{self, Read, Write};
use std::sync::mpsc;
use std::sync::{Arc, OnceLock};
use std::thread;

use serial_link_protocol::blocking::{Channel, Pump};
use serial_link_protocol::{Agent, Config, Event, FailureKind, Link, Reply, Request};

use crate::command;
use crate::download;
use crate::failure::{failed, refused};
use crate::report;
use crate::upload;
use crate::work::{MOST, Permit, Work, Works};

/// Answers what the host asks. Works on through breaks of the line; a new session ends what the last one began.
pub(crate) struct Service {
    pump: Pump<Agent>,
}

impl Service {
    pub(crate) fn new(config: Config) -> Self {
        let desk = Desk {
            works: Arc::default(),
            pump: Arc::default(),
        };
        let own = Arc::clone(&desk.pump);
        let pump = Pump::new(config, move |link, event| desk.take(link, event));
        // The desk hands it to threads; it takes nothing before the line runs.
        let _ = own.set(pump.clone());
        Self { pump }
    }

    pub(crate) fn run(&self, from_line: impl Read, to_line: impl Write + Send) -> io::Result<()> {
        self.pump.run(from_line, to_line)
    }
}

/// Sees that each request is carried out by a thread of its own, because none may wait here.
struct Desk {
    works: Arc<Works>,
    pump: Arc<OnceLock<Pump<Agent>>>,
}

impl Desk {
    fn take(&self, link: &mut Link<Agent>, event: Event<Request>) {
        match event {
            Event::Ended { session } => self.works.end(session),
            Event::Message { channel, message } => {
                if let Some(session) = link.session()
                    && let Some(last) = self.request(link, (session, channel), message)
                {
                    // Who does not take answers gets none.
                    let _ = link.reply(channel, &last);
                    link.close(channel);
                }
            }
            _ => {}
        }
    }

    /// Carries out a request, or says at once how it ended.
    fn request(&self, link: &mut Link<Agent>, key: (u32, u32), request: Request) -> Option<Reply> {
        let works = &self.works;
        match request {
            Request::Ping { token } => Some(Reply::Pong { token }),
            Request::Signal(signal) => {
                // The command may have ended just now, and the host will learn of that.
                works.signal(key, signal);
                None
            }
            Request::Cancel => {
                if works.cancel(key) {
                    return None;
                }
                works
                    .remove(key)
                    .map(|_| refused(FailureKind::Cancelled, "the host has cancelled the transfer"))
            }
            Request::Commit { sha256 } => {
                if works.commit(key, sha256) || !link.is_open(key.1) {
                    return None;
                }
                Some(refused(
                    FailureKind::Invalid,
                    "no file is being written in this channel",
                ))
            }
            Request::Report => self.start(key, Work::Download, move |channel, _, _| {
                let _ = channel.reply(&Reply::Report(Box::new(report::report())));
            }),
            Request::Exec(command) => self.start(key, Work::Starting, move |channel, works, permit| {
                command::run(&channel, &command, &works, &permit);
            }),
            Request::Get { path, offset } => self.start(key, Work::Download, move |channel, _, _| {
                if let Some(reply) = download::run(&channel, &path, offset) {
                    let _ = channel.reply(&reply);
                }
            }),
            Request::Put(put) => {
                let (sender, digests) = mpsc::channel();
                self.start(key, Work::Upload(sender), move |channel, _, _| {
                    if let Some(reply) = upload::run(&channel, &put, &digests) {
                        let _ = channel.reply(&reply);
                    }
                })
            }
            _ => Some(refused(
                FailureKind::Unsupported,
                "this agent does not know that request",
            )),
        }
    }

    /// Lets a thread do it, and closes the channel behind it.
    fn start(
        &self,
        key: (u32, u32),
        work: Work,
        act: impl FnOnce(Channel<Agent>, Arc<Works>, Permit) + Send + 'static,
    ) -> Option<Reply> {
        let works = Arc::clone(&self.works);
        let (Some(permit), Some(pump)) = (works.permit(), self.pump.get()) else {
            let message = format!("{MOST} commands and transfers are going on: wait until some have ended");
            return Some(refused(FailureKind::Busy, message));
        };
        if !works.begin(key, work) {
            // The answer closes the channel, so nobody could end it later.
            works.cancel(key);
            return Some(refused(
                FailureKind::Invalid,
                "something is going on in this channel already",
            ));
        }
        let channel = Channel::new(pump.clone(), key.0, key.1);
        let started = thread::Builder::new().spawn(move || {
            act(channel.clone(), Arc::clone(&works), permit);
            works.remove(key);
            channel.close();
        });
        started.err().map(|error| {
            self.works.remove(key);
            failed("cannot start a thread", &error)
        })
    }
}

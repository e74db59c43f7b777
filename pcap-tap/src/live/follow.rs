//! One NIC, through all the devices that it has in the course of time.

use std::future::pending;
use std::time::{Duration, Instant};

use bytes::Bytes;
use dom0::{ByteStream, Command, Dom0, Running, Signal};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::recorder::{Event, Source};
use super::subject::Subject;
use super::tcpdump::{Counts, Tcpdump, complaint, counts};
use super::{Error, Locate, Options};

/// What all followers of a capture share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) options: Options,
    pub(super) locate: Option<Locate>,
    pub(super) follow: bool,
    pub(super) interval: Duration,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) stop: watch::Receiver<bool>,
}

/// Follows one NIC.
pub(super) struct Follower {
    pub(super) shared: Shared,
    /// Its number in the capture.
    pub(super) at: usize,
    /// The host where it is, or was last.
    pub(super) dom0: Dom0,
    pub(super) tcpdump: Tcpdump,
    pub(super) subject: Subject,
}

/// Why a capture of a device is over.
enum End {
    /// It was asked to.
    Stopped,
    /// The NIC's packets pass elsewhere now.
    Moved,
    /// By itself.
    Ended {
        /// Whether it had begun.
        had_begun: bool,
        said: Vec<u8>,
    },
}

/// A tcpdump that runs.
struct Attached {
    running: Running,
    stdout: Option<ByteStream>,
    said: JoinHandle<Vec<u8>>,
    counts: watch::Receiver<Option<Counts>>,
}

/// The last place of a NIC, for the comment on the next.
struct Gone {
    device: String,
    host: String,
    since: Instant,
}

/// How long a tcpdump gets to say its counts.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// How long a device may be there and not be captured: it is made before it can be.
const PATIENCE: Duration = Duration::from_secs(10);

/// How often a tcpdump is asked for its counts.
const COUNTING: Duration = Duration::from_secs(2);

/// So much of what a tcpdump says is kept, and the rest is dropped.
const MOST_SAID: usize = 16 << 10;

impl Follower {
    /// Captures until it is stopped, the reader is gone, or something fails.
    pub(super) async fn run(mut self) -> Result<(), Error> {
        let mut gone: Option<Gone> = None;
        let mut failing_since: Option<Instant> = None;
        loop {
            let mut stop = self.shared.stop.clone();
            let events = self.shared.events.clone();
            // A host that does not answer is waited for long, but not by one who wants to end it.
            let device = tokio::select! {
                device = self.device() => device?,
                () = asked(&mut stop) => return Ok(()),
                () = events.closed() => return Ok(()),
            };
            let Some(device) = device else {
                if !self.shared.follow {
                    return Ok(());
                }
                if self.pause().await {
                    return Ok(());
                }
                continue;
            };
            let comment = gone
                .as_ref()
                .map(|gone| self.comment(&device, gone))
                .unwrap_or_default();
            let end = match self.capture(&device, comment).await {
                Err(Error::Dom0(error)) if error.is_lost() && self.shared.locate.is_some() => End::Ended {
                    had_begun: true,
                    said: Vec::new(),
                },
                end => end?,
            };
            let (had_begun, said) = match end {
                End::Stopped => return Ok(()),
                End::Moved => (true, Vec::new()),
                End::Ended { had_begun, said } => (had_begun, said),
            };
            if had_begun {
                failing_since = None;
                gone = Some(Gone {
                    device: device.clone(),
                    host: self.dom0.host(),
                    since: Instant::now(),
                });
            }
            if !self.shared.follow {
                return Ok(());
            }
            let since = *failing_since.get_or_insert_with(Instant::now);
            if !had_begun && since.elapsed() > PATIENCE {
                return Err(Error::Tcpdump {
                    host: self.dom0.host(),
                    device,
                    reason: complaint(&said),
                });
            }
            if self.pause().await {
                return Ok(());
            }
        }
    }

    /// Where the packets pass now.
    async fn device(&mut self) -> Result<Option<String>, Error> {
        let before = self.dom0.host();
        let device = self.subject.find(&mut self.dom0, self.shared.locate.as_ref()).await?;
        if self.dom0.host() != before {
            self.tcpdump = Tcpdump::probe(&self.dom0).await?;
        }
        Ok(device)
    }

    /// Waits for a while; whether that is the end.
    async fn pause(&mut self) -> bool {
        let Shared {
            stop, events, interval, ..
        } = &mut self.shared;
        tokio::select! {
            () = tokio::time::sleep(*interval) => false,
            () = events.closed() => true,
            () = asked(stop) => true,
        }
    }

    fn comment(&self, device: &str, gone: &Gone) -> String {
        let seconds = gone.since.elapsed().as_secs_f32();
        let domain = match &self.subject {
            Subject::Nic { vm, .. } => format!(" (domain {})", vm.domain),
            Subject::Device { .. } => String::new(),
        };
        let (host, label) = (self.dom0.host(), self.subject.label());
        let (at, before) = match host == gone.host {
            true => (String::new(), String::new()),
            false => (format!(" of {host}"), format!(" of {}", gone.host)),
        };
        format!(
            "{label}: captured at {device}{domain}{at} now, {seconds:.1} s after {}{before} ended",
            gone.device
        )
    }

    async fn capture(&mut self, device: &str, comment: String) -> Result<End, Error> {
        let source = Source {
            filter: self.shared.options.filter.clone(),
            comment,
            ..self.subject.source(device)
        };
        let source = self.shared.options.with_network(source);
        let command = self.tcpdump.capture(device, &self.shared.options);
        let mut attached = Attached::start(&self.dom0, &command).await?;
        // Nothing is taken before it is known whose device it is: numbers of domains come round.
        let mut stop = self.shared.stop.clone();
        let (first, is_its) = tokio::select! {
            both = async { tokio::join!(attached.chunk(), self.subject.is_its_domain(&self.dom0)) } => both,
            () = asked(&mut stop) => return Ok(End::Stopped),
        };
        let Some(first) = first else {
            let said = attached.ended().await?;
            return Ok(End::Ended { had_begun: false, said });
        };
        if !is_its? {
            return Ok(End::Moved);
        }
        let begin = async || {
            self.send(Event::Begin(self.at, source)).await;
            self.send(Event::Bytes(self.at, first)).await;
        };
        let begun = tokio::select! {
            () = begin() => true,
            () = asked(&mut stop) => false,
        };
        let end = match begun {
            true => self.pass_on(device, &mut attached).await,
            false => Ok(Some(End::Stopped)),
        };
        let said = match &end {
            Ok(None) => attached.ended().await,
            Ok(Some(_)) => self.end(attached).await,
            Err(_) => Ok(Vec::new()),
        };
        let counts = said.as_deref().ok().and_then(counts);
        let last = self.send(Event::End(self.at, counts));
        // A reader that takes nothing does not keep it from ending.
        let _ = tokio::time::timeout(LAST_WORDS, last).await;
        let said = said?;
        Ok(end?.unwrap_or(End::Ended { had_begun: true, said }))
    }

    /// Passes packets on until the capture is to end; none where it has ended.
    async fn pass_on(&self, device: &str, attached: &mut Attached) -> Result<Option<End>, Error> {
        let mut stop = self.shared.stop.clone();
        let mut counts = attached.counts.clone();
        let moved = self.moved(device);
        let counting = self.count(attached.running.process().await.ok());
        tokio::pin!(moved, counting);
        loop {
            tokio::select! {
                chunk = attached.chunk() => match chunk {
                    Some(bytes) => tokio::select! {
                        () = self.send(Event::Bytes(self.at, bytes)) => {}
                        () = asked(&mut stop) => return Ok(Some(End::Stopped)),
                    },
                    None => return Ok(None),
                },
                () = asked(&mut stop) => return Ok(Some(End::Stopped)),
                () = self.shared.events.closed() => return Ok(Some(End::Stopped)),
                moved = &mut moved, if self.shared.follow => return moved.map(|()| Some(End::Moved)),
                Ok(()) = counts.changed() => {
                    let now = *counts.borrow_and_update();
                    if let Some(now) = now {
                        self.send(Event::Counts(self.at, now)).await;
                    }
                }
                () = &mut counting => {}
            }
        }
    }

    /// Ends when the packets pass elsewhere.
    async fn moved(&self, device: &str) -> Result<(), Error> {
        loop {
            tokio::time::sleep(self.shared.interval).await;
            match self.subject.has_left(device, &self.dom0).await {
                Ok(true) => return Ok(()),
                Err(Error::Dom0(error)) if error.is_lost() => return Err(error.into()),
                // A look that fails while packets come is no reason to lose them.
                Ok(false) | Err(_) => {}
            }
        }
    }

    /// Has tcpdump say its counts from time to time, for as long as that works. Never ends.
    async fn count(&self, process: Option<u32>) {
        if let Some(ask) = process.and_then(|process| self.tcpdump.ask_for_counts(process)) {
            loop {
                tokio::time::sleep(COUNTING).await;
                match self.dom0.output(&ask).await {
                    Ok(output) if output.exit.success() => {}
                    _ => break,
                }
            }
        }
        pending().await
    }

    /// Has tcpdump end, and takes what it still has.
    async fn end(&self, mut attached: Attached) -> Result<Vec<u8>, Error> {
        let rest = async {
            // One that has ended by itself cannot be told to.
            let _ = attached.running.signal(Signal::Int).await;
            while let Some(bytes) = attached.chunk().await {
                self.send(Event::Bytes(self.at, bytes)).await;
            }
            attached.ended().await
        };
        // The guard ends it where it does not listen.
        tokio::time::timeout(LAST_WORDS, rest).await.unwrap_or(Ok(Vec::new()))
    }

    /// Where nobody takes it any more, [`mpsc::Sender::closed`] tells.
    async fn send(&self, event: Event) {
        let _ = self.shared.events.send(event).await;
    }
}

impl Attached {
    async fn start(dom0: &Dom0, command: &Command) -> Result<Self, Error> {
        let mut running = dom0.exec(command).await?;
        let (counted, counts) = watch::channel(None);
        // Both outputs share a channel, so one that nobody reads holds up the other.
        let said = tokio::spawn(gather(running.stderr.take(), counted));
        Ok(Self {
            stdout: running.stdout.take(),
            running,
            said,
            counts,
        })
    }

    /// The next bytes; none when it has ended, or the connection has.
    async fn chunk(&mut self) -> Option<Bytes> {
        self.stdout.as_mut()?.chunk().await?.ok()
    }

    /// What it said, once it has ended.
    ///
    /// # Errors
    /// Where it was the connection that ended.
    async fn ended(&mut self) -> Result<Vec<u8>, Error> {
        let said = (&mut self.said).await.unwrap_or_default();
        self.running.wait().await?;
        Ok(said)
    }
}

/// Waits to be asked to stop.
async fn asked(stop: &mut watch::Receiver<bool>) {
    // Where nobody can ask any more, the capture is dropped.
    let _ = stop.wait_for(|stop| *stop).await;
}

/// The counts come last, so it is the beginning that goes where there is too much.
async fn gather(stderr: Option<ByteStream>, counted: watch::Sender<Option<Counts>>) -> Vec<u8> {
    let mut said = Vec::new();
    let Some(mut stderr) = stderr else { return said };
    while let Some(Ok(bytes)) = stderr.chunk().await {
        said.extend_from_slice(&bytes);
        said.drain(..said.len().saturating_sub(MOST_SAID));
        if let Some(counts) = counts(&said) {
            counted.send_replace(Some(counts));
        }
    }
    said
}

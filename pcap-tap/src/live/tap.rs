use std::time::Duration;

use dom0::Dom0;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::capture::Capture;
use super::follow::{Follower, Shared};
use super::recorder::Recorder;
use super::tcpdump::Tcpdump;
use super::{Error, NicKind, Options, Progress, Sink, Vm};
use crate::pcapng::Section;

/// What to capture, and how; [`start`](Self::start) begins.
#[derive(Debug, Clone)]
#[must_use = "a capture begins with `start`"]
pub struct Tap {
    dom0: Dom0,
    nics: Vec<(Vm, u32)>,
    options: Options,
    follow: bool,
    interval: Duration,
    comment: String,
}

/// So many pieces of at most 64 KiB wait for the sink; then the control domain has to.
const QUEUE: usize = 64;

impl Tap {
    /// A capture at a host, of nothing yet.
    pub fn new(dom0: &Dom0) -> Self {
        Self {
            dom0: dom0.clone(),
            nics: Vec::new(),
            options: Options::default(),
            follow: true,
            interval: Duration::from_secs(1),
            comment: String::new(),
        }
    }

    /// Captures a NIC of a VM. Packets of several NICs, and of several VMs, go into one file as they arrive.
    pub fn nic(mut self, vm: &Vm, number: u32) -> Self {
        self.nics.push((vm.clone(), number));
        self
    }

    /// Captures all NICs of a VM that the control domain can see.
    pub fn vm(mut self, vm: &Vm) -> Self {
        let is_only = vm.nics.len() == 1;
        let seen = vm.nics.iter().filter(|nic| nic.kind != NicKind::SrIov || is_only);
        self.nics.extend(seen.map(|nic| (vm.clone(), nic.number)));
        self
    }

    /// Keeps the packets that match a filter, in tcpdump's language (`pcap-filter(7)`).
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.options.filter = filter.into();
        self
    }

    /// Keeps at most so many bytes of each packet; 128 are enough for headers, and cost the host far less. Unless said,
    /// all are kept.
    pub fn snapshot_length(mut self, bytes: u32) -> Self {
        self.options.snapshot_length = bytes.clamp(1, 262_144);
        self
    }

    /// How much memory of the control domain holds packets that tcpdump has not taken yet, in KiB: 65,536 for each
    /// device. With less, bursts are lost.
    pub fn ring(mut self, kib: u32) -> Self {
        self.options.ring_kib = kib.clamp(64, 1 << 20);
        self
    }

    /// Whether to go on when a VM comes back as another domain, or its packets begin to pass at another device. Unless
    /// said, that is so. Without, a capture ends with its devices.
    pub fn follow(mut self, follow: bool) -> Self {
        self.follow = follow;
        self
    }

    /// How often to look where the VMs are: every second, unless said.
    pub fn interval(mut self, interval: Duration) -> Self {
        self.interval = interval.max(Duration::from_millis(10));
        self
    }

    /// What the file says of itself beside the host and the VMs, such as the pool.
    pub fn comment(mut self, comment: impl Into<String>) -> Self {
        self.comment = comment.into();
        self
    }

    /// Begins: looks for tcpdump, has the filter checked, opens the sink (which waits for the reader of a FIFO), and
    /// captures until the [`Capture`] is stopped or dropped.
    ///
    /// # Errors
    /// Where anything of that fails, and where a NIC cannot be captured.
    pub async fn start(self, sink: Sink) -> Result<Capture, Error> {
        self.check_nics()?;
        let tcpdump = Tcpdump::probe(&self.dom0).await?;
        let device = |(vm, number): &(Vm, u32)| Some(vm.nic(*number)?.device()?.name.clone());
        let device = self.nics.iter().find_map(device);
        tcpdump.check(&self.dom0, device.as_deref(), &self.options).await?;

        let (watched, progress) = watch::channel(Progress::default());
        let (events, arriving) = mpsc::channel(QUEUE);
        let (opened, is_open) = oneshot::channel();
        let (ended, outcome) = oneshot::channel();
        let section = self.section();
        // Not one of tokio's threads: those hold up the end of a program whose reader does not come.
        std::thread::spawn(move || {
            let recorder = match Recorder::open(sink, section, watched) {
                Ok(recorder) => recorder,
                Err(error) => {
                    let _ = opened.send(Err(error));
                    return;
                }
            };
            if opened.send(Ok(())).is_ok() {
                let _ = ended.send(recorder.run(arriving));
            }
        });
        // It is dropped without an answer by a panic alone, of the writer that was given.
        is_open.await.unwrap_or_else(|_| Err(Error::panicked()))?;

        let (stop, stopped) = watch::channel(false);
        let shared = Shared {
            dom0: self.dom0,
            tcpdump,
            options: self.options,
            follow: self.follow,
            interval: self.interval,
            events,
            stop: stopped,
        };
        let mut followers = JoinSet::new();
        for (at, (vm, nic)) in self.nics.into_iter().enumerate() {
            let shared = shared.clone();
            followers.spawn(Follower { shared, at, vm, nic }.run());
        }
        Ok(Capture::new(followers, stop, progress, outcome))
    }

    fn check_nics(&self) -> Result<(), Error> {
        if self.nics.is_empty() {
            return Err(Error::NoNics);
        }
        for (vm, number) in &self.nics {
            let (name, number) = (vm.label(), *number);
            match vm.nic(number) {
                None => {
                    return Err(Error::NoSuchNic {
                        vm: name,
                        number,
                        numbers: vm.nics.iter().map(|nic| nic.number).collect(),
                    });
                }
                Some(nic) if nic.kind == NicKind::SrIov => return Err(Error::SrIov { vm: name, number }),
                Some(nic) if !self.follow && nic.device().is_none() => {
                    return Err(Error::NoDevice { vm: name, number });
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn section(&self) -> Section {
        let mut lines = vec![format!("host {}", self.dom0.host())];
        for (vm, _) in &self.nics {
            let uuid = vm.uuid.as_deref().unwrap_or("no uuid");
            let line = format!("VM {} ({uuid})", vm.label());
            if !lines.contains(&line) {
                lines.push(line);
            }
        }
        if !self.comment.is_empty() {
            lines.insert(0, self.comment.clone());
        }
        Section::new().comment(lines.join("\n"))
    }
}

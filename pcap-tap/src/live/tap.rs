use std::future::Future;
use std::time::Duration;

use dom0::Dom0;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::capture::Capture;
use super::follow::{Follower, Shared};
use super::recorder::Recorder;
use super::subject::Subject;
use super::tcpdump::Tcpdump;
use super::{Error, Locate, NicKind, Options, Progress, Sink, Vm};
use crate::pcapng::Section;

/// What to capture, and how; [`start`](Self::start) begins.
#[derive(Debug, Clone)]
#[must_use = "a capture begins with `start`"]
pub struct Tap {
    dom0: Dom0,
    subjects: Vec<(Dom0, Subject)>,
    /// VMs with nothing to capture.
    unseen: Vec<Vm>,
    options: Options,
    locate: Option<Locate>,
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
            subjects: Vec::new(),
            unseen: Vec::new(),
            options: Options::default(),
            locate: None,
            follow: true,
            interval: Duration::from_secs(1),
            comment: String::new(),
        }
    }

    /// What is named from here on is at another host.
    pub fn at(mut self, dom0: &Dom0) -> Self {
        self.dom0 = dom0.clone();
        self
    }

    /// Captures a NIC of a VM. Packets of several NICs, and of several VMs, go into one file as they arrive.
    pub fn nic(mut self, vm: &Vm, number: u32) -> Self {
        let vm = vm.clone();
        self.subjects.push((self.dom0.clone(), Subject::Nic { vm, number }));
        self
    }

    /// Captures all NICs of a VM that the control domain can see. A VM of which it sees none is an error of
    /// [`start`](Self::start): [`Error::NoneToSee`].
    pub fn vm(mut self, vm: &Vm) -> Self {
        let seen: Vec<_> = vm.nics.iter().filter(|nic| nic.kind != NicKind::SrIov).collect();
        if seen.is_empty() {
            self.unseen.push(vm.clone());
        }
        seen.into_iter().fold(self, |tap, nic| tap.nic(vm, nic.number))
    }

    /// Captures a device of the control domain itself, such as the physical card, the bond or the bridge of a network;
    /// `description` is what the file calls it.
    ///
    /// At a card or a bond passes what enters and leaves the host, with the tags of VLANs where Open vSwitch or a VLAN of
    /// the card's does the tagging. At the bridge itself passes what the control domain sends and gets, and what is flooded:
    /// not what two VMs of the host say to each other.
    pub fn device(mut self, name: impl Into<String>, description: impl Into<String>) -> Self {
        let (name, description) = (name.into(), description.into());
        let device = Subject::Device { name, description };
        self.subjects.push((self.dom0.clone(), device));
        self
    }

    /// What people call the network of a bridge: it is added to the description of each NIC that is plugged into it.
    pub fn network(mut self, bridge: impl Into<String>, name: impl Into<String>) -> Self {
        self.options.networks.insert(bridge.into(), name.into());
        self
    }

    /// Has somebody be asked for a VM that does not run on its host any more, or whose host does not answer: for a session
    /// to the host where it runs now, or none where it runs nowhere. The capture goes on there, in the same file.
    pub fn locate<F>(mut self, locate: impl Fn(Vm) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Option<Dom0>> + Send + 'static,
    {
        self.locate = Some(Locate::new(locate));
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
        self.check()?;
        let mut hosts: Vec<(String, Tcpdump)> = Vec::new();
        for (dom0, subject) in &self.subjects {
            let host = dom0.host();
            if hosts.iter().all(|(known, _)| *known != host) {
                let tcpdump = Tcpdump::probe(dom0).await?;
                let device = subject.device_now();
                tcpdump.check(dom0, device.as_deref(), &self.options).await?;
                hosts.push((host, tcpdump));
            }
        }

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
            options: self.options,
            locate: self.locate,
            follow: self.follow,
            interval: self.interval,
            events,
            stop: stopped,
        };
        let mut followers = JoinSet::new();
        for (at, (dom0, subject)) in self.subjects.into_iter().enumerate() {
            let host = dom0.host();
            for tcpdump in hosts
                .iter()
                .filter(|(known, _)| *known == host)
                .map(|(_, tcpdump)| *tcpdump)
            {
                let follower = Follower {
                    shared: shared.clone(),
                    at,
                    dom0: dom0.clone(),
                    tcpdump,
                    subject: subject.clone(),
                };
                followers.spawn(follower.run());
            }
        }
        Ok(Capture::new(followers, stop, progress, outcome))
    }

    fn check(&self) -> Result<(), Error> {
        if let Some(vm) = self.unseen.first() {
            return Err(Error::NoneToSee {
                vm: vm.label(),
                sr_iov: !vm.nics.is_empty(),
            });
        }
        if self.subjects.is_empty() {
            return Err(Error::NoNics);
        }
        for (_, subject) in &self.subjects {
            let Subject::Nic { vm, number } = subject else { continue };
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
        let mut lines: Vec<_> = Some(self.comment.clone())
            .filter(|said| !said.is_empty())
            .into_iter()
            .collect();
        for (dom0, subject) in &self.subjects {
            let subject = match subject {
                Subject::Nic { vm, .. } => format!("VM {} ({})", vm.label(), vm.uuid.as_deref().unwrap_or("no uuid")),
                Subject::Device { name, .. } => format!("device {name}"),
            };
            for line in [format!("host {}", dom0.host()), subject] {
                if !lines.contains(&line) {
                    lines.push(line);
                }
            }
        }
        Section::new().comment(lines.join("\n"))
    }
}

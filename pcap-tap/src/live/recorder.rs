//! Writes what arrives, in a thread of its own, for outputs may block.

use std::io;
use std::time::SystemTime;

use bytes::Bytes;
use tokio::sync::{mpsc, watch};

use super::sink::{Output, Sink};
use super::tcpdump::Counts;
use super::{Error, Progress};
use crate::pcapng::{Interface, InterfaceId, Section, Statistics, Writer};
use crate::{Direction, Mac, Timestamp, pcap};

/// What happens at the NIC with a number. Between its beginning and its end are bytes of one classic pcap.
#[derive(Debug)]
pub(super) enum Event {
    Begin(usize, Source),
    Bytes(usize, Bytes),
    /// As far as it has come.
    Counts(usize, Counts),
    End(usize, Option<Counts>),
}

/// What is captured.
#[derive(Debug, Clone, Default)]
pub(super) struct Source {
    pub(super) device: String,
    pub(super) description: String,
    pub(super) filter: String,
    /// Why it follows another.
    pub(super) comment: String,
    pub(super) mac: Option<Mac>,
}

pub(super) struct Recorder {
    sink: Sink,
    section: Section,
    writer: Writer<Output>,
    active: Vec<Option<Active>>,
    progress: watch::Sender<Progress>,
    now: Progress,
    /// What captures that have ended had lost.
    dropped: u64,
}

struct Active {
    source: Source,
    parser: pcap::Parser,
    /// As it is in the file, once the capture's header is in.
    interface: Option<(Interface, InterfaceId)>,
    first: Timestamp,
    last: Timestamp,
    delivered: u64,
    dropped: u64,
}

impl Recorder {
    /// Opens the sink, which may wait for a reader.
    pub(super) fn open(mut sink: Sink, section: Section, progress: watch::Sender<Progress>) -> Result<Self, Error> {
        let begun = sink.open().and_then(|output| {
            let mut writer = Writer::new(output, &section)?;
            writer.flush()?;
            Ok(writer)
        });
        match begun {
            Ok(writer) => Ok(Self {
                sink,
                section,
                writer,
                active: Vec::new(),
                progress,
                now: Progress::default(),
                dropped: 0,
            }),
            Err(source) => Err(failed(&sink, source)),
        }
    }

    /// Writes until nobody sends any more. Whenever nothing waits, all is passed on.
    pub(super) fn run(mut self, mut events: mpsc::Receiver<Event>) -> Result<(), Error> {
        while let Some(event) = events.blocking_recv() {
            self.take(event)?;
            while let Ok(event) = events.try_recv() {
                self.take(event)?;
            }
            self.writer.flush().map_err(|source| failed(&self.sink, source))?;
            self.progress.send_replace(self.now);
        }
        Ok(())
    }

    fn take(&mut self, event: Event) -> Result<(), Error> {
        match event {
            Event::Begin(at, source) => {
                self.now.attached += 1;
                if self.active.len() <= at {
                    self.active.resize_with(at + 1, || None);
                }
                self.active[at] = Some(Active {
                    source,
                    parser: pcap::Parser::new(),
                    interface: None,
                    first: Timestamp::default(),
                    last: Timestamp::default(),
                    delivered: 0,
                    dropped: 0,
                });
                Ok(())
            }
            Event::Counts(at, counts) => {
                if let Some(Some(active)) = self.active.get_mut(at) {
                    active.dropped = counts.dropped;
                }
                self.sum_up();
                Ok(())
            }
            Event::Bytes(at, bytes) => {
                let Some(Some(active)) = self.active.get_mut(at) else {
                    return Ok(());
                };
                active.write(&bytes, &mut self.writer, &mut self.now, &self.sink)?;
                match self.sink.limit() {
                    Some(limit) if self.writer.written() >= limit => self.rotate(),
                    _ => Ok(()),
                }
            }
            Event::End(at, counts) => {
                let ended = self.active.get_mut(at).and_then(Option::take);
                self.now.attached -= usize::from(ended.is_some());
                self.dropped += match (counts, &ended) {
                    (Some(counts), _) => counts.dropped,
                    (None, ended) => ended.as_ref().map_or(0, |active| active.dropped),
                };
                self.sum_up();
                let ended = ended.and_then(|active| Some((active.statistics(counts), active.interface?.1)));
                ended.map_or(Ok(()), |(statistics, id)| {
                    let written = self.writer.statistics(id, &statistics);
                    written.map_err(|source| failed(&self.sink, source))
                })
            }
        }
    }

    fn sum_up(&mut self) {
        let running: u64 = self.active.iter().flatten().map(|active| active.dropped).sum();
        self.now.dropped = self.dropped + running;
    }

    /// Goes on in the next file, which begins with the interfaces that are still captured.
    fn rotate(&mut self) -> Result<(), Error> {
        let mut next = || {
            self.writer.flush()?;
            self.writer = Writer::new(self.sink.open()?, &self.section)?;
            for (interface, id) in self
                .active
                .iter_mut()
                .flatten()
                .filter_map(|active| active.interface.as_mut())
            {
                *id = self.writer.interface(interface)?;
            }
            Ok(())
        };
        next().map_err(|source| failed(&self.sink, source))
    }
}

impl Active {
    fn write(
        &mut self,
        mut bytes: &[u8],
        writer: &mut Writer<Output>,
        progress: &mut Progress,
        sink: &Sink,
    ) -> Result<(), Error> {
        let device = &self.source.device;
        let odd = |source| Error::Pcap {
            device: device.clone(),
            source,
        };
        // By single bytes, so that the interface is in the file before its packets, and without any.
        while self.interface.is_none() {
            let Some((mut byte, rest)) = bytes.split_at_checked(1) else {
                return Ok(());
            };
            self.parser.feed(&mut byte).map_err(odd)?;
            bytes = rest;
            if let Some(header) = self.parser.header() {
                let interface = self.source.interface(header);
                let id = writer.interface(&interface).map_err(|source| failed(sink, source))?;
                progress.interfaces += 1;
                self.interface = Some((interface, id));
            }
        }
        let Some((_, id)) = self.interface else { return Ok(()) };
        while let Some(packet) = self.parser.feed(&mut bytes).map_err(odd)? {
            let direction = match &self.source.mac {
                Some(mac) => Direction::of(mac, packet.data),
                None => Direction::Unknown,
            };
            let comment = match self.delivered {
                0 => self.source.comment.as_str(),
                _ => "",
            };
            let written = writer.commented(id, &packet, direction, comment);
            written.map_err(|source| failed(sink, source))?;
            if self.delivered == 0 {
                self.first = packet.time;
            }
            self.last = packet.time;
            self.delivered += 1;
            progress.packets += 1;
            progress.bytes += packet.data.len() as u64;
        }
        Ok(())
    }

    /// Its time is that of the control domain, whose clock the packets' times are of.
    fn statistics(&self, counts: Option<Counts>) -> Statistics {
        let seen = self.delivered > 0;
        Statistics {
            time: if seen { self.last } else { SystemTime::now().into() },
            start: seen.then_some(self.first),
            end: seen.then_some(self.last),
            received: counts.map(|counts| counts.received),
            dropped: counts.map(|counts| counts.dropped),
            delivered: Some(self.delivered),
            ..Statistics::default()
        }
    }
}

impl Source {
    fn interface(&self, header: &pcap::Header) -> Interface {
        let interface = Interface::new(&self.device, header.link_type)
            .description(&self.description)
            .filter(&self.filter)
            .comment(&self.comment)
            .snapshot_length(header.snapshot_length);
        match self.mac {
            Some(mac) => interface.mac(mac),
            None => interface,
        }
    }
}

fn failed(sink: &Sink, source: io::Error) -> Error {
    Error::Sink {
        sink: sink.label().into(),
        source,
    }
}

//! Writes a file, or a pipe into Wireshark.

use std::fmt;
use std::io::{self, Write};
use std::net::IpAddr;

use super::block::Block;
use super::{Interface, InterfaceId, Section, Statistics};
use crate::{Direction, Packet};

const NAMES: u32 = 4;
const PACKET: u32 = 6;

/// How much is gathered before it is written, in bytes.
const GATHERED: usize = 256 << 10;

/// Writes one section: interfaces, their packets and what was lost.
///
/// What is written is gathered up to 256 KiB; [`Writer::flush`] passes it on, and belongs wherever nothing more is there
/// to write for now, so that a reader sees packets at once and a busy capture costs few writes.
pub struct Writer<W: Write> {
    output: W,
    gathered: Vec<u8>,
    /// Bytes that have been gathered no longer.
    passed: u64,
    interfaces: u32,
}

impl<W: Write> Writer<W> {
    /// Begins a section.
    ///
    /// # Errors
    /// Where the output fails.
    pub fn new(output: W, section: &Section) -> io::Result<Self> {
        let mut writer = Self {
            output,
            gathered: Vec::with_capacity(GATHERED + (GATHERED >> 1)),
            passed: 0,
            interfaces: 0,
        };
        section.write(&mut writer.gathered);
        writer.passed_on()?;
        Ok(writer)
    }

    /// Adds an interface, at any time. The same device of a VM that came back is a new one.
    ///
    /// # Errors
    /// Where the output fails.
    pub fn interface(&mut self, interface: &Interface) -> io::Result<InterfaceId> {
        interface.write(&mut self.gathered);
        let id = InterfaceId(self.interfaces);
        self.interfaces += 1;
        self.passed_on()?;
        Ok(id)
    }

    /// Adds a packet.
    ///
    /// # Errors
    /// Where the output fails.
    pub fn packet(&mut self, interface: InterfaceId, packet: &Packet<'_>, direction: Direction) -> io::Result<()> {
        self.commented(interface, packet, direction, "")
    }

    /// Adds a packet with a comment, which Wireshark shows above it.
    ///
    /// # Errors
    /// Where the output fails.
    pub fn commented(
        &mut self,
        interface: InterfaceId,
        packet: &Packet<'_>,
        direction: Direction,
        comment: &str,
    ) -> io::Result<()> {
        let mut block = Block::new(&mut self.gathered, PACKET);
        block.u32(interface.0);
        block.time(packet.time);
        block.u32(packet.data.len() as u32);
        block.u32(packet.length);
        block.bytes(packet.data);
        block.pad();
        block.text(1, comment);
        let direction = match direction {
            Direction::In => 1_u32,
            Direction::Out => 2,
            Direction::Unknown => 0,
        };
        if direction > 0 {
            block.option(2, &direction.to_le_bytes());
        }
        block.end();
        self.passed_on()
    }

    /// Adds what an interface saw and lost.
    ///
    /// # Errors
    /// Where the output fails.
    pub fn statistics(&mut self, interface: InterfaceId, statistics: &Statistics) -> io::Result<()> {
        statistics.write(interface, &mut self.gathered);
        self.passed_on()
    }

    /// Names addresses, such as those of the pool's VMs, for Wireshark to show.
    ///
    /// # Errors
    /// Where the output fails.
    pub fn names<'n>(&mut self, names: impl IntoIterator<Item = (IpAddr, &'n str)>) -> io::Result<()> {
        let mut block = Block::new(&mut self.gathered, NAMES);
        let mut record = Vec::new();
        for (address, name) in names {
            record.clear();
            let kind = match address {
                IpAddr::V4(address) => {
                    record.extend(address.octets());
                    1
                }
                IpAddr::V6(address) => {
                    record.extend(address.octets());
                    2
                }
            };
            // A zero ends the name.
            record.extend(name.bytes().filter(|&byte| byte != 0).take(255));
            record.push(0);
            block.u16(kind);
            block.u16(record.len() as u16);
            block.bytes(&record);
            block.pad();
        }
        block.bytes(&[0; 4]);
        block.end();
        self.passed_on()
    }

    /// How many bytes there are so far, with those that are gathered.
    pub fn written(&self) -> u64 {
        self.passed + self.gathered.len() as u64
    }

    /// Passes on what was gathered.
    ///
    /// # Errors
    /// Where the output fails; what was gathered is then lost.
    pub fn flush(&mut self) -> io::Result<()> {
        self.pass()?;
        self.output.flush()
    }

    /// Passes on what was gathered and gives the output back.
    ///
    /// # Errors
    /// Where the output fails.
    pub fn into_inner(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.output)
    }

    fn passed_on(&mut self) -> io::Result<()> {
        if self.gathered.len() < GATHERED {
            return Ok(());
        }
        self.pass()
    }

    fn pass(&mut self) -> io::Result<()> {
        let written = self.output.write_all(&self.gathered);
        self.passed += self.gathered.len() as u64;
        self.gathered.clear();
        written
    }
}

impl<W: Write> fmt::Debug for Writer<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Writer")
            .field("interfaces", &self.interfaces)
            .field("gathered", &self.gathered.len())
            .finish_non_exhaustive()
    }
}

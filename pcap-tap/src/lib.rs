//! The traffic of a virtual machine, as Wireshark reads it.
//!
//! `tcpdump` in a host's control domain writes classic pcap: packets, and nothing of where they come from. This crate
//! reads that as it comes in, and writes pcapng, in which every packet belongs to a named interface of a named VM and
//! has a direction, several interfaces share a file, and the counts of what was lost stand beside it.
//!
//! ```
//! use pcap_tap::{Direction, Mac, pcap, pcapng};
//!
//! # fn from_tcpdump() -> Vec<u8> {
//! #     let mut bytes = Vec::new();
//! #     for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1, 1_700_000_000, 250_000, 14, 60] {
//! #         bytes.extend(word.to_le_bytes());
//! #     }
//! #     bytes.extend([0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02, 0, 0, 0, 0, 7, 8, 6]);
//! #     bytes
//! # }
//! let mac: Mac = "02:00:00:00:00:07".parse()?;
//! let mut writer = pcapng::Writer::new(Vec::new(), &pcapng::Section::new().comment("pool lab, host xs-1"))?;
//! let vif = pcapng::Interface::new("vif7.0", pcap::LinkType::ETHERNET).description("web-01 / NIC 0 / lan");
//! let vif = writer.interface(&vif)?;
//!
//! let mut parser = pcap::Parser::new();
//! let received = from_tcpdump(); // a piece of any length
//! let mut input = &received[..];
//! while let Some(packet) = parser.feed(&mut input)? {
//!     let direction = Direction::of(&mac, packet.data);
//!     assert_eq!(direction, Direction::Out, "the VM sent it");
//!     writer.packet(vif, &packet, direction)?;
//! }
//! writer.flush()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! - [`pcap::Parser`] takes bytes in pieces of any length and hands packets out without copying those that arrived whole.
//! - [`pcapng::Writer`] writes sections, interfaces, packets with their direction and comments, statistics and names.
//! - [`Mac`] and [`Direction`] tell what the VM sent from what it received.
//! - [`extcap`] is what Wireshark asks its capture programs, and the sentences that they answer with.
//!
//! - `live`, a feature that is on by default, finds VMs' NICs and captures them over SSH. Without it there is no runtime and
//!   no network here.
//!
//! No `unsafe`; bytes are never trusted.

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod extcap;
#[cfg(feature = "live")]
pub mod live;
mod mac;
mod packet;
pub mod pcap;
pub mod pcapng;

pub use mac::{Direction, Mac, ParseMacError};
pub use packet::{Packet, Timestamp};

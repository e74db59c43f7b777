//! The contract between Wireshark and its capture programs (extcap): what it asks them, and the sentences they answer with.
//!
//! Wireshark runs each program in its extcap folder with flags, and reads lines from its standard output; for a capture it
//! hands over a FIFO. The contract is in `doc/extcap.4` and `wsdg_src/wsdg_capture.adoc` of Wireshark's sources.
//!
//! ```
//! use pcap_tap::extcap::{Interface, Request, Selector, Sentences};
//!
//! let asked = ["--extcap-interfaces", "--extcap-version=4.0"].map(Into::into);
//! assert_eq!(Request::parse(asked)?, Some(Request::Interfaces));
//!
//! let mut said = Sentences::default();
//! said.program("0.1.0", "https://example.org", "Packets of VMs");
//! said.interface(&Interface::new("vif:7c5d3b4a:0", "web-01, NIC 0"));
//! assert!(said.to_string().ends_with("interface {value=vif:7c5d3b4a:0}{display=web-01, NIC 0}\n"));
//! # Ok::<(), pcap_tap::extcap::Error>(())
//! ```

mod request;
mod sentences;

pub use request::{Capture, Error, Request};
pub use sentences::{Interface, Number, Selector, Sentences, Text};

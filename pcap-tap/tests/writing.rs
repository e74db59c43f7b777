//! What others make of the pcapng that is written.

mod common;

use std::io::Write as _;
use std::path::Path;
use std::process::Command;

use common::frame;
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, PcapBlockOwned, PcapError, PcapNGReader};
use pcap_tap::pcap::LinkType;
use pcap_tap::pcapng::{Interface, Section, Statistics, Writer};
use pcap_tap::{Direction, Mac, Packet, Timestamp};

const VM: Mac = Mac([2, 0, 0, 0, 0, 7]);
const START: u64 = 1_700_000_000_123_456_789;

/// Two runs of a VM with ten packets each, the second run at another interface.
fn sample() -> Vec<u8> {
    let section = Section::new()
        .comment("pool lab, host xs-1, VM 7a…")
        .hardware("Xeon")
        .system("XCP-ng 8.3");
    let mut writer = Writer::new(Vec::new(), &section).unwrap();
    writer
        .names([
            ("192.0.2.7".parse().unwrap(), "web-01"),
            ("2001:db8::7".parse().unwrap(), "web-01.six"),
        ])
        .unwrap();
    let mut at = START;
    for run in 7..9 {
        let interface = Interface::new(format!("vif{run}.0"), LinkType::ETHERNET)
            .description("web-01 / NIC 0 / läb")
            .filter("arp or icmp")
            .mac(VM);
        let vif = writer.interface(&interface).unwrap();
        for number in 0..10 {
            let other = [2, 0, 0, 0, 0, 9];
            let data = match number % 3 {
                0 => frame([0xff; 6], VM.0, number),
                1 => frame(VM.0, other, number),
                _ => frame(other, [2, 0, 0, 0, 0, 8], number),
            };
            let packet = Packet::new(Timestamp(at), &data);
            let direction = Direction::of(&VM, &data);
            let comment = if number == 0 { "the VM is back" } else { "" };
            writer.commented(vif, &packet, direction, comment).unwrap();
            at += 1_000_000;
        }
        let statistics = Statistics {
            time: Timestamp(at),
            start: Some(Timestamp(START)),
            received: Some(12),
            dropped: Some(2),
            delivered: Some(10),
            ..Statistics::default()
        };
        writer.statistics(vif, &statistics).unwrap();
    }
    writer.into_inner().unwrap()
}

#[test]
fn a_second_parser_reads_it() {
    let bytes = sample();
    let mut reader = PcapNGReader::new(1 << 16, &bytes[..]).unwrap();
    let (mut interfaces, mut packets, mut others) = (Vec::new(), Vec::new(), 0);
    loop {
        match reader.next() {
            Ok((length, block)) => {
                match block {
                    PcapBlockOwned::NG(Block::InterfaceDescription(interface)) => {
                        assert_eq!(interface.if_tsresol, 9);
                        interfaces.push(interface.options.len());
                    }
                    PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
                        let time = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
                        packets.push((packet.if_id, time, packet.packet_data().to_vec()));
                    }
                    _ => others += 1,
                }
                reader.consume(length);
            }
            Err(PcapError::Eof) => break,
            Err(PcapError::Incomplete(_)) => reader.refill().unwrap(),
            Err(error) => panic!("{error:?}"),
        }
    }
    assert_eq!(
        (interfaces.len(), others),
        (2, 4),
        "a section, names and two statistics"
    );
    assert_eq!(packets.len(), 20);
    for (number, (interface, time, data)) in packets.iter().enumerate() {
        assert_eq!(*interface as usize, number / 10);
        assert_eq!(*time, START + number as u64 * 1_000_000);
        assert_eq!(data[38..], (number as u32 % 10).to_be_bytes());
    }
}

/// What a program of Wireshark's prints; none where it is missing, which it must not be where tests run for everyone.
fn wireshark(program: &str, args: &[&str], file: &Path) -> Option<String> {
    match Command::new(program).args(args).arg(file).output() {
        Ok(output) => {
            let complaints = String::from_utf8_lossy(&output.stderr);
            let complaints: Vec<_> = complaints
                .lines()
                .filter(|line| !line.contains("as user \"root\""))
                .collect();
            assert!(output.status.success() && complaints.is_empty(), "{complaints:?}");
            Some(String::from_utf8(output.stdout).unwrap())
        }
        Err(error) => {
            assert!(std::env::var_os("CI").is_none(), "{program}: {error}");
            eprintln!("skipped: {program}: {error}");
            None
        }
    }
}

#[test]
fn wireshark_reads_it_without_a_complaint() {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(&sample()).unwrap();
    let fields = [
        "-n",
        "-T",
        "fields",
        "-e",
        "frame.interface_name",
        "-e",
        "frame.interface_description",
        "-e",
        "frame.packet_flags_direction",
        "-e",
        "frame.time_epoch",
        "-e",
        "frame.comment",
        "-r",
    ];
    let Some(text) = wireshark("tshark", &fields, file.path()) else {
        return;
    };
    let rows: Vec<Vec<&str>> = text.lines().map(|line| line.split('\t').collect()).collect();
    assert_eq!(rows.len(), 20, "{text}");
    for (number, row) in rows.iter().enumerate() {
        let [name, description, direction, time, comment] = row[..] else {
            panic!("{row:?}")
        };
        assert_eq!(name, format!("vif{}.0", 7 + number / 10));
        assert_eq!(description, "web-01 / NIC 0 / läb");
        let direction = u32::from_str_radix(direction.trim_start_matches("0x"), 16);
        assert_eq!(direction.unwrap_or(0), [2, 1, 0][number % 10 % 3], "{row:?}");
        let fraction = 123_456_789 + number as u64 * 1_000_000;
        assert_eq!(time, format!("1700000000.{fraction:09}"));
        assert_eq!(comment, if number % 10 == 0 { "the VM is back" } else { "" });
    }
    let Some(text) = wireshark("capinfos", &[], file.path()) else {
        return;
    };
    for wanted in [
        "Number of interfaces in file: 2",
        "pool lab, host xs-1",
        "XCP-ng 8.3",
        "arp or icmp",
    ] {
        assert!(text.contains(wanted), "{wanted} is not in {text}");
    }
}

#[test]
fn long_and_odd_texts_stay_in_their_options() {
    let long = "ä".repeat(40_000);
    let mut writer = Writer::new(Vec::new(), &Section::new().comment(&long)).unwrap();
    let interface = Interface::new(&long, LinkType::ETHERNET).filter(&long);
    let vif = writer.interface(&interface).unwrap();
    writer
        .names([([192, 0, 2, 1].into(), &*long), ([192, 0, 2, 2].into(), "a\0b")])
        .unwrap();
    let data = [0; 61];
    writer
        .commented(vif, &Packet::new(Timestamp(0), &data), Direction::Unknown, "\u{7}")
        .unwrap();
    let bytes = writer.into_inner().unwrap();
    // Every block ends with its length again.
    let mut at = 0;
    let mut blocks = 0;
    while at < bytes.len() {
        let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize;
        let length = word(at + 4);
        assert!(length % 4 == 0 && length >= 12);
        assert_eq!(word(at + length - 4), length);
        at += length;
        blocks += 1;
    }
    assert_eq!((at, blocks), (bytes.len(), 4));
}

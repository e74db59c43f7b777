//! How fast a capture becomes pcapng, on one processor, beside copying its bytes.
//!
//! The capture lies in memory, comes in pieces of 64 KiB as from a network, and what is written is dropped. `--quick`, or
//! the variable `BENCH_QUICK`, takes a tenth of it.

use std::hint::black_box;
use std::io::{self, Write};
use std::time::{Duration, Instant};

use pcap_tap::pcap::{LinkType, Parser};
use pcap_tap::pcapng::{Interface, Section, Writer};
use pcap_tap::{Direction, Mac};

const PIECE: usize = 64 << 10;
const VM: Mac = Mac([2, 0, 0, 0, 0, 7]);

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    let quick =
        std::env::args().any(|arg| arg == "--quick" || arg == "--test") || std::env::var_os("BENCH_QUICK").is_some();
    let size = if quick { 100_000_000 } else { 1_000_000_000 };
    println!("pcap to pcapng, {} MB, the best of 5:", size / 1_000_000);
    for (kind, lengths) in [
        ("mixed frames", &[60, 1514, 590, 1514, 9000][..]),
        ("small frames", &[60]),
    ] {
        let capture = capture(lengths, size);
        let (mut ours, mut copy) = (Duration::MAX, Duration::MAX);
        let mut packets = 0;
        for _ in 0..5 {
            let began = Instant::now();
            packets = convert(&capture)?;
            ours = ours.min(began.elapsed());
            let began = Instant::now();
            copied(&capture)?;
            copy = copy.min(began.elapsed());
        }
        println!(
            "  {kind}: {:>5.0} MB/s, {:.1} million packets a second; copying alone {:>5.0} MB/s",
            capture.len() as f64 / 1e6 / ours.as_secs_f64(),
            packets as f64 / 1e6 / ours.as_secs_f64(),
            capture.len() as f64 / 1e6 / copy.as_secs_f64(),
        );
    }
    Ok(())
}

fn capture(lengths: &[usize], size: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 16_384);
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, 1] {
        bytes.extend(word.to_le_bytes());
    }
    for (number, &length) in (0_u32..).zip(lengths.iter().cycle()) {
        if bytes.len() >= size {
            break;
        }
        for word in [number / 1000, number % 1000, length as u32, length as u32] {
            bytes.extend(word.to_le_bytes());
        }
        let start = bytes.len();
        bytes.extend([0xff; 6]);
        bytes.extend(VM.0);
        bytes.resize(start + length, number as u8);
    }
    bytes
}

fn convert(capture: &[u8]) -> Result<u64> {
    let mut writer = Writer::new(Dropped, &Section::new())?;
    let vif = writer.interface(&Interface::new("vif7.0", LinkType::ETHERNET))?;
    let mut parser = Parser::new();
    let mut packets = 0;
    for mut piece in capture.chunks(PIECE) {
        while let Some(packet) = parser.feed(&mut piece)? {
            writer.packet(vif, &packet, Direction::of(&VM, packet.data))?;
            packets += 1;
        }
    }
    parser.finish()?;
    writer.flush()?;
    Ok(packets)
}

fn copied(capture: &[u8]) -> io::Result<()> {
    let mut buffer = vec![0; PIECE];
    for piece in capture.chunks(PIECE) {
        buffer[..piece.len()].copy_from_slice(piece);
        Dropped.write_all(&buffer[..piece.len()])?;
    }
    Ok(())
}

/// Takes everything, and lets nothing be left out.
struct Dropped;

impl Write for Dropped {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        black_box(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

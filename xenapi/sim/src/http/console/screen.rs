//! A screen over RFB (RFC 6143): one picture, which changes its colour with every key.

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};

use super::Line;
use super::pixels::PixelFormat;

const WIDTH: u16 = 640;
const HEIGHT: u16 = 480;
/// The picture is made of squares of so many pixels.
const SQUARE: u16 = 32;
/// The longest text that a client may put on the clipboard.
const MAX_CLIPBOARD: u32 = 1 << 20;
const NO_AUTHENTICATION: u8 = 1;

/// The versions of the protocol that differ in their greeting.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Version {
    V3,
    V7,
    V8,
}

/// Greets a client and answers what it asks for, until it goes or says something that is no RFB.
pub(super) async fn show<S: AsyncRead + AsyncWrite + Unpin>(name: &str, mut line: Line<'_, S>) -> io::Result<()> {
    if greet(name, &mut line).await? {
        Screen::new(line).serve().await
    } else {
        Ok(())
    }
}

/// The handshake; whether it came to a good end.
async fn greet<S: AsyncRead + AsyncWrite + Unpin>(name: &str, line: &mut Line<'_, S>) -> io::Result<bool> {
    line.send(b"RFB 003.008\n").await?;
    let version = match &line.take::<12>().await? {
        b"RFB 003.003\n" => Version::V3,
        b"RFB 003.007\n" => Version::V7,
        b"RFB 003.008\n" => Version::V8,
        _ => return Ok(false),
    };
    if version == Version::V3 {
        line.send(&u32::from(NO_AUTHENTICATION).to_be_bytes()).await?;
    } else {
        line.send(&[1, NO_AUTHENTICATION]).await?;
        let chosen = line.take::<1>().await?;
        if chosen != [NO_AUTHENTICATION] {
            return Ok(false);
        }
        if version == Version::V8 {
            line.send(&[0; 4]).await?;
        }
    }
    // Whether the client shares the screen: it always does.
    line.take::<1>().await?;
    let mut hello = [WIDTH.to_be_bytes(), HEIGHT.to_be_bytes()].concat();
    hello.extend_from_slice(&PixelFormat::NATIVE.to_wire());
    let length = u32::try_from(name.len()).unwrap_or_default();
    hello.extend_from_slice(&length.to_be_bytes());
    hello.extend_from_slice(&name.as_bytes()[..length as usize]);
    line.send(&hello).await?;
    Ok(true)
}

/// A part of the screen.
#[derive(Clone, Copy)]
struct Rectangle {
    x: u16,
    y: u16,
    width: u16,
    height: u16,
}

impl Rectangle {
    /// The part of what a client asked for that is on the screen.
    fn parse(wire: &[u8; 8]) -> Self {
        let number = |at: usize| u16::from_be_bytes([wire[at], wire[at + 1]]);
        let (x, y) = (number(0).min(WIDTH), number(2).min(HEIGHT));
        Self {
            x,
            y,
            width: number(4).min(WIDTH - x),
            height: number(6).min(HEIGHT - y),
        }
    }
}

struct Screen<'a, S> {
    line: Line<'a, S>,
    format: PixelFormat,
    /// How many keys were pressed.
    keys: u8,
    /// How many of them the client has seen.
    shown: Option<u8>,
    /// What the client wants to see as soon as it changes.
    wanted: Option<Rectangle>,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Screen<'a, S> {
    fn new(line: Line<'a, S>) -> Self {
        Self {
            line,
            format: PixelFormat::NATIVE,
            keys: 0,
            shown: None,
            wanted: None,
        }
    }

    async fn serve(mut self) -> io::Result<()> {
        loop {
            let [kind] = self.line.take().await?;
            match kind {
                0 => {
                    self.line.skip(3).await?;
                    let Some(format) = PixelFormat::parse(&self.line.take().await?) else {
                        return Ok(());
                    };
                    self.format = format;
                }
                2 => {
                    let [_, high, low] = self.line.take().await?;
                    self.line.skip(u64::from(u16::from_be_bytes([high, low])) * 4).await?;
                }
                3 => {
                    let [incremental] = self.line.take().await?;
                    if incremental == 0 {
                        self.shown = None;
                    }
                    self.wanted = Some(Rectangle::parse(&self.line.take().await?));
                }
                4 => {
                    let [down, ..] = self.line.take::<7>().await?;
                    self.keys = self.keys.wrapping_add(u8::from(down != 0));
                }
                5 => self.line.skip(5).await?,
                6 => {
                    self.line.skip(3).await?;
                    let length = u32::from_be_bytes(self.line.take().await?);
                    if length > MAX_CLIPBOARD {
                        return Ok(());
                    }
                    self.line.skip(length.into()).await?;
                }
                _ => return Ok(()),
            }
            if self.shown != Some(self.keys)
                && let Some(wanted) = self.wanted.take()
            {
                self.update(wanted).await?;
                self.shown = Some(self.keys);
            }
        }
    }

    /// Sends a rectangle as raw pixels, a row at a time.
    async fn update(&mut self, part: Rectangle) -> io::Result<()> {
        let mut out = vec![0, 0, 0, 1];
        for number in [part.x, part.y, part.width, part.height] {
            out.extend_from_slice(&number.to_be_bytes());
        }
        out.extend_from_slice(&0_i32.to_be_bytes());
        for y in part.y..part.y + part.height {
            for x in part.x..part.x + part.width {
                let light = (x / SQUARE + y / SQUARE).is_multiple_of(2);
                let green = if light { 0x60 } else { 0x40 };
                self.format.put([self.keys.wrapping_mul(16), green, 0x80], &mut out);
            }
            self.line.stream.write_all(&out).await?;
            out.clear();
        }
        self.line.send(&out).await
    }
}

//! Two ends of a serial line, and anything done to what they say, in pieces of any length: no panic, and once the line is
//! good again, every message that was taken has arrived, in order and once.
#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use serial_link_protocol::{Agent, Config, Entropy, Event, Host, Link, Reply, Request, Role, Secret};

fuzz_target!(|input: &[u8]| {
    let mut line = Line {
        host: link(1),
        agent: link(2),
        now: Duration::ZERO,
        damage: input,
        channel: None,
    };
    let (mut taken, mut arrived) = (0, 0);
    let mut session = None;
    for round in 0..40_000_u32 {
        if round < 64 && line.say(taken) {
            taken += 1;
        }
        for event in line.step() {
            match event {
                Event::Connected { session: begun } => {
                    assert!(session.replace(begun).is_none(), "a session ended without reason");
                }
                Event::Message {
                    message: Reply::Pong { token },
                    ..
                } => {
                    assert_eq!(token, arrived);
                    arrived += 1;
                }
                _ => {}
            }
        }
        if round >= 64 && arrived == taken && line.damage.is_empty() {
            return;
        }
    }
    panic!("{arrived} of {taken} messages came back");
});

fn link<R: Role>(seed: u8) -> Link<R> {
    let secret = Secret::new([b's'; 32]).expect("it is long enough");
    Link::new(Config::new(secret, Entropy::from_seed([seed; 32])))
}

struct Line<'a> {
    host: Link<Host>,
    agent: Link<Agent>,
    now: Duration,
    /// What happens to the bytes on the line, a byte of it for each.
    damage: &'a [u8],
    channel: Option<u32>,
}

impl Line<'_> {
    /// Whether the link took a message.
    fn say(&mut self, token: u64) -> bool {
        let request = Request::Ping { token };
        match self.channel {
            Some(channel) => self.host.follow_up(channel, &request).is_ok(),
            None => {
                self.channel = self.host.request(&request).ok();
                self.channel.is_some()
            }
        }
    }

    /// Five milliseconds, and what the host learns in them.
    fn step(&mut self) -> Vec<Event<Reply>> {
        self.now += Duration::from_millis(5);
        let mut sent = Vec::new();
        while self.host.transmit(self.now, &mut sent) {}
        self.carry(sent, |line, piece, now| line.agent.receive(piece, now));
        while let Some(event) = self.agent.event() {
            if let Event::Message {
                channel,
                message: Request::Ping { token },
            } = event
            {
                self.agent
                    .reply(channel, &Reply::Pong { token })
                    .expect("the channel is open");
            }
        }
        let mut sent = Vec::new();
        while self.agent.transmit(self.now, &mut sent) {}
        self.carry(sent, |line, piece, now| line.host.receive(piece, now));
        std::iter::from_fn(|| self.host.event()).collect()
    }

    fn carry(&mut self, sent: Vec<u8>, mut receive: impl FnMut(&mut Self, &[u8], Duration)) {
        let now = self.now;
        let mut piece = Vec::new();
        for byte in sent {
            let Some((&happens, rest)) = self.damage.split_first() else {
                piece.push(byte);
                continue;
            };
            self.damage = rest;
            match happens {
                0..200 => piece.push(byte),
                200..210 => {}
                210..220 => piece.extend([byte, byte]),
                220..230 => receive(self, &std::mem::take(&mut piece), now),
                230..240 => piece.extend([0, byte]),
                _ => piece.push(byte ^ happens),
            }
        }
        receive(self, &piece, now);
    }
}

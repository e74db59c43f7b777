//! Two links and the line between them, in a time of its own.

use std::collections::VecDeque;
use std::time::Duration;

use serial_link_protocol::{Agent, Config, Entropy, Event, Host, Link, Reply, Request, Role, Secret};

pub(crate) const SECRET: &str = "a secret that only the tests know";

pub(crate) fn config(seed: u8) -> Config {
    Config::new(Secret::new(SECRET).unwrap(), Entropy::from_seed([seed; 32]))
}

/// What a line does to bytes.
#[derive(Clone, Debug)]
pub(crate) struct Noise {
    /// How many bytes of a million are dropped, flipped and doubled, each.
    pub(crate) dropped: u32,
    pub(crate) flipped: u32,
    pub(crate) doubled: u32,
    /// How long a byte travels.
    pub(crate) delay: Duration,
    /// Bytes a millisecond.
    pub(crate) rate: usize,
}

impl Noise {
    pub(crate) const NONE: Self = Self {
        dropped: 0,
        flipped: 0,
        doubled: 0,
        delay: Duration::from_millis(1),
        rate: 1000,
    };
}

/// One direction.
pub(crate) struct Wire {
    noise: Noise,
    random: fastrand::Rng,
    flying: VecDeque<(Duration, u8)>,
    /// Handed over by the sender, and not on the line yet.
    pub(crate) waiting: VecDeque<u8>,
    pub(crate) cut: bool,
    pub(crate) carried: usize,
}

impl Wire {
    fn new(noise: Noise, seed: u64) -> Self {
        Self {
            noise,
            random: fastrand::Rng::with_seed(seed),
            flying: VecDeque::new(),
            waiting: VecDeque::new(),
            cut: false,
            carried: 0,
        }
    }

    fn step(&mut self, now: Duration) {
        for _ in 0..self.noise.rate.min(self.waiting.len()) {
            let mut byte = self.waiting.pop_front().unwrap();
            self.carried += 1;
            if self.cut {
                continue;
            }
            let chance = self.random.u32(..1_000_000);
            let (dropped, flipped) = (self.noise.dropped, self.noise.dropped + self.noise.flipped);
            if chance < dropped {
                continue;
            }
            if chance < flipped {
                byte ^= 1 << (now.as_millis() % 8);
            }
            if (flipped..flipped + self.noise.doubled).contains(&chance) {
                self.flying.push_back((now + self.noise.delay, byte));
            }
            self.flying.push_back((now + self.noise.delay, byte));
        }
    }

    fn arrived(&mut self, now: Duration) -> Vec<u8> {
        let count = self.flying.iter().take_while(|(at, _)| *at <= now).count();
        self.flying.drain(..count).map(|(_, byte)| byte).collect()
    }
}

pub(crate) struct Line {
    pub(crate) now: Duration,
    pub(crate) host: Link<Host>,
    pub(crate) agent: Link<Agent>,
    pub(crate) to_agent: Wire,
    pub(crate) to_host: Wire,
    pub(crate) host_events: Vec<Event<Reply>>,
    pub(crate) agent_events: Vec<Event<Request>>,
}

impl Line {
    pub(crate) fn new(host: Config, agent: Config, noise: Noise, seed: u64) -> Self {
        Self {
            now: Duration::ZERO,
            host: Link::new(host),
            agent: Link::new(agent),
            to_agent: Wire::new(noise.clone(), seed),
            to_host: Wire::new(noise, seed ^ 1),
            host_events: Vec::new(),
            agent_events: Vec::new(),
        }
    }

    /// One millisecond.
    pub(crate) fn step(&mut self) {
        self.now += Duration::from_millis(1);
        end(
            self.now,
            &mut self.host,
            &mut self.to_host,
            &mut self.to_agent,
            &mut self.host_events,
        );
        end(
            self.now,
            &mut self.agent,
            &mut self.to_agent,
            &mut self.to_host,
            &mut self.agent_events,
        );
    }

    pub(crate) fn connect(&mut self) {
        while self.host.session().is_none() || self.host.session() != self.agent.session() {
            assert!(self.now < Duration::from_secs(600), "no session after ten minutes");
            self.step();
        }
    }
}

fn end<R: Role>(
    now: Duration,
    link: &mut Link<R>,
    from: &mut Wire,
    to: &mut Wire,
    events: &mut Vec<Event<R::Incoming>>,
) {
    from.step(now);
    let bytes = from.arrived(now);
    if !bytes.is_empty() {
        link.receive(&bytes, now);
    }
    // A driver's buffer is short.
    let mut frame = Vec::new();
    while to.waiting.len() < 4096 && link.transmit(now, &mut frame) {
        to.waiting.extend(frame.drain(..));
    }
    while let Some(event) = link.event() {
        events.push(event);
    }
}

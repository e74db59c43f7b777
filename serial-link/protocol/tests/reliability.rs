//! A link over a bad line.

mod line;

use std::time::Duration;

use line::{Line, Noise, config};
use proptest::prelude::*;
use serial_link_protocol::{Config, Entropy, Event, Link, LinkError, Port, Read, Refusal, Reply, Request, Secret};

/// Sends `count` pings and lets the agent answer each; both directions must be in order and exactly once.
fn exchange(line: &mut Line, count: u64, limit: Duration) -> Result<(), TestCaseError> {
    let mut sent = 0;
    let mut asked = 0;
    let mut answered = 0;
    let mut channel = None;
    let mut replies = std::collections::VecDeque::new();
    while answered < count {
        while sent < count {
            let request = Request::Ping { token: sent };
            let result = match channel {
                None => line.host.request(&request).map(|opened| channel = Some(opened)),
                Some(channel) => line.host.follow_up(channel, &request),
            };
            match result {
                Ok(()) => sent += 1,
                Err(LinkError::NotConnected | LinkError::Busy { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
        line.step();
        for event in line.agent_events.drain(..) {
            if let Event::Message {
                channel,
                message: Request::Ping { token },
            } = event
            {
                prop_assert_eq!(token, asked);
                asked += 1;
                replies.push_back((channel, token));
            }
        }
        while let Some(&(channel, token)) = replies.front() {
            if line.agent.reply(channel, &Reply::Pong { token }).is_err() {
                break;
            }
            replies.pop_front();
        }
        for event in line.host_events.drain(..) {
            match event {
                Event::Message {
                    message: Reply::Pong { token },
                    ..
                } => {
                    prop_assert_eq!(token, answered);
                    answered += 1;
                }
                Event::Ended { .. } => prop_assert!(false, "the session did not survive the noise"),
                _ => {}
            }
        }
        prop_assert!(
            line.now < limit,
            "{answered} of {count} after {:?}: {:?}",
            line.now,
            line.host.counters()
        );
    }
    Ok(())
}

#[test]
fn ten_thousand_messages_each_way_over_one_percent_of_everything() {
    let noise = Noise {
        dropped: 10_000,
        flipped: 10_000,
        doubled: 10_000,
        delay: Duration::from_millis(5),
        rate: 100,
    };
    let mut line = Line::new(config(1), config(2), noise, 7);
    exchange(&mut line, 10_000, Duration::from_secs(3600)).unwrap();
    let counters = line.host.counters();
    assert!(
        counters.damaged > 1000 && counters.resent > 1000,
        "the line was not noisy: {counters:?}"
    );
    assert_eq!((counters.forged, counters.violations), (0, 0));
    eprintln!("{:?} of the line's time, {counters:?}", line.now);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn messages_arrive_in_order_exactly_once(
        dropped in 0_u32..10_000,
        flipped in 0_u32..10_000,
        doubled in 0_u32..10_000,
        delay in 0_u64..200,
        rate in 5_usize..500,
        count in 1_u64..150,
        seed: u64,
    ) {
        let noise = Noise { dropped, flipped, doubled, delay: Duration::from_millis(delay), rate };
        let mut line = Line::new(config(1), config(2), noise, seed);
        exchange(&mut line, count, Duration::from_secs(3600))?;
    }
}

fn connected(noise: Noise) -> Line {
    let mut line = Line::new(config(1), config(2), noise, 3);
    line.connect();
    line
}

/// Opens a channel whose agent end is only there for its streams.
fn channel(line: &mut Line) -> u32 {
    let channel = line.host.request(&Request::Ping { token: 0 }).unwrap();
    while !line.agent.is_open(channel) {
        line.step();
    }
    channel
}

/// Sends `content` from the agent to the host, with `between` after each millisecond.
fn stream(line: &mut Line, content: &[u8], mut between: impl FnMut(&mut Line)) -> Vec<u8> {
    let channel = channel(line);
    let mut rest = content;
    let mut got = Vec::new();
    loop {
        if !rest.is_empty() {
            let taken = line.agent.write(channel, Port::Output, rest).unwrap();
            rest = &rest[taken..];
            if rest.is_empty() {
                line.agent.end(channel, Port::Output).unwrap();
            }
        }
        line.step();
        between(line);
        loop {
            match line.host.read(channel, Port::Output, 100_000).unwrap() {
                Read::Bytes(bytes) => got.extend(bytes),
                Read::Pending => break,
                Read::End => return got,
            }
        }
        assert!(
            line.now < Duration::from_secs(3600),
            "{} of {}",
            got.len(),
            content.len()
        );
    }
}

fn content(size: usize) -> Vec<u8> {
    let mut random = fastrand::Rng::with_seed(5);
    std::iter::repeat_with(|| random.u8(..)).take(size).collect()
}

#[test]
fn most_of_the_line_carries_content() {
    for (rate, delay, size, least) in [
        (11, 1, 100_000, 0.9),
        (141, 1, 300_000, 0.9),
        (1000, 1, 1_000_000, 0.9),
        (1000, 20, 2_000_000, 0.8),
        // Half of what is missing goes to the first second, when the link feels its way.
        (1000, 100, 4_000_000, 0.7),
    ] {
        let mut line = connected(Noise {
            rate,
            delay: Duration::from_millis(delay),
            ..Noise::NONE
        });
        let start = line.now;
        let content = content(size);
        assert!(stream(&mut line, &content, |_| {}) == content);
        let share = size as f64 / ((line.now - start).as_millis() as f64 * rate as f64);
        eprintln!("{rate} bytes/ms, {delay} ms: {share:.2}");
        assert!(share > least, "{share} of {rate} bytes/ms with {delay} ms of delay");
    }
}

#[test]
fn a_stream_survives_a_line_that_goes_away_and_comes_back() {
    let mut line = connected(Noise {
        rate: 100,
        dropped: 20,
        flipped: 20,
        doubled: 20,
        ..Noise::NONE
    });
    let session = line.host.session();
    let content = content(200_000);
    let got = stream(&mut line, &content, |line| {
        let cut = line.now.as_millis() / 400 % 2 == 1;
        (line.to_agent.cut, line.to_host.cut) = (cut, cut);
    });
    assert!(got == content);
    assert_eq!(line.host.session(), session);
}

#[test]
fn the_link_is_used_within_a_second_of_the_lines_return() {
    let mut line = connected(Noise::NONE);
    let before = channel(&mut line);
    (line.to_agent.cut, line.to_host.cut) = (true, true);
    line.agent.write(before, Port::Output, b"said in vain").unwrap();
    for _ in 0..20_000 {
        line.step();
    }
    assert!(line.host_events.contains(&Event::Silent));
    (line.to_agent.cut, line.to_host.cut) = (false, false);
    let back = line.now;
    while line.host.read(before, Port::Output, 100).unwrap() == Read::Pending {
        line.step();
        assert!(line.now - back < Duration::from_secs(1), "nothing came within a second");
    }
    assert!(line.host_events.contains(&Event::Heard));
}

#[test]
fn an_agent_whose_host_is_gone_falls_silent() {
    let mut line = connected(Noise::NONE);
    let channel = channel(&mut line);
    line.to_host.cut = true;
    line.to_agent.cut = true;
    line.agent.write(channel, Port::Output, b"is anybody there?").unwrap();
    for _ in 0..20_000 {
        line.step();
    }
    let carried = line.to_host.carried;
    for _ in 0..20_000 {
        line.step();
    }
    assert_eq!(line.to_host.carried, carried);
}

#[test]
fn either_end_that_begins_anew_makes_a_new_session_that_both_learn_of() {
    let mut line = connected(Noise::NONE);
    let first = line.host.session().unwrap();
    line.agent = Link::new(config(9));
    while line.host.session() == Some(first) {
        line.step();
    }
    let second = line.host.session().unwrap();
    assert!(line.host_events.contains(&Event::Ended { session: first }));
    assert!(line.host_events.contains(&Event::Connected { session: second }));

    line.agent_events.clear();
    line.host = Link::new(config(8));
    line.connect();
    assert_ne!(line.host.session(), Some(second));
    assert!(line.agent_events.contains(&Event::Ended { session: second }));
    line.host_events.clear();
    exchange(&mut line, 10, Duration::from_secs(60)).unwrap();
}

#[test]
fn a_wrong_secret_is_told_to_the_host_and_begins_nothing() {
    let stranger = Config::new(
        Secret::new("a secret, but another one").unwrap(),
        Entropy::from_seed([4; 32]),
    );
    let mut line = Line::new(stranger, config(2), Noise::NONE, 1);
    for _ in 0..2000 {
        line.step();
    }
    assert!(line.host_events.contains(&Event::Refused(Refusal::WrongSecret)));
    assert_eq!((line.host.session(), line.agent.session()), (None, None));
    assert!(line.agent_events.is_empty());
}

#[test]
fn nobody_without_the_secret_ends_a_session() {
    let mut line = connected(Noise::NONE);
    let session = line.host.session();
    let stranger = Config::new(
        Secret::new("a secret, but another one").unwrap(),
        Entropy::from_seed([4; 32]),
    );
    let mut stranger = Link::<serial_link_protocol::Host>::new(stranger);
    let mut recorded = Vec::new();
    for step in 0..2000 {
        let mut frame = Vec::new();
        stranger.transmit(line.now, &mut frame);
        line.to_agent.waiting.extend(frame);
        // What was said before is said again.
        recorded.extend(line.to_agent.waiting.iter().copied());
        if step % 100 == 0 {
            line.to_agent.waiting.extend(recorded.drain(..));
        }
        line.step();
    }
    assert_eq!((line.host.session(), line.agent.session()), (session, session));
    exchange(&mut line, 10, Duration::from_secs(60)).unwrap();
}

#[test]
fn a_reader_that_does_not_read_stalls_its_stream_alone() {
    let mut line = connected(Noise::NONE);
    let stalled = channel(&mut line);
    let plenty = content(1_000_000);
    let mut written = 0;
    for _ in 0..3000 {
        written += line.agent.write(stalled, Port::Output, &plenty[written..]).unwrap();
        line.step();
    }
    assert!(
        (256 << 10..=320 << 10).contains(&written),
        "{written} bytes were taken without a reader"
    );
    let short = content(50_000);
    assert!(stream(&mut line, &short, |_| {}) == short);
    while written < plenty.len() {
        while let Read::Bytes(bytes) = line.host.read(stalled, Port::Output, 5000).unwrap() {
            assert!(bytes.len() <= 5000);
        }
        written += line.agent.write(stalled, Port::Output, &plenty[written..]).unwrap();
        line.step();
    }
}

#[test]
fn boot_messages_and_a_login_prompt_pass_beside_the_link() {
    let mut line = connected(Noise {
        rate: 50,
        ..Noise::NONE
    });
    let mut expected = Vec::new();
    let content = content(30_000);
    let got = stream(&mut line, &content, |line| {
        // Between two writes of the agent, wherever in a frame the line is.
        if line.now.as_millis() % 50 == 0 {
            let text = format!("[{:5}.000] usb 1-1: a device\r\n", line.now.as_millis());
            expected.extend(text.bytes());
            line.to_host.waiting.extend(text.bytes());
        }
    });
    assert!(got == content);
    for _ in 0..100 {
        line.step();
    }
    let console: Vec<u8> = line
        .host_events
        .iter()
        .filter_map(|event| match event {
            Event::Console(text) => Some(text.as_slice()),
            _ => None,
        })
        .flatten()
        .copied()
        .collect();
    assert_eq!(String::from_utf8_lossy(&console), String::from_utf8_lossy(&expected));
}

#[test]
fn messages_that_are_too_long_or_too_many_are_refused_where_they_are_made() {
    let mut line = connected(Noise::NONE);
    let long = Request::Get {
        path: "x".repeat(70_000),
        offset: 0,
    };
    assert!(matches!(line.host.request(&long), Err(LinkError::TooLarge { .. })));
    let fitting = Request::Get {
        path: "x".repeat(60_000),
        offset: 0,
    };
    let error = (0..20).find_map(|_| line.host.request(&fitting).err());
    assert!(matches!(error, Some(LinkError::Busy { .. })), "{error:?}");
    let before = line.agent_events.len();
    while !line.host.is_idle() {
        line.step();
    }
    let arrived = &line.agent_events[before..];
    assert!(
        arrived
            .iter()
            .all(|event| matches!(event, Event::Message { message, .. } if *message == fitting))
    );
    assert!(arrived.len() >= 8);
}

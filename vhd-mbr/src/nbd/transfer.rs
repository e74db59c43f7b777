//! Many requests over one connection at once.

use super::error::Error;
pub(super) use super::flight::Place;
use super::flight::{Flight, Request};
use super::pool::{Lease, Pool};
use super::protocol::Command;

/// How many requests are on their way over one connection at once.
pub(super) const DEPTH: usize = 16;

/// A part of the disk to be read, and where it goes.
#[derive(Debug)]
pub(super) struct Job<P> {
    pub(super) offset: u64,
    pub(super) place: P,
}

/// Reads what `next` asks for until it asks for nothing while nothing is on its way. After a broken connection it goes
/// on over a new one, which must bring something, with what had not arrived.
pub(super) fn read<P: Place>(
    pool: &Pool,
    mut next: impl FnMut() -> Option<Job<P>>,
    mut done: impl FnMut(Job<P>),
) -> Result<(), Error> {
    let mut lease = pool.lend()?;
    let mut again: Vec<Job<P>> = Vec::new();
    let mut is_fresh = false;
    loop {
        let mut next = || again.pop().or_else(&mut next);
        let mut done = |job| {
            is_fresh = false;
            done(job);
        };
        let mut flight = Flight::new();
        let Err(error) = exchange(&mut lease, &mut flight, &mut next, &mut done) else {
            return Ok(());
        };
        if !error.is_broken() || is_fresh {
            if flight.is_empty() && matches!(error, Error::Command { .. }) {
                lease.end();
            }
            return Err(error);
        }
        lease.renew(&error)?;
        is_fresh = true;
        again.extend(flight.rest().map(|(offset, place)| Job { offset, place }));
    }
}

fn exchange<P: Place>(
    lease: &mut Lease<'_>,
    flight: &mut Flight<P>,
    next: &mut impl FnMut() -> Option<Job<P>>,
    done: &mut impl FnMut(Job<P>),
) -> Result<(), Error> {
    let connection = lease.begin()?;
    loop {
        while flight.len() < DEPTH
            && let Some(mut job) = next()
        {
            let request = Request::new(Command::Read, job.offset, job.place.bytes().len() as u32);
            connection.send(request, &[], job.place, flight)?;
        }
        if flight.is_empty() {
            break;
        }
        let read = connection.receive(flight)?;
        done(Job {
            offset: read.request.offset,
            place: read.place,
        });
    }
    lease.end();
    Ok(())
}

/// Writes pieces at their positions, several at a time. Nothing is done twice.
pub(super) fn write<'a>(
    pool: &Pool,
    flags: u16,
    mut pieces: impl Iterator<Item = (u64, &'a [u8])>,
) -> Result<(), Error> {
    let mut lease = pool.lend()?;
    let connection = lease.begin()?;
    let mut flight = Flight::new();
    loop {
        while flight.len() < DEPTH
            && let Some((offset, piece)) = pieces.next()
        {
            let mut request = Request::new(Command::Write, offset, piece.len() as u32);
            request.flags = flags;
            connection.send(request, piece, (), &mut flight)?;
        }
        if flight.is_empty() {
            break;
        }
        connection.receive(&mut flight)?;
    }
    lease.end();
    Ok(())
}

/// Sends one request that must not be repeated.
pub(super) fn once(pool: &Pool, request: Request) -> Result<(), Error> {
    let mut lease = pool.lend()?;
    let outcome = lease.begin()?.call(request, &[], ());
    if !matches!(&outcome, Err(error) if !matches!(error, Error::Command { .. })) {
        lease.end();
    }
    outcome.map(drop)
}

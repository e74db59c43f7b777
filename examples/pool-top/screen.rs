//! The terminal: drawing, keys, and giving it back as it was.

use std::io::{self, IsTerminal};
use std::time::Duration;

use anyhow::{Context, ensure};
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::widgets::TableState;
use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval};
use xenapi::Cache;
use xenapi_examples::{Interrupted, Pool};

use crate::load::Loads;
use crate::sort::Column;
use crate::view::View;
use crate::{draw, measure};

/// How often the screen is drawn anew without a key.
const PERIOD: Duration = Duration::from_millis(500);
/// How soon the thread that reads keys notices that nobody wants them any more.
const PATIENCE: Duration = Duration::from_millis(200);

/// Shows the pool until the user has seen enough.
pub(crate) async fn run(pool: &Pool, cache: &Cache, sort: Column) -> anyhow::Result<()> {
    ensure!(
        io::stdout().is_terminal(),
        "standard output is no terminal; --once prints one frame"
    );
    // From here on also a panic gives the terminal back.
    let terminal = ratatui::try_init().context("cannot take the terminal over")?;
    let (sender, loads) = watch::channel(Loads::recorded(cache));
    let shown = async {
        tokio::select! {
            shown = show(terminal, cache, &loads, sort) => shown,
            never = measure::keep(pool, cache, &sender) => match never {},
        }
    };
    let shown = pool.unless_interrupted(shown).await;
    ratatui::restore();
    shown
}

async fn show(
    mut terminal: DefaultTerminal,
    cache: &Cache,
    loads: &watch::Receiver<Loads>,
    sort: Column,
) -> anyhow::Result<()> {
    let mut keys = keys();
    let mut ticks = interval(PERIOD);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut order = Order {
        sort,
        is_reversed: false,
    };
    let mut place = TableState::new();
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            event = keys.recv() => match event.context("the terminal is gone")?? {
                Event::Key(key) if key.is_press() => match meaning(key) {
                    Meaning::Quit => return Ok(()),
                    Meaning::Interrupt => return Err(Interrupted.into()),
                    Meaning::Sort(column) => order.sort = column,
                    Meaning::Reverse => order.is_reversed = !order.is_reversed,
                    Meaning::Down => place.select_next(),
                    Meaning::Up => place.select_previous(),
                    Meaning::Nothing => continue,
                },
                Event::Resize(..) => {}
                _ => continue,
            },
        }
        let mut view = View::read(cache, &loads.borrow());
        order.apply(&mut view);
        terminal.draw(|frame| draw::draw(frame, &view, order.sort, &mut place))?;
    }
}

struct Order {
    sort: Column,
    is_reversed: bool,
}

impl Order {
    fn apply(&self, view: &mut View) {
        self.sort.sort(&mut view.vms);
        if self.is_reversed {
            view.vms.reverse();
        }
    }
}

/// What a key asks for.
enum Meaning {
    Quit,
    /// The terminal hands ctrl-c over as a key.
    Interrupt,
    Sort(Column),
    Reverse,
    Down,
    Up,
    Nothing,
}

fn meaning(key: KeyEvent) -> Meaning {
    match key.code {
        KeyCode::Char('c') if key.modifiers.contains(KeyModifiers::CONTROL) => Meaning::Interrupt,
        KeyCode::Char('q') | KeyCode::Esc => Meaning::Quit,
        KeyCode::Char('r') => Meaning::Reverse,
        KeyCode::Char(letter) => Column::of_key(letter).map_or(Meaning::Nothing, Meaning::Sort),
        KeyCode::Down => Meaning::Down,
        KeyCode::Up => Meaning::Up,
        _ => Meaning::Nothing,
    }
}

/// What happens on the terminal, read in a thread of its own.
fn keys() -> mpsc::Receiver<io::Result<Event>> {
    let (sender, keys) = mpsc::channel(16);
    std::thread::spawn(move || {
        while !sender.is_closed() {
            let event = match event::poll(PATIENCE) {
                Ok(false) => continue,
                Ok(true) => event::read(),
                Err(error) => Err(error),
            };
            let failed = event.is_err();
            if sender.blocking_send(event).is_err() || failed {
                break;
            }
        }
    });
    keys
}

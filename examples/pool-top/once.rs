//! One frame as text.

use std::io::{self, Write};

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::widgets::TableState;
use xenapi::Cache;

use crate::draw;
use crate::load::Loads;
use crate::sort::Column;
use crate::view::View;

const WIDTH: u16 = 120;

/// Prints everything, however many lines that takes.
pub(crate) fn print(cache: &Cache, loads: &Loads, sort: Column) -> anyhow::Result<()> {
    let mut view = View::read(cache, loads);
    sort.sort(&mut view.vms);
    let mut terminal = Terminal::new(TestBackend::new(WIDTH, draw::height(&view)))?;
    terminal.draw(|frame| draw::draw(frame, &view, sort, &mut TableState::new()))?;
    let cells = terminal.backend().buffer().content().chunks(WIDTH.into());
    let mut out = io::stdout();
    for row in cells {
        let line: String = row.iter().map(|cell| cell.symbol()).collect();
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

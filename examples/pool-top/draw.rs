//! A view on a screen.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::Line;
use ratatui::widgets::{Cell, Row, Table, TableState};
use vhd_mbr::Size;
use xenapi::vm::PowerState;
use xenapi_examples::Printable;

use crate::load::Load;
use crate::sort::Column;
use crate::text;
use crate::view::{HostRow, SrRow, TaskRow, View, VmRow};

/// The most lines that hosts, storage and tasks may each take from the VMs.
const MOST: u16 = 8;

/// How many lines it takes to show everything.
pub(crate) fn height(view: &View) -> u16 {
    let tables = [view.hosts.len(), view.vms.len(), view.srs.len(), view.tasks.len()];
    let lines: usize = tables.iter().map(|rows| rows + 2).sum();
    u16::try_from(lines + 2).unwrap_or(u16::MAX)
}

/// Draws it all; where there is not enough room, the VMs can be scrolled and the rest is cut.
pub(crate) fn draw(frame: &mut Frame<'_>, view: &View, sorted_by: Column, place: &mut TableState) {
    let room = if frame.area().height >= height(view) {
        u16::MAX
    } else {
        MOST
    };
    let lines = |rows: usize| u16::try_from(rows).unwrap_or(room).min(room).saturating_add(2);
    let areas = Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(lines(view.hosts.len())),
        Constraint::Fill(1),
        Constraint::Length(lines(view.srs.len())),
        Constraint::Length(lines(view.tasks.len())),
        Constraint::Length(1),
    ]);
    let [title, hosts, vms, srs, tasks, keys] = areas.areas(frame.area());
    frame.render_widget(headline(view), title);
    frame.render_widget(host_table(&view.hosts), hosts);
    frame.render_stateful_widget(vm_table(&view.vms), vms, place);
    frame.render_widget(sr_table(&view.srs), srs);
    frame.render_widget(task_table(&view.tasks), tasks);
    draw_keys(frame, keys, sorted_by);
}

fn headline(view: &View) -> Line<'_> {
    let running = view.vms.iter().filter(|vm| vm.state == PowerState::Running).count();
    let pool = Printable(&view.pool);
    let (hosts, vms) = (view.hosts.len(), view.vms.len());
    let line = format!("{pool}  {hosts} hosts, {running} of {vms} VMs running");
    match view.is_live {
        true => Line::from(line).bold(),
        false => Line::from(format!("{line}  (no news from the pool, this may be old)"))
            .bold()
            .red(),
    }
}

fn draw_keys(frame: &mut Frame<'_>, area: Rect, sorted_by: Column) {
    let keys = format!(
        "sorted by {}; n)ame s)tate c)pus m)emory h)ost u)ptime l)oad  r)everse  up/down  q)uit",
        sorted_by.title()
    );
    frame.render_widget(Line::from(keys).dim(), area);
}

/// A column: its title, its width, and what a row has in it.
struct Field<'a, R> {
    title: &'static str,
    width: Constraint,
    content: Box<dyn Fn(&R) -> Cell<'static> + 'a>,
}

fn field<'a, R>(title: &'static str, width: u16, content: impl Fn(&R) -> String + 'a) -> Field<'a, R> {
    Field {
        title,
        width: Constraint::Length(width),
        content: Box::new(move |row| Cell::from(Printable(&content(row)).to_string())),
    }
}

fn name<'a, R>(title: &'static str, content: impl Fn(&R) -> String + 'a) -> Field<'a, R> {
    Field {
        width: Constraint::Fill(1),
        ..field(title, 0, content)
    }
}

/// The columns of loads that anybody has a value for.
fn loads<'a, R>(rows: &[R], load: impl Fn(&R) -> Load + Copy + 'a) -> Vec<Field<'a, R>> {
    let mut fields = Vec::new();
    if rows.iter().any(|row| load(row).cpu.is_some()) {
        fields.push(field("CPU", 4, move |row| text::percent(load(row).cpu)));
    }
    if rows.iter().any(|row| load(row).network.is_some()) {
        fields.push(field("NETWORK", 11, move |row| text::rate(load(row).network)));
    }
    if rows.iter().any(|row| load(row).disk.is_some()) {
        fields.push(field("DISK", 11, move |row| text::rate(load(row).disk)));
    }
    fields
}

fn table<R>(rows: &[R], fields: &[Field<'_, R>]) -> Table<'static> {
    let titles = Row::new(fields.iter().map(|field| field.title));
    let widths = fields.iter().map(|field| field.width);
    let rows = rows
        .iter()
        .map(|row| Row::new(fields.iter().map(|field| (field.content)(row))));
    Table::new(rows, widths)
        .header(titles.style(Style::new().fg(Color::Cyan)).top_margin(1))
        .column_spacing(1)
}

fn host_table(hosts: &[HostRow]) -> Table<'static> {
    let mut fields = vec![
        name("HOST", |host: &HostRow| host.name.clone()),
        field("STATE", 11, |host: &HostRow| host.state.to_owned()),
        field("CPUS", 4, |host: &HostRow| host.cpus.clone()),
        field("MEMORY", 21, |host: &HostRow| {
            format!("{} of {}", Size(host.memory_used), Size(host.memory_total))
        }),
        field("", 17, |host: &HostRow| {
            text::bar(text::share(host.memory_used, host.memory_total))
        }),
    ];
    fields.extend(loads(hosts, |host: &HostRow| host.load));
    fields.push(field("VMS", 4, |host: &HostRow| host.vms.to_string()));
    fields.push(field("ADDRESS", 15, |host: &HostRow| host.address.clone()));
    table(hosts, &fields)
}

fn vm_table(vms: &[VmRow]) -> Table<'static> {
    let mut fields = vec![
        name("VM", |vm: &VmRow| vm.name.clone()),
        Field {
            title: "STATE",
            width: Constraint::Length(10),
            content: Box::new(|vm: &VmRow| state(&vm.state)),
        },
        field("CPUS", 4, |vm: &VmRow| vm.cpus.to_string()),
        field("MEMORY", 9, |vm: &VmRow| Size(vm.memory).to_string()),
    ];
    fields.extend(loads(vms, |vm: &VmRow| vm.load));
    fields.push(field("HOST", 16, |vm: &VmRow| vm.host.clone()));
    fields.push(field("UPTIME", 8, |vm: &VmRow| text::uptime(vm.uptime)));
    fields.push(field("ADDRESS", 15, |vm: &VmRow| vm.address.clone()));
    table(vms, &fields).row_highlight_style(Style::new().add_modifier(Modifier::REVERSED))
}

fn state(state: &PowerState) -> Cell<'static> {
    let cell = Cell::from(Printable(state.as_str()).to_string());
    match state {
        PowerState::Running => cell.green(),
        PowerState::Paused | PowerState::Suspended => cell.yellow(),
        _ => cell.dim(),
    }
}

fn sr_table(srs: &[SrRow]) -> Table<'static> {
    let fields = [
        name("STORAGE", |sr: &SrRow| sr.name.clone()),
        field("TYPE", 10, |sr: &SrRow| sr.kind.clone()),
        field("", 7, |sr: &SrRow| {
            if sr.is_shared { "shared" } else { "local" }.to_owned()
        }),
        field("USED", 21, |sr: &SrRow| {
            format!("{} of {}", Size(sr.used), Size(sr.size))
        }),
        field("", 17, |sr: &SrRow| text::bar(text::share(sr.used, sr.size))),
    ];
    table(srs, &fields)
}

fn task_table(tasks: &[TaskRow]) -> Table<'static> {
    let fields = [
        name("TASK", |task: &TaskRow| task.name.clone()),
        field("HOST", 20, |task: &TaskRow| task.host.clone()),
        field("PROGRESS", 17, |task: &TaskRow| text::bar(task.progress)),
    ];
    table(tasks, &fields)
}

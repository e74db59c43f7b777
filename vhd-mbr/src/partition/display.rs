use std::fmt;

use super::{BootCode, PartitionTable};
use crate::Size;

/// A heading, a row for each partition, then what was not read and what is odd, each on a line of its own. The
/// `Start` column counts bytes.
impl fmt::Display for PartitionTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.heading(f)?;
        self.rows(f)?;
        for unread in self.unread() {
            writeln!(f, "not read: {unread}")?;
        }
        for warning in self.warnings() {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

impl PartitionTable {
    fn heading(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.gpt() {
            Some(gpt) => write!(f, "GPT {}", gpt.disk_guid)?,
            None => write!(f, "MBR {:#010x}", self.mbr().disk_signature)?,
        }
        if let Some(size) = self.disk_size() {
            write!(f, ", disk of {}", Size(size))?;
        }
        if self.sector_size() != 512 {
            write!(f, ", sectors of {} bytes", self.sector_size())?;
        }
        if self.boot_code() != BootCode::None {
            write!(f, ", boot code: {}", self.boot_code())?;
        }
        writeln!(f)
    }

    fn rows(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.partitions().is_empty() {
            return writeln!(f, "no partitions");
        }
        let cells = self.partitions().iter().map(|partition| {
            [
                partition.number.to_string(),
                if partition.is_bootable() { "*" } else { "" }.to_owned(),
                partition.start.to_string(),
                Size(partition.len).to_string(),
                partition.partition_type().to_string(),
                printable(partition.name().unwrap_or_default()),
            ]
        });
        let headings = ["Nr", "Boot", "Start", "Size", "Type", "Name"].map(str::to_owned);
        let rows: Vec<_> = std::iter::once(headings).chain(cells).collect();
        let widths: [usize; 6] =
            std::array::from_fn(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0));
        for [number, boot, start, size, kind, name] in &rows {
            let [w_number, w_boot, w_start, w_size, w_kind, _] = widths;
            let line = format!(
                "{number:>w_number$}  {boot:w_boot$}  {start:>w_start$}  {size:>w_size$}  {kind:w_kind$}  {name}"
            );
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// A name comes from the disk; what would move a terminal's cursor is written out.
fn printable(name: &str) -> String {
    name.chars().fold(String::new(), |mut text, c| {
        if c.is_control() {
            text.extend(c.escape_default())
        } else {
            text.push(c)
        }
        text
    })
}

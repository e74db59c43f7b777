//! What an image is.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use serde_json::json;
use vhd_mbr::Size;
use vhd_mbr::vhd::Chain;
use vhd_mbr::xen_disk::ReadAt;
use xenapi_examples::{Image, ImageFormat, Printable};

#[derive(Args)]
pub(crate) struct Flags {
    /// The image
    #[arg(value_name = "IMAGE")]
    image: PathBuf,
    /// Its format, where its name does not tell
    #[arg(long, value_name = "FORMAT")]
    image_format: Option<ImageFormat>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(flags: &Flags) -> anyhow::Result<()> {
    let image = Image::open(&flags.image, flags.image_format)?;
    let size = image.disk.size()?;
    let data = data(&image.disk)?;
    let length = flags.image.metadata()?.len();
    let chain = match image.format {
        ImageFormat::Vhd => Some(Chain::open(&flags.image)?),
        _ => None,
    };
    let kind = chain
        .as_ref()
        .map(|chain| format!("{:?}", chain.top().footer().kind).to_lowercase());
    let files: Vec<_> = chain
        .iter()
        .flat_map(|chain| chain.files())
        .map(|file| file.display().to_string())
        .collect();
    let mut out = io::stdout();
    if flags.json {
        let document = json!({
            "format": image.format.to_string(),
            "kind": kind,
            "virtual_size": size,
            "data": data,
            "file_size": length,
            "chain": files,
        });
        return Ok(writeln!(out, "{document:#}")?);
    }
    let kind = kind.map(|kind| format!(", {kind}")).unwrap_or_default();
    writeln!(out, "{}{kind}: a disk of {:#}", image.format, Size(size))?;
    writeln!(out, "{} of it can hold data; the file has {}", Size(data), Size(length))?;
    for file in files.iter().skip(1) {
        writeln!(out, "on {}", Printable(file))?;
    }
    Ok(())
}

/// How much of a disk is not known to be zero.
fn data(disk: &dyn ReadAt) -> io::Result<u64> {
    let (mut at, mut data) = (0, 0);
    while let Some(range) = disk.next_data(at)? {
        data += range.end - range.start.max(at);
        at = range.end;
    }
    Ok(data)
}

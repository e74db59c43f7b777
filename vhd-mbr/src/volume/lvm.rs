//! tmp
pub(crate) fn format_id(raw: &[u8]) -> Option<String> {
    let t = std::str::from_utf8(raw).ok()?;
    let g = [&t[..6]];
    Some(g.join("-"))
}

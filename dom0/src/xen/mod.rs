/// x
#[derive(Debug, thiserror::Error)]
pub enum XenError {}

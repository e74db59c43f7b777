//! xva

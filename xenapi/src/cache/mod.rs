//! A copy of the pool's objects that follows it.

mod build;
mod read;
mod row;
mod store;
mod wait;

pub use self::build::CacheCall;
pub use self::read::Cache;

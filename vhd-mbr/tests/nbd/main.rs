//! The NBD client against real servers, against one that behaves as the hosts of old pools do, and against bad ones.

mod certificates;
mod fake;
mod hostile;
mod pool_host;
mod random;
mod reading;
mod recovery;
mod servers;
mod tls;
mod writing;

//! TCP sockets as ss(8), netstat(8) and proc(5) would have printed them. Pure functions of recorded samples.

mod address;
#[cfg(test)]
mod fixture;
mod general;
mod moments;
mod netstat;
mod proc_net_tcp;
mod ss;
mod ss_info;
mod state;
mod view;

pub use moments::moments;
pub use netstat::netstat;
pub use proc_net_tcp::{proc_net_tcp, proc_net_tcp6};
pub use ss::{ss, ss_destroyed};
pub(in crate::report) use state::names;
pub use view::render;

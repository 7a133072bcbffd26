//! What is behind the descriptors of all processes: sockets, timers, pairs, epoll sets, and what goes through io_urings.

mod follow;
mod object;
mod options;
mod rings;
mod tables;

pub use object::{Fired, Kind, Object, ObjectId, Objects, Ready};
pub use options::{Name, Options};
pub use rings::Completed;

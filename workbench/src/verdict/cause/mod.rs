//! From evidence to what ended the command. Reads what the recorders saw; never a command line, never a tool's name.

mod case;
mod declared;
mod end;
mod established;
mod happenings;
mod kernel;
mod network;
mod next;
mod resolver;
#[cfg(test)]
mod tests;
mod timers;
mod trace;
mod waits;
mod words;

pub use end::ended_by;

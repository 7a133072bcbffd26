//! The search for what ended a command, from hand-made evidence: no privileges, no engine, no clock.

mod build;
mod deadlines;
mod descriptors;
mod established;
mod kernel;
mod network;
mod odd;
mod processes;
mod resolver;
mod rings;
mod signals;
mod threads;
mod waits;

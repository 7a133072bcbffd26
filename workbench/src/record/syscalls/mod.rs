//! The system-call recorder: a ptrace tracer with a seccomp filter that stops only at the calls that matter.
//!
//! Three processes. The *agent* holds a [`Tracer`] and reads events from its pipe. The *tracer* waits for stops,
//! decodes, and writes events; it is a process of its own because its `waitpid` takes everybody's children. The
//! *command* and all its descendants are traced. Whoever dies takes those below along.
//!
//! What it costs: a call that the filter lets pass, some 0.1 us; one that it stops at, 10 to 20 us, twice that if it is
//! recorded. A program that reads a file byte by byte on descriptor 3 is slowed down by a factor of 10 to 25, one that
//! does so on descriptor 0 by a quarter (`workbench/benches/tracer.rs`).
//!
//! What it does not see: calls on descriptors 0, 1 and 2 by `read`, `write` and `close`; calls of foreign
//! architectures (reported as [`TraceEvent::ForeignArchitecture`]); operations of an io_uring that a kernel thread serves or
//! that cannot be read (reported as [`TraceEvent::HiddenRing`]); those of others are read at `io_uring_enter`.

mod channel;
mod decode;
mod descriptors;
mod event;
pub mod filter;
mod launch;
mod lives;
mod memory;
mod names;
mod rings;
mod roots;
mod stops;
mod table;
mod tracees;
mod tracer;
mod uring;

pub use event::TraceEvent;
pub use table::traced_names;
pub use tracer::{TraceError, TracedCommand, TracedProgram, TracedRoot, Tracer};

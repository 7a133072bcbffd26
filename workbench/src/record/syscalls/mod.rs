//! The system-call recorder: a ptrace tracer with a seccomp filter that stops only at the calls that matter.
//!
//! Three processes. The *agent* holds a [`Tracer`] and reads events from its pipe. The *tracer* waits for stops,
//! decodes, and writes events; it is a process of its own because its `waitpid` takes everybody's children. The
//! *command* and all its descendants are traced. Whoever dies takes those below along.
//!
//! What it does not see: calls on descriptors 0, 1 and 2 by `read`, `write` and `close`; calls of foreign
//! architectures (reported as [`TraceEvent::ForeignArchitecture`]); io_uring operations, which are not calls.

mod channel;
mod decode;
mod descriptors;
mod event;
pub mod filter;
mod launch;
mod lives;
mod memory;
mod names;
mod stops;
mod table;
mod tracees;
mod tracer;

pub use event::TraceEvent;
pub use table::traced_names;
pub use tracer::{TraceError, TracedCommand, Tracer};

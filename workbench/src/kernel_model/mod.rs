//! What the Linux kernel's timers of a connection do, from its sysctls, version and HZ: pure arithmetic, no clock, no
//! engine. It says when something would have ended; what really ended it is the verdict's business.

mod connect;
mod established;
mod keepalive;
mod lingering;
mod neighbour;
mod options;
mod prediction;
mod settings;
mod simulate;
mod start;
mod waits;
mod wheel;
mod words;

pub use connect::{connect_gives_up, connect_nominal_ns, syn_rto_ns};
pub use established::{Connection, persist_gives_up, retransmissions_give_up};
pub use keepalive::keepalive_gives_up;
pub use lingering::{fin_wait2_ends, syn_ack_gives_up, syn_ack_rto_ns, time_wait_ends};
pub use neighbour::{Neighbours, neighbour_gives_up};
pub use options::SocketOptions;
pub use prediction::{Exact, Prediction, Span};
pub use settings::Settings;
pub use start::Start;
pub use waits::{poll_runs_out, sleep_runs_out, socket_timeout};
pub use wheel::{fires_again_at, fires_at, step_jiffies};
pub use words::in_words;

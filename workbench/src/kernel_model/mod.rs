//! What the Linux kernel's timers of a connection do, from its sysctls, version and HZ: pure arithmetic, no clock, no
//! engine. It says when something would have ended; what really ended it is the verdict's business.

mod connect;
mod prediction;
mod settings;
mod simulate;
mod start;
mod wheel;
mod words;

pub use connect::connect_gives_up;
pub use prediction::{Exact, Prediction, Span};
pub use settings::{Settings, SocketOptions};
pub use start::Start;
pub use wheel::{fires_again_at, fires_at, step_jiffies};
pub use words::in_words;

//! How late the kernel may end a wait that a program asked for: on the wheel for a socket's own timeouts, with slack for
//! the others.

use super::prediction::{Prediction, Span};
use super::settings::Settings;
use super::simulate::predict;
use super::start::Start;

/// PR_SET_TIMERSLACK's default, `init_task` in init/init_task.c.
const TASK_SLACK_NS: u64 = 50_000;
/// MAX_SLACK in fs/select.c.
const MAX_SLACK_NS: u64 = 100_000_000;

/// When a call with SO_RCVTIMEO or SO_SNDTIMEO (`option`) comes back with EAGAIN, or EINPROGRESS from connect(2);
/// `start` is the call. sock_set_timeout() in net/core/sock.c makes jiffies of it, schedule_timeout() arms the wheel.
pub fn socket_timeout(settings: &Settings, option: &str, timeout_ns: u64, start: &Start) -> Prediction {
    let words = vec![format!("{option}={} ms", timeout_ns / 1_000_000), settings.hz_words()];
    // A timeval: what is below a microsecond cannot be asked for.
    predict(settings, start, words, |run| run.wait(settings.jiffies_of_ns(timeout_ns / 1_000 * 1_000)))
}

/// When a poll, select or epoll_wait of `timeout_ns` comes back, counted from the call: up to a thousandth later and at
/// most 100 ms, so that timers fire together (select_estimate_accuracy() in fs/select.c). A nice process gets five
/// times as much, a real-time one none.
pub fn poll_runs_out(timeout_ns: u64) -> Span {
    let slack_ns = (timeout_ns / 1_000).clamp(TASK_SLACK_NS, MAX_SLACK_NS);
    Span { earliest_ns: timeout_ns, latest_ns: timeout_ns + slack_ns }
}

/// The same for a nanosleep or a futex: the task's own slack, 50 µs. Timers with a signal and timerfd have none.
pub fn sleep_runs_out(timeout_ns: u64) -> Span {
    Span { earliest_ns: timeout_ns, latest_ns: timeout_ns + TASK_SLACK_NS }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel_model::in_words;

    const S: u64 = 1_000_000_000;

    #[test]
    fn a_poll_has_a_thousandth_of_slack_between_50_us_and_100_ms() {
        let slack_us = |timeout_ns| (poll_runs_out(timeout_ns).latest_ns - timeout_ns) / 1_000;
        assert_eq!([S / 1_000, S, 5 * S, 1_000 * S].map(slack_us), [50, 1_000, 5_000, 100_000]);
    }

    #[test]
    fn a_socket_timeout_is_rounded_as_every_timer_of_the_wheel() {
        let settings = Settings::of_kernel("6.12", 4_000_000);
        let prediction = socket_timeout(&settings, "SO_RCVTIMEO", 2 * S, &Start::unknown());
        assert_eq!(in_words(&prediction), "between 2.00 and 2.04 s (SO_RCVTIMEO=2000 ms, HZ=250)");
    }
}

//! What a program set for one socket with setsockopt(2), and how it stands in words. See tcp(7).

use super::settings::Settings;

/// Options of one socket; `None` is what the host's sysctl says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketOptions {
    /// TCP_SYNCNT.
    pub syn_count: Option<u32>,
    /// TCP_USER_TIMEOUT; 0 is none.
    pub user_timeout_ms: Option<u64>,
    /// TCP_KEEPIDLE.
    pub keep_idle_s: Option<u64>,
    /// TCP_KEEPINTVL.
    pub keep_interval_s: Option<u64>,
    /// TCP_KEEPCNT.
    pub keep_count: Option<u32>,
    /// TCP_RTO_MAX_MS, since Linux 6.15.
    pub rto_max_ms: Option<u64>,
    /// TCP_LINGER2.
    pub linger2_s: Option<u64>,
}

impl SocketOptions {
    pub(super) fn user_timeout_ms(&self) -> Option<u64> {
        self.user_timeout_ms.filter(|ms| *ms > 0)
    }

    pub(super) fn syn_count(&self) -> Option<u32> {
        self.syn_count.filter(|count| *count > 0)
    }
}

pub(super) fn user_timeout_words(options: &SocketOptions) -> Option<String> {
    options.user_timeout_ms().map(|ms| format!("TCP_USER_TIMEOUT={ms}"))
}

/// The largest RTO, where it is not the usual one.
pub(super) fn rto_max_words(settings: &Settings, options: &SocketOptions) -> Option<String> {
    match options.rto_max_ms {
        Some(ms) => Some(format!("TCP_RTO_MAX_MS={ms}")),
        None if settings.rto_max_ms != Settings::RTO_MAX_MS => Some(format!("tcp_rto_max_ms={}", settings.rto_max_ms)),
        None => None,
    }
}

/// An option of the socket's own where it is set, else the host's sysctl.
pub(super) fn own_or<T: std::fmt::Display>(own: Option<T>, option: &str, sysctl: &str, of_host: T) -> String {
    match own {
        Some(value) => format!("{option}={value}"),
        None => format!("{sysctl}={of_host}"),
    }
}

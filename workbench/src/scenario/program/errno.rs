//! The errno names that a step may expect. Knows no numbers.

use crate::scenario::error::Problem;
use crate::scenario::suggest::did_you_mean;
use crate::scenario::value::{Reading, Value};

use super::model::Expected;

/// What socket calls fail with (the ERRORS of their man pages, ip(7), tcp(7)), by the names that the evidence has.
const NAMES: &[&str] = &[
    "EACCES",
    "EADDRINUSE",
    "EADDRNOTAVAIL",
    "EAFNOSUPPORT",
    "EAGAIN",
    "EALREADY",
    "EBADF",
    "ECONNABORTED",
    "ECONNREFUSED",
    "ECONNRESET",
    "EDESTADDRREQ",
    "EDOM",
    "EHOSTDOWN",
    "EHOSTUNREACH",
    "EINPROGRESS",
    "EINTR",
    "EINVAL",
    "EIO",
    "EISCONN",
    "EMFILE",
    "EMSGSIZE",
    "ENETDOWN",
    "ENETUNREACH",
    "ENOBUFS",
    "ENOENT",
    "ENOMEM",
    "ENOPROTOOPT",
    "ENOTCONN",
    "ENOTSOCK",
    "EOPNOTSUPP",
    "EPERM",
    "EPIPE",
    "EPROTO",
    "EPROTONOSUPPORT",
    "ETIMEDOUT",
];

/// Two names of one number: the one that is not used here, and the one that is.
const SAME: &[(&str, &str)] = &[("EWOULDBLOCK", "EAGAIN"), ("ENOTSUP", "EOPNOTSUPP")];

/// An errno's name, or a value that a call returns.
pub(super) fn expected(value: Value<'_>) -> Reading<Expected> {
    let what = "an errno or a value";
    let Ok(text) = value.text() else {
        let number = value.integer(what, -1..=i128::from(i64::MAX));
        return number
            .map(Expected::Value)
            .map_err(|_| value.expected(what).help("as in `expect EPIPE`, or `expect 0`"));
    };
    let name = SAME.iter().find(|(other, _)| *other == text).map_or(text, |(_, name)| name);
    match NAMES.contains(&name) {
        true => Ok(Expected::Errno(name.to_owned())),
        false if name.starts_with(|c: char| c.is_ascii_digit()) => {
            Err(value.expected(what).help("a value is a number without quotes"))
        }
        false => {
            Err(Problem::new(format!("no errno is called `{}`", name.escape_debug()))
                .help_if(did_you_mean(name, NAMES)))
        }
    }
}

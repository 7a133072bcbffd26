//! System calls and signals as strace(1) prints them, for readers who know it.
//!
//! Without thread id and time in front. What strace 6.1 does differently: it prints a timeout or an algorithm's name as a
//! socket option's value by its bytes, the bytes of addresses of families that are not read here, `si_uid` and the like
//! of a signal, and it decodes what netlink messages hold, of which the evidence has the first bytes only. It prints the
//! address of what IORING_ENTER_EXT_ARG passes, and nothing of what goes through an io_uring's memory; of that nothing is
//! printed here either.

mod argument;
mod quote;

use crate::evidence::{Arg, Call, CallResult, Signal, TimeForm};

use argument::{argument, time};

/// A call with its result: `connect(3, {sa_family=AF_INET, …}, 16) = -1 EINPROGRESS (Operation now in progress)`.
pub fn render(call: &Call) -> String {
    let args: Vec<String> = own(call).iter().map(|arg| argument(&call.name, arg)).collect();
    format!("{}({}) = {}", call.name, args.join(", "), result(call))
}

/// The arguments that are the call's own: what went through an io_uring's memory stands behind them.
fn own(call: &Call) -> &[Arg] {
    let count = if call.name == "io_uring_enter" { 6 } else { usize::MAX };
    &call.args[..call.args.len().min(count)]
}

/// A signal: `--- SIGALRM {si_signo=SIGALRM, si_code=SI_KERNEL} ---`.
pub fn render_signal(signal: &Signal) -> String {
    let Signal { name, code, errno, sender_pid, .. } = signal;
    let errno = errno.map_or(String::new(), |errno| format!(", si_errno={errno}"));
    let sender = sender_pid.map_or(String::new(), |pid| format!(", si_pid={pid}"));
    format!("--- {name} {{si_signo={name}, si_code={code}{errno}{sender}}} ---")
}

fn result(call: &Call) -> String {
    match &call.result {
        None => "?".to_owned(),
        Some(CallResult::Error(name)) => match restart(name) {
            Some(meaning) => format!("? {name} ({meaning})"),
            None => format!("-1 {name} ({})", description(name)),
        },
        Some(CallResult::Value(value)) => match comment(call, *value) {
            Some(comment) => format!("{value} ({comment})"),
            None => value.to_string(),
        },
    }
}

/// What the errnos mean that only the kernel itself and a tracer see: how the call will be restarted.
fn restart(name: &str) -> Option<&'static str> {
    Some(match name {
        "ERESTARTSYS" => "To be restarted if SA_RESTART is set",
        "ERESTARTNOINTR" => "To be restarted",
        "ERESTARTNOHAND" => "To be restarted if no handler",
        "ERESTART_RESTARTBLOCK" => "Interrupted by signal",
        _ => return None,
    })
}

/// strerror(3)'s text for an errno's name.
fn description(name: &str) -> String {
    use nix::errno::Errno;
    let number = (1..=133).find(|number| format!("{:?}", Errno::from_raw(*number)) == name);
    let text = number.map(|number| std::io::Error::from_raw_os_error(number).to_string()).unwrap_or_default();
    // std adds " (os error 115)".
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// What strace adds to a value: what is ready, what was left.
fn comment(call: &Call, value: i64) -> Option<String> {
    match call.name.as_str() {
        "poll" | "ppoll" | "select" | "pselect6" | "recvmmsg" if value == 0 => Some("Timeout".to_owned()),
        "poll" | "ppoll" => join([ready_entries(call), left(call)]),
        "select" | "pselect6" => {
            let sets = ["in", "out", "except"].into_iter().zip(&call.args[1..]);
            let ready = sets.filter_map(|(name, arg)| match arg {
                Arg::FdSet { ready, .. } if !ready.is_empty() => {
                    Some(format!("{name} {}", argument::descriptors(ready)))
                }
                _ => None,
            });
            join(ready.map(Some).chain([left(call)]))
        }
        "recvmmsg" => left(call),
        "rt_sigtimedwait" => match call.args.get(1) {
            Some(Arg::Struct(members)) => members.first().map(|(_, signal)| argument("", signal)),
            _ => None,
        },
        _ => None,
    }
}

fn join(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    (!parts.is_empty()).then(|| parts.join(", "))
}

fn ready_entries(call: &Call) -> Option<String> {
    let Some(Arg::Poll(entries)) = call.args.first() else { return None };
    let ready = entries.iter().filter(|entry| !entry.revents.is_empty());
    let ready: Vec<String> = ready.map(|entry| format!("{{fd={}, revents={}}}", entry.fd, entry.revents)).collect();
    (!ready.is_empty()).then(|| format!("[{}]", ready.join(", ")))
}

fn left(call: &Call) -> Option<String> {
    call.args.iter().find_map(|arg| match arg {
        Arg::Timeout { left_ns: Some(left), form, .. } if *form != TimeForm::Ms => {
            Some(format!("left {}", time(*left, *form)))
        }
        _ => None,
    })
}

#[cfg(test)]
mod tests;

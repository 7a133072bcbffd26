//! Lines of strace and of our renderer made comparable: what differs from run to run by nature is replaced.

/// Who wrote a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Our renderer.
    Ours,
    /// strace with `-y`.
    Strace,
}

/// How a tool uses its waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// Each for a time of its own.
    Fixed,
    /// Each for what is left until a deadline, which depends on how fast the machine is.
    UntilDeadline,
}

/// A line to compare; `None` for a call that our filter leaves out on purpose.
pub fn normal(side: Side, waits: Waits, line: &str) -> Option<String> {
    let line = match side {
        Side::Ours => line.to_owned(),
        Side::Strace => {
            let (bare, descriptors) = without_descriptor_names(line);
            if !is_recorded(&bare, &descriptors) {
                return None;
            }
            bare
        }
    };
    Some(replace(waits, &line))
}

/// Takes the names that `-y` adds to descriptors, `3<socket:[4711]>`, out of a line, and gives them back in order.
/// Repeated spaces, with which strace aligns results, become one.
fn without_descriptor_names(line: &str) -> (String, Vec<(i32, String)>) {
    let mut bare = String::new();
    let mut names = Vec::new();
    let mut is_quoted = false;
    let mut rest = line.chars().peekable();
    while let Some(c) = rest.next() {
        let number: String = bare.chars().rev().take_while(char::is_ascii_digit).collect();
        match c {
            '\\' if is_quoted => bare.extend([Some(c), rest.next()].into_iter().flatten()),
            '"' => {
                is_quoted = !is_quoted;
                bare.push(c);
            }
            '<' if !is_quoted && bare.ends_with("AT_FDCWD") => rest.by_ref().take_while(|c| *c != '>').for_each(drop),
            '<' if !is_quoted && !number.is_empty() => {
                let name: String = rest.by_ref().take_while(|c| *c != '>').collect();
                let number: String = number.chars().rev().collect();
                names.push((number.parse().unwrap_or(-1), name));
            }
            ' ' if !is_quoted && bare.ends_with(' ') => {}
            _ => bare.push(c),
        }
    }
    (bare, names)
}

/// Whether our filter and our tracer record such a call.
fn is_recorded(line: &str, descriptors: &[(i32, String)]) -> bool {
    let name = line.split('(').next().unwrap_or_default();
    let anonymous =
        ["timerfd", "eventfd", "signalfd", "eventpoll", "io_uring"].map(|kind| format!("anon_inode:[{kind}]"));
    let is_wide = match name {
        // The length of the buffer is the last argument.
        "read" | "write" => {
            let length = line.rsplit_once(") = ").and_then(|(call, _)| call.rsplit_once(", "));
            length.and_then(|(_, length)| length.parse::<u64>().ok()).is_some_and(|length| length > 128)
        }
        _ => ["readv", "writev", "sendfile", "splice"].contains(&name),
    };
    let is_evidence = |(fd, name): &(i32, String)| {
        let is_wake = name.starts_with("pipe:[") && !is_wide;
        *fd > 2 && (name.starts_with("socket:[") || anonymous.contains(name) || is_wake)
    };
    match name {
        "read" | "write" | "readv" | "writev" | "close" | "dup" => descriptors.first().is_some_and(is_evidence),
        "dup2" | "dup3" | "sendfile" | "splice" => descriptors.iter().take(2).any(is_evidence),
        "fcntl" => {
            let is_command = ["F_DUPFD", "F_SETFL"].iter().any(|command| line.contains(command));
            is_command && descriptors.first().is_some_and(is_evidence)
        }
        "ioctl" => line.contains("FIONBIO") && descriptors.first().is_some_and(is_evidence),
        "futex_waitv" | "semtimedop" | "mq_timedsend" | "mq_timedreceive" => line.contains("tv_sec"),
        "futex" => line.contains("WAIT") && line.contains("tv_sec"),
        _ => true,
    }
}

fn replace(waits: Waits, line: &str) -> String {
    let name = line.split('(').next().unwrap_or_default();
    let is_message = ["sendto", "sendmsg", "recvmsg"].contains(&name);
    if is_message && line.contains("AF_NETLINK") {
        // strace decodes what a netlink message holds; we keep its bytes.
        let result = line.rsplit_once(" = ").map_or("", |(_, result)| result);
        return format!("{name}(NETLINK) = {result}");
    }
    let mut line = line.to_owned();
    line = each_number(&line, "0x", char::is_ascii_hexdigit, |_| "ADDRESS".to_owned());
    line = each_number(&line, "htons(", char::is_ascii_digit, |port| {
        let is_ephemeral = port.parse::<u32>().is_ok_and(|port| port >= 32_768);
        format!("htons({}", if is_ephemeral { "EPHEMERAL" } else { port })
    });
    for member in ["si_pid=", "nl_pid=", "kill(", "semtimedop("] {
        line = each_number(&line, member, char::is_ascii_digit, |_| format!("{member}PID"));
    }
    // Our signals leave these out.
    for member in [", si_uid=", ", si_status=", ", si_utime=", ", si_stime=", "nl_pad="] {
        line = each_number(&line, member, |c| c.is_ascii_alphanumeric(), |_| String::new());
    }
    // Behind a child's processor time, where it is not 0, strace says it in seconds.
    if let Some((before, after)) = line.split_once(" /* ").filter(|_| line.starts_with("---")) {
        line = format!("{before}{}", after.split_once(" */").map_or("", |(_, rest)| rest));
    }
    line = line.replace("{sa_family=AF_NETLINK, , ", "{sa_family=AF_NETLINK, ");
    if name == "wait4" {
        // Which child it was.
        line = each_number(&line, "wait4(", char::is_ascii_digit, |_| "wait4(PID".to_owned());
        let is_pid = |result: &str| result.parse::<u32>().is_ok_and(|pid| pid > 0);
        if let Some((call, _)) = line.rsplit_once(" = ").filter(|(_, result)| is_pid(result)) {
            line = format!("{call} = PID");
        }
    }
    if name == "tgkill" {
        line = line.rsplit_once(", ").map_or(line.clone(), |(_, rest)| format!("tgkill(PID, PID, {rest}"));
    }
    // Of addresses that we read no further strace prints the bytes.
    if let Some((before, after)) = line.split_once(", sa_data=\"") {
        line = format!("{before}{}", after.split_once('"').map_or("", |(_, rest)| rest));
    }
    remaining_times(name, waits, line)
}

/// What is left of a wait depends on how fast the machine is.
fn remaining_times(name: &str, waits: Waits, line: String) -> String {
    match name {
        "poll" if waits == Waits::UntilDeadline => match line.split_once(") = ") {
            Some((call, result)) => match call.rsplit_once(", ") {
                Some((call, timeout)) if timeout != "-1" => {
                    format!("{call}, LEFT) = {result}")
                }
                _ => line,
            },
            None => line,
        },
        "select" | "pselect6" => match line.split_once("left {") {
            Some((before, _)) => format!("{before}LEFT"),
            None => line,
        },
        _ => line,
    }
}

/// Replaces every run of `digits` after `prefix`, the prefix included.
fn each_number(line: &str, prefix: &str, digits: fn(&char) -> bool, with: impl Fn(&str) -> String) -> String {
    let mut pieces = line.split(prefix);
    let mut replaced = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        let len = piece.chars().take_while(digits).map(char::len_utf8).sum();
        if len == 0 {
            replaced.push_str(prefix);
        } else {
            replaced.push_str(&with(&piece[..len]));
        }
        replaced.push_str(&piece[len..]);
    }
    replaced
}

//! Names of signals and of where they come from.

use nix::sys::signal::Signal;

/// First realtime signal of the kernel; libcs keep some for themselves, so their SIGRTMIN is higher (signal(7)).
const KERNEL_SIGRTMIN: i32 = 32;
/// Signals of the kernel, `_NSIG`.
const LAST: i32 = 64;

/// A signal by name: `SIGALRM`, `SIGRT_2`.
pub fn name(number: i32) -> String {
    match Signal::try_from(number) {
        Ok(signal) => signal.as_str().to_owned(),
        Err(_) if number == KERNEL_SIGRTMIN => "SIGRTMIN".to_owned(),
        Err(_) if (KERNEL_SIGRTMIN..=LAST).contains(&number) => format!("SIGRT_{}", number - KERNEL_SIGRTMIN),
        Err(_) => number.to_string(),
    }
}

/// A signal set as strace writes it: `[INT TERM]`, or `~[CHLD]` where fewer are out than in.
pub fn set(mask: u64) -> String {
    let names = |mask: u64| {
        let inside = (1..=LAST).filter(|n| mask & (1 << (n - 1)) != 0);
        inside.map(|n| name(n).trim_start_matches("SIG").to_owned()).collect::<Vec<_>>().join(" ")
    };
    if mask.count_ones() >= 2 * LAST as u32 / 3 { format!("~[{}]", names(!mask)) } else { format!("[{}]", names(mask)) }
}

/// `si_code` by name (sigaction(2)); a number where it has none.
pub fn code(signal: i32, code: i32) -> String {
    let name = match (code, signal) {
        (0, _) => "SI_USER",
        (0x80, _) => "SI_KERNEL",
        (-1, _) => "SI_QUEUE",
        (-2, _) => "SI_TIMER",
        (-3, _) => "SI_MESGQ",
        (-4, _) => "SI_ASYNCIO",
        (-5, _) => "SI_SIGIO",
        (-6, _) => "SI_TKILL",
        (1, libc::SIGCHLD) => "CLD_EXITED",
        (2, libc::SIGCHLD) => "CLD_KILLED",
        (3, libc::SIGCHLD) => "CLD_DUMPED",
        (4, libc::SIGCHLD) => "CLD_TRAPPED",
        (5, libc::SIGCHLD) => "CLD_STOPPED",
        (6, libc::SIGCHLD) => "CLD_CONTINUED",
        (1, libc::SIGIO) => "POLL_IN",
        (2, libc::SIGIO) => "POLL_OUT",
        (3, libc::SIGIO) => "POLL_MSG",
        (4, libc::SIGIO) => "POLL_ERR",
        (5, libc::SIGIO) => "POLL_PRI",
        (6, libc::SIGIO) => "POLL_HUP",
        (1, libc::SIGSEGV) => "SEGV_MAPERR",
        (2, libc::SIGSEGV) => "SEGV_ACCERR",
        (1, libc::SIGFPE) => "FPE_INTDIV",
        (1, libc::SIGBUS) => "BUS_ADRALN",
        (2, libc::SIGBUS) => "BUS_ADRERR",
        (3, libc::SIGBUS) => "BUS_OBJERR",
        _ => return code.to_string(),
    };
    name.to_owned()
}

/// Whether `si_pid` names a sender: a process that sent it, or the child that SIGCHLD is about.
pub fn has_sender(signal: i32, code: i32) -> bool {
    const SI_USER: i32 = 0;
    const SI_QUEUE: i32 = -1;
    const SI_TKILL: i32 = -6;
    matches!(code, SI_USER | SI_QUEUE | SI_TKILL) || (signal == libc::SIGCHLD && code > 0 && code != 0x80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn realtime_signals_are_named_by_the_kernels_numbers() {
        assert_eq!(name(14), "SIGALRM");
        assert_eq!(name(32), "SIGRTMIN");
        assert_eq!(name(34), "SIGRT_2");
        assert_eq!(name(64), "SIGRT_32");
        assert_eq!(name(0), "0");
    }

    #[test]
    fn a_nearly_full_set_is_written_by_what_is_missing() {
        assert_eq!(set(0), "[]");
        assert_eq!(set(1 << 13 | 1 << 1), "[INT ALRM]");
        assert_eq!(set(!(1 << 16)), "~[CHLD]");
    }

    #[test]
    fn a_timers_signal_has_no_sender() {
        assert!(has_sender(libc::SIGTERM, 0));
        assert!(has_sender(libc::SIGCHLD, 1));
        assert!(!has_sender(libc::SIGALRM, 0x80));
        assert!(!has_sender(libc::SIGALRM, -2));
    }
}

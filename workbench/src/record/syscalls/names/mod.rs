//! Constants of system calls by name, with the values `libc` has for this architecture.
//!
//! Unknown values are written as strace does: `0x40 /* MSG_??? */`, so that nothing is lost.

pub mod ring;
pub mod signal;
pub mod socket;
pub mod wait;

/// Names with their values, in the order in which flags are written.
pub type Names = &'static [(&'static str, u32)];

/// A [`Names`] table from constants of `libc`.
macro_rules! names {
    ($($name:ident),* $(,)?) => { &[$((stringify!($name), libc::$name as u32)),*] };
}
use names;

/// The constant with this value; `unknown` is the pattern for others: `AF_???`.
pub fn constant(names: Names, value: u32, unknown: &str) -> String {
    match names.iter().find(|(_, v)| *v == value) {
        Some((name, _)) => (*name).to_owned(),
        None => format!("{value:#x} /* {unknown} */"),
    }
}

/// The flags that make up this value, `A|B`; `0` for none; bits without a name as one number.
pub fn flags(names: Names, value: u32, unknown: &str) -> String {
    let mut rest = value;
    let mut parts: Vec<String> = Vec::new();
    for (name, bits) in names {
        if *bits != 0 && rest & bits == *bits {
            parts.push((*name).to_owned());
            rest &= !bits;
        }
    }
    match (parts.is_empty(), rest) {
        (true, 0) => "0".to_owned(),
        (true, _) => format!("{rest:#x} /* {unknown} */"),
        (false, 0) => parts.join("|"),
        (false, _) => format!("{}|{rest:#x}", parts.join("|")),
    }
}

/// An errno by name; the kernel's own, which never leave it but are seen by a tracer, included
/// (include/linux/errno.h: they say how an interrupted call is restarted).
pub fn errno(number: i32) -> String {
    match number {
        512 => "ERESTARTSYS".to_owned(),
        513 => "ERESTARTNOINTR".to_owned(),
        514 => "ERESTARTNOHAND".to_owned(),
        516 => "ERESTART_RESTARTBLOCK".to_owned(),
        _ => match nix::errno::Errno::from_raw(number) {
            nix::errno::Errno::UnknownErrno => format!("ERRNO_{number}"),
            known => format!("{known:?}"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_without_a_name_stay_visible() {
        assert_eq!(flags(socket::MESSAGE_FLAGS, 0, "MSG_???"), "0");
        assert_eq!(flags(socket::MESSAGE_FLAGS, 0x4040, "MSG_???"), "MSG_DONTWAIT|MSG_NOSIGNAL");
        assert_eq!(flags(socket::MESSAGE_FLAGS, 0x0100_4000, "MSG_???"), "MSG_NOSIGNAL|0x1000000");
        assert_eq!(flags(socket::MESSAGE_FLAGS, 0x0100_0000, "MSG_???"), "0x1000000 /* MSG_??? */");
        assert_eq!(constant(socket::FAMILIES, 77, "AF_???"), "0x4d /* AF_??? */");
    }

    #[test]
    fn errnos_that_only_the_kernel_and_a_tracer_see_have_their_kernel_names() {
        assert_eq!(errno(516), "ERESTART_RESTARTBLOCK");
        assert_eq!(errno(libc::EINPROGRESS), "EINPROGRESS");
        assert_eq!(errno(libc::EAGAIN), "EAGAIN");
        assert_eq!(errno(4000), "ERRNO_4000");
    }
}

//! `times`, which tells everybody the kernel's jiffies counter; `nix` does not wrap it.

/// Clock ticks since the epoch that times(2) has: the kernel's jiffies (`INITIAL_JIFFIES` included) in units of
/// 1/100 s, rounded down (`jiffies_64_to_clock_t` in kernel/time/time.c; `USER_HZ` is 100 on every architecture that
/// this runs on).
pub fn clock_ticks() -> u64 {
    // SAFETY: a null pointer is allowed: nothing but the return value is asked for (times(2), "NOTES").
    let ticks = unsafe { libc::times(std::ptr::null_mut()) };
    ticks as u64
}

/// `USER_HZ` (include/asm-generic/param.h).
pub const USER_HZ: u64 = 100;
